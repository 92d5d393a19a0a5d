import { Command } from 'commander'
import { batchesOf } from '../actors/batch-stream.ts'
import type { RunHead, Store } from '../actors/contracts/store.ts'
import { parentsFirst } from './export-order.ts'
import { findRun } from './find-run.ts'
import { isOfRun, type LeftOut, leftOut } from './heads.ts'
import { withStore } from './open-store.ts'
import { perform } from './perform.ts'
import { storeArgument } from './store-doors.ts'
import type { Terminal } from './terminal.ts'
import { counted, printable } from './text.ts'
import { type BesideLine, besideLine, forkLine, type UnitLine, unitLine } from './unit-line.ts'

interface ExportOptions {
  readonly run?: string
  readonly namespace?: string
}

/** `xmachines export STORE`: every unit as a line of JSON. */
export function exportCommand(): Command {
  return new Command('export')
    .description('print every unit as a line of JSON, which `import` reads')
    .argument('<store>', storeArgument)
    .option('--run <run>', 'only this run: a key, an id, or the beginning of an id')
    .option('--namespace <name>', 'only runs of this namespace')
    .action(perform(exportStore))
}

async function exportStore(terminal: Terminal, location: string, { run, namespace }: ExportOptions): Promise<number> {
  const { signal } = terminal
  let failed = 0
  await withStore(terminal, location, { access: 'read' }, async store => {
    let [ended, lines] = [0, 0]
    const damaged = ({ error }: LeftOut): void => {
      failed++
      terminal.fail(error)
    }
    const runs =
      run === undefined
        ? parentsFirst(store, signal, { namespace, damaged: run => damaged(leftOut(run)) })
        : [await findRun(store, run, { namespace, signal })]
    for await (const line of exportLines(store, signal, runs, damaged)) {
      lines++
      if ('beside' in line) ended++
      // A line of an export is JSON, whether `--json` was given or not.
      await terminal.printLine(printable(JSON.stringify(line)))
    }
    const left = failed === 0 ? '' : ` ${counted(failed, 'run')} left out or cut off.`
    terminal.say(`${counted(ended, 'run')}, ${counted(lines, 'line')}.${left}`)
  })
  return failed === 0 ? 0 : 1
}

/**
 * The lines of an export: the units of each run, then what is kept beside it. A machine comes with the first unit that is of it.
 *
 * @param damaged is told of a run that cannot be read to its end, whose last line is that of the unit before; without, it is thrown
 */
export async function* exportLines(
  store: Store,
  signal: AbortSignal,
  runs: AsyncIterable<RunHead> | Iterable<RunHead> | undefined,
  damaged?: (run: LeftOut) => void,
): AsyncGenerator<UnitLine | BesideLine, void, void> {
  const machines = new Set<string>()
  const withMachine = async (line: UnitLine): Promise<UnitLine> => {
    const oid = line.machine ?? line.creation?.machine
    if (oid === undefined || machines.has(oid)) return line
    machines.add(oid)
    const machineRecord = await store.machine(oid)
    return machineRecord === undefined ? line : { ...line, machineRecord }
  }
  for await (const head of runs ??
    parentsFirst(store, signal, { damaged: damaged && (run => damaged(leftOut(run))) })) {
    const { run, seq, fork } = head
    if (fork !== undefined) yield await withMachine(forkLine({ ...head, fork }))
    const from = fork === undefined ? 0 : fork.seq + 1
    try {
      if (from <= seq) {
        for await (const batch of batchesOf(store.read(run, { from, to: seq, signal })))
          for (const unit of batch) yield await withMachine(unitLine(unit))
      }
    } catch (thrown) {
      if (damaged === undefined || !isOfRun(thrown)) throw thrown
      damaged({ ...head, error: thrown })
      continue
    }
    yield besideLine(head)
  }
}
