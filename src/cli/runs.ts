import { Command } from 'commander'
import { headId } from './head-id.ts'
import { headsOf, isOfRun, type LeftOut, tellLeftOut } from './heads.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import { Table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { printable, shortId, valueText } from './text.ts'

interface RunsOptions {
  readonly namespace?: string
}

/** `xmachines runs STORE`: what runs there are, and where they stand. */
export function runsCommand(): Command {
  return new Command('runs')
    .description('list the runs of a store')
    .argument('<store>', storeArgument)
    .option('--namespace <name>', 'only runs of this namespace')
    .action(perform(listRuns))
}

async function listRuns(terminal: Terminal, location: string, { namespace }: RunsOptions): Promise<number> {
  const { signal } = terminal
  let code = 0
  const leaveOut = (run: LeftOut): Promise<void> => {
    code = 1
    return tellLeftOut(terminal, run)
  }
  await withStore(terminal, location, { access: 'read' }, async store => {
    const table = new Table(terminal, ['RUN', 'KEY', 'MACHINE', 'VERSION', 'STATE', 'UNITS', 'HEAD'])
    for await (const run of headsOf(store, { namespace, signal })) {
      if ('error' in run) {
        await leaveOut(run)
        continue
      }
      let head: string
      try {
        head = await headId(store, run, signal)
      } catch (error) {
        if (!isOfRun(error)) throw error
        await leaveOut({ ...run, error })
        continue
      }
      const { namespace, key = null, machineId: machine, version, seq, status, value = null } = run
      const { held, parked } = run.beside
      const line = { run: run.run, key, namespace, machine, version, seq, head, status, value, held, parked }
      await table.add(line, () => {
        const state =
          status === 'active' ? valueText(value ?? undefined) : `${valueText(value ?? undefined)} (${status})`
        return [
          shortId(run.run),
          printable(key ?? '-'),
          printable(machine),
          printable(version),
          `${state}${held ? ' (held)' : ''}${parked === null ? '' : ' (parked)'}`,
          String(seq),
          shortId(head),
        ]
      })
    }
    await table.end()
  })
  return code
}
