import { resolve } from 'node:path'
import { Command } from 'commander'
import type { ObjectFormat } from '../actors/contracts/unit.ts'
import { initLedger } from '../persistence/git/hook.ts'
import { findGitdir } from '../persistence/git/repository.ts'
import { loadMachines } from './load-machine.ts'
import { machineOption } from './machine-option.ts'
import { objectFormatOption } from './object-format-option.ts'
import { perform } from './perform.ts'
import { repositoryPath } from './store-doors.ts'
import type { Terminal } from './terminal.ts'

interface InitOptions {
  readonly machine?: readonly string[]
  readonly objectFormat?: ObjectFormat
}

/** `xmachines git …`: what concerns repositories alone. */
export function gitCommand(): Command {
  const git = new Command('git').description('prepare Git repositories')
  git
    .command('init')
    .description('make a repository (or one that is there) take only what adds to runs, and replays')
    .argument('<dir>', 'where; a new repository is made bare')
    .addOption(machineOption('what is pushed must replay with it; again for the machines of older runs'))
    .addOption(objectFormatOption())
    .action(perform(init))
  return git
}

async function init(terminal: Terminal, place: string, { machine = [], objectFormat }: InitOptions): Promise<number> {
  const dir = repositoryPath(place)
  // A hook that cannot load its machines would refuse every push.
  if (machine.length > 0) await loadMachines(machine)
  const gitdir = findGitdir(dir) ?? resolve(dir)
  await initLedger(gitdir, { objectFormat, machines: machine.map(reference => resolve(reference)) })
  await terminal.print({ gitdir }, () => undefined)
  terminal.say(
    machine.length > 0
      ? `${gitdir} takes pushes that add to runs and replay.`
      : `${gitdir} takes pushes that add to runs. With --machine, they also have to replay.`,
  )
  return 0
}
