import { Command } from 'commander'
import { batchesOf } from '../actors/batch-stream.ts'
import type { Unit } from '../actors/contracts/unit.ts'
import { PendingReplay } from '../actors/replay/pending-replay.ts'
import { findRun } from './find-run.ts'
import { loadMachines } from './load-machine.ts'
import { logNotes, notesText } from './log-line.ts'
import { machineOption } from './machine-option.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import { Table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { durationText, originText, printable, timeText, typesText } from './text.ts'
import { forkLine, unitLine } from './unit-line.ts'

interface LogOptions {
  readonly machine?: readonly string[]
  readonly namespace?: string
}

/** `xmachines log STORE RUN`: the history of a run. */
export function logCommand(): Command {
  return new Command('log')
    .description('show the history of a run')
    .argument('<store>', storeArgument)
    .argument('<run>', 'a key, an id, or the beginning of an id')
    .addOption(
      machineOption('to show timers and invocations too: what decided the run, again for the machines of older parts'),
    )
    .option('--namespace <name>', 'where to look for the key')
    .action(perform(showLog))
}

async function showLog(terminal: Terminal, location: string, name: string, options: LogOptions): Promise<number> {
  const { signal } = terminal
  const { namespace } = options
  const machines = options.machine === undefined ? undefined : await loadMachines(options.machine)
  await withStore(terminal, location, { access: 'read' }, async store => {
    const head = await findRun(store, name, { namespace, signal })
    const table = new Table(terminal, ['SEQ', 'TIME', 'AFTER', 'ORIGIN', 'EVENTS', 'OUTPUTS', 'NOTES'])
    const replayed = machines && new PendingReplay(machines, store, head.run)
    let forked = head.fork === undefined
    let before: Unit | undefined
    for await (const batch of batchesOf(store.read(head.run, { signal }))) {
      await replayed?.meet(batch)
      for (const unit of batch) {
        if (!forked && unit.run === head.run) forked = await addFork()
        const notes = logNotes(head.run, unit, before, head.beside, replayed?.changes(unit))
        const { seq, at, origin } = unit
        const outputs = unit.outputs.map(({ type }) => printable(type)).join(', ')
        const after = notes.since === undefined ? '' : durationText(notes.since)
        await table.add({ ...unitLine(unit), ...notes }, () => {
          return [
            String(seq).padEnd(String(head.seq).length),
            timeText(at),
            after,
            originText(origin),
            typesText(unit),
            outputs,
            notesText(unit, notes),
          ]
        })
        before = unit
      }
    }
    if (!forked) await addFork()
    await table.end()

    async function addFork(): Promise<true> {
      const fork = head.fork!
      const from = fork.creation!.fork!
      await table.add(forkLine({ ...head, fork }), () => {
        return ['', timeText(fork.at), '', '', `(forked from ${from.run.slice(0, 12)} at ${from.at})`, '', '']
      })
      return true
    }
  })
  return 0
}
