import { batchesOf } from '../batch-stream.ts'
import type { Unit } from '../contracts/unit.ts'
import { givenUnits } from '../given.ts'
import { type Inspect, Inspection } from '../machine/inspection.ts'
import type { HistoryFold } from '../run/history.ts'
import type { AnyMachine, Machines } from '../run/types.ts'
import { decideAgain, foldOf } from './replay.ts'

/** Options of {@link inspectHistory}. */
export interface InspectHistoryOptions {
  /** The last seq to show, inclusive. @default all units */
  readonly until?: number | undefined
  /** Whose history it is, where the first units are another run's: of a fork. @default the run of the first unit */
  readonly run?: string | undefined
  /** What the run is called. @default its key, or else the machine's id */
  readonly name?: string | undefined
}

/**
 * Decides a history again and shows it to an inspector, as if it happened now: what `openRun(machine, { inspect })` shows of
 * a run that is in memory. Nothing is run. The time of each unit is the inspection event's `at`.
 *
 * @example
 * await inspectHistory(machine, store.read(id), createWebSocketInspector({ url }).inspect)
 *
 * @throws rejects with `RUN_DAMAGED` when a unit cannot be decided, with what `inspect` throws, and whatever the stream errors with
 */
export async function inspectHistory(
  machine: Machines<AnyMachine>,
  units: ReadableStream<Unit> | AsyncIterable<Unit>,
  inspect: Inspect,
  options: InspectHistoryOptions = {},
): Promise<void> {
  const shown = inspected(machine, units, inspect, options)
  while ((await shown.next()).done !== true);
}

/** As {@link inspectHistory}, at the pace of whoever iterates: each unit is yielded once it was shown. */
export async function* inspected(
  machine: Machines<AnyMachine>,
  units: ReadableStream<Unit> | AsyncIterable<Unit>,
  inspect: Inspect,
  { until = Number.POSITIVE_INFINITY, run, name }: InspectHistoryOptions,
): AsyncGenerator<Unit, void, void> {
  let fold: HistoryFold | undefined
  let inspection: Inspection | undefined
  for await (const batch of batchesOf(givenUnits(units))) {
    for (const unit of batch) {
      if (unit.seq > until) return
      fold ??= foldOf(machine, unit)
      inspection ??= new Inspection(inspect, run ?? unit.run, name ?? unit.creation?.key)
      const { state } = decideAgain(fold, unit)
      inspection.next(unit, state, fold.place!.program.definition.machine)
      yield unit
    }
  }
}
