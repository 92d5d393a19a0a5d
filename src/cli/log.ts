import { Command } from 'commander'
import { batchesOf } from '../actors/batch-stream.ts'
import { findRun } from './find-run.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { Table } from './table.ts'
import type { Terminal } from './terminal.ts'
import { originText, printable, timeText, typesText } from './text.ts'
import { forkLine, unitLine } from './unit-line.ts'

interface LogOptions {
  readonly namespace?: string
}

/** `xmachines log STORE RUN`: the history of a run. */
export function logCommand(): Command {
  return new Command('log')
    .description('show the history of a run')
    .argument('<store>', 'a directory')
    .argument('<run>', 'a key, an id, or the beginning of an id')
    .option('--namespace <name>', 'where to look for the key')
    .action(perform(showLog))
}

async function showLog(terminal: Terminal, location: string, name: string, { namespace }: LogOptions): Promise<number> {
  const { signal } = terminal
  await withStore(terminal, location, { access: 'read' }, async store => {
    const head = await findRun(store, name, { namespace, signal })
    const table = new Table(terminal, ['SEQ', 'TIME', 'ORIGIN', 'EVENTS', 'OUTPUTS'])
    let forked = head.fork === undefined
    for await (const batch of batchesOf(store.read(head.run, { signal }))) {
      for (const unit of batch) {
        if (!forked && unit.run === head.run) forked = await addFork()
        const outputs = unit.outputs.map(({ type }) => printable(type)).join(', ')
        await table.add(unitLine(unit), () => {
          return [String(unit.seq), timeText(unit.at), originText(unit.origin), typesText(unit), outputs]
        })
      }
    }
    if (!forked) await addFork()
    await table.end()

    async function addFork(): Promise<true> {
      const fork = head.fork!
      const from = fork.creation!.fork!
      await table.add(forkLine({ ...head, fork }), () => {
        return ['', timeText(fork.at), '', `(forked from ${from.run.slice(0, 12)} at ${from.at})`, '']
      })
      return true
    }
  })
  return 0
}
