import { Command } from 'commander'
import { verifyRun } from '../actors/replay/verify.ts'
import { nameOf } from './find-run.ts'
import { loadMachines } from './load-machine.ts'
import { machineOption } from './machine-option.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import type { Terminal } from './terminal.ts'
import { counted, divergenceText, printable, shortId } from './text.ts'

interface VerifyOptions {
  readonly machine: readonly string[]
  readonly namespace?: string
}

/** `xmachines verify STORE --machine M`: decides every run again and compares. */
export function verifyCommand(): Command {
  return new Command('verify')
    .description('decide every run of a store again, and compare with what was recorded')
    .argument('<store>', 'a directory')
    .addOption(machineOption().makeOptionMandatory())
    .option('--namespace <name>', 'only runs of this namespace')
    .action(perform(verifyStore))
}

async function verifyStore(
  terminal: Terminal,
  location: string,
  { machine, namespace }: VerifyOptions,
): Promise<number> {
  const { signal } = terminal
  const machines = await loadMachines(machine)
  return withStore(terminal, location, { access: 'read' }, async store => {
    let runs = 0
    let units = 0
    let wrong = 0
    for await (const head of store.list({ namespace, signal })) {
      const found = await verifyRun(store, machines, head)
      const { divergence, error } = found
      const ok = divergence === undefined && error === undefined
      runs++
      units += found.units
      if (!ok) wrong++
      await terminal.print(
        { run: head.run, key: head.key ?? null, namespace: head.namespace, units: found.units, ok, divergence, error },
        () => {
          const name = `${shortId(head.run)} (${printable(nameOf(head))})`
          if (divergence !== undefined) return `${name}: unit ${divergence.seq}: ${divergenceText(divergence)}`
          return error === undefined ? undefined : `${name}: ${error.code}: ${error.message}`
        },
      )
    }
    terminal.say(
      `${counted(runs, 'run')}, ${counted(units, 'unit')} decided again: ${wrong === 0 ? 'all as recorded' : counted(wrong, 'run differs', 'runs differ')}.`,
    )
    return wrong === 0 ? 0 : 1
  })
}
