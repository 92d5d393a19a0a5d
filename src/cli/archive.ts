import { once } from 'node:events'
import { Command } from 'commander'
import type { XMachinesError } from '../actors/errors.ts'
import { type ArchiveProgress, archive } from '../persistence/git/index.ts'
import { findGitdir } from '../persistence/git/repository.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { isFileStore, repositoryPath, storeArgument } from './store-doors.ts'
import { type Terminal, usage } from './terminal.ts'
import { counted } from './text.ts'

interface ArchiveOptions {
  readonly follow?: boolean
}

/** `xmachines archive STORE REPO`: commits runs to a Git repository. */
export function archiveCommand(): Command {
  return new Command('archive')
    .description('commit every run to a Git repository: one branch a run, one commit a unit')
    .argument('<store>', storeArgument)
    .argument('<repository>', 'a Git repository; a new one is made bare')
    .option('--follow', 'go on until interrupted')
    .action(perform(archiveStore))
}

async function archiveStore(
  terminal: Terminal,
  location: string,
  repository: string,
  { follow = false }: ArchiveOptions,
): Promise<number> {
  const { signal } = terminal
  const path = repositoryPath(repository)
  const found = findGitdir(path)
  if (found === undefined && isFileStore(path))
    throw usage(`${path} is a store of files. Give the repository a directory of its own.`)
  const gitdir = found ?? path
  await withStore(terminal, location, { access: 'read' }, async store => {
    // Where nobody stays, what goes wrong is told by the pass that is waited for, and by no other.
    const onError = follow ? (error: XMachinesError) => terminal.fail(error) : () => {}
    const archived = archive(store, { gitdir, onError })
    try {
      await report(terminal, archived.gitdir, await archived.checkpoint())
      if (follow && !signal.aborted) {
        // Nothing else keeps the process: an archive does not.
        const staying = setInterval(() => {}, 1 << 30)
        await once(signal, 'abort')
        clearInterval(staying)
        await report(terminal, archived.gitdir, await archived.checkpoint())
      }
    } finally {
      await archived.close()
    }
  })
  return 0
}

async function report(terminal: Terminal, gitdir: string, { units, flushes }: ArchiveProgress): Promise<void> {
  await terminal.print({ gitdir, units, flushes }, () => undefined)
  terminal.say(`${counted(units, 'unit')} committed to ${gitdir} in ${counted(flushes, 'pack')}.`)
}
