import { batchesOf } from '../batch-stream.ts'
import type { Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { givenUnits } from '../given.ts'
import { type Inspect, Inspection } from '../machine/inspection.ts'
import type { AnyMachine, Machines } from '../run/types.ts'
import { Past } from './past.ts'

/** Options of {@link inspectHistory}. */
export interface InspectHistoryOptions {
  /** The last seq to show, inclusive. @default all units */
  readonly until?: number | undefined
  /** Whose history it is, where the first units are another run's: of a fork. @default the run of the first unit */
  readonly run?: string | undefined
  /** What the run is called. @default its key, or else the machine's id */
  readonly name?: string | undefined
  /** The store that the history is from, as for `replay`: what machines are called that only migrations name. @default none */
  readonly store?: Store | undefined
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
  { until = Number.POSITIVE_INFINITY, run, name, store }: InspectHistoryOptions,
): AsyncGenerator<Unit, void, void> {
  const past = new Past(machine, store)
  let inspection: Inspection | undefined
  for await (const batch of batchesOf(givenUnits(units))) {
    await past.meet(batch)
    for (const unit of batch) {
      if (unit.seq > until) return
      inspection ??= new Inspection(inspect, run ?? unit.run, name ?? unit.creation?.key)
      const { state } = past.decide(unit)
      inspection.next(unit, state, past.place!.program.definition.machine)
      yield unit
    }
  }
}
