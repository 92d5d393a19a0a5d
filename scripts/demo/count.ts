import { isDeepStrictEqual } from 'node:util'
import { createActor } from 'xstate'
import { permit } from '../../examples/permits/machine.ts'
import { type RunHead, type Store, type Unit, verifyRun } from '../../src/index.ts'
import type { PermitRecord } from './permit-log.ts'

/** What is in the store, counted there, and compared with the log. */
export interface Count {
  readonly runs: number
  /** Events in the histories. */
  readonly events: number
  readonly outputs: number
  /** Events of histories that the log does not have there, or has not so often. */
  readonly duplicatesApplied: number
  /** Lines of the log that no history has in their place. */
  readonly lost: number
  /** Runs that lead to the recorded outputs and state when decided again, and to that of a plain XState actor. */
  readonly verified: number
  /** Final states, with how many cases rest there. */
  readonly outcomes: ReadonlyMap<string, number>
}

/** Counts, and trusts nothing that was said on the way. */
export async function countStore(store: Store, log: readonly PermitRecord[]): Promise<Count> {
  const cases = groupByKey(log)
  const outcomes = new Map<string, number>()
  let [runs, events, outputs, duplicatesApplied, lost, verified] = [0, 0, 0, 0, 0, 0]
  for await (const head of store.list()) {
    runs++
    const units: Unit[] = []
    for await (const unit of store.read(head.run)) if (unit.events.length > 0) units.push(unit)
    const lines = cases.get(head.key ?? '') ?? []
    cases.delete(head.key ?? '')
    const same = commonLength(lines, units)
    events += units.reduce((sum, unit) => sum + unit.events.length, 0)
    outputs += units.reduce((sum, unit) => sum + unit.outputs.length, 0)
    duplicatesApplied += units.length - same
    lost += lines.length - same
    const { divergence, error } = await verifyRun(store, permit, head)
    if (divergence === undefined && error === undefined && isDeepStrictEqual(head.value, plainState(lines))) verified++
    const outcome = outcomeOf(head)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }
  for (const lines of cases.values()) lost += lines.length
  return { runs, events, outputs, duplicatesApplied, lost, verified, outcomes }
}

/** How many lines of a case are in its history, in order and at their time. */
function commonLength(lines: readonly PermitRecord[], units: readonly Unit[]): number {
  let same = 0
  for (const { events, at } of units) {
    const line = lines[same]
    if (line !== undefined && line.at === at && isDeepStrictEqual(events, [line.event])) same++
  }
  return same
}

/** Where XState itself ends, without any of this package. */
function plainState(lines: readonly PermitRecord[]): unknown {
  const actor = createActor(permit).start()
  for (const { event } of lines) actor.send(event)
  return actor.getSnapshot().value
}

function groupByKey(log: readonly PermitRecord[]): Map<string, PermitRecord[]> {
  const cases = new Map<string, PermitRecord[]>()
  for (const record of log) {
    const lines = cases.get(record.key)
    if (lines === undefined) cases.set(record.key, [record])
    else lines.push(record)
  }
  return cases
}

/** Where a case rests, in the process's own words. */
function outcomeOf({ value }: RunHead): string {
  if (typeof value === 'string') return value
  const { letter, stop } = (value as { confirmed: { letter: string; stop: string | Record<string, string> } }).confirmed
  const stopped =
    typeof stop === 'string'
      ? stop
      : Object.entries(stop)
          .map(entry => entry.join(' '))
          .join()
  return `letter ${letter}, stop ${stopped}`
}
