import { batchesOf } from '../batch-stream.ts'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import type { Unit } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { firstDifference } from '../json/differences.ts'
import type { Decided } from '../machine/decision.ts'
import { shownEffect, shownSystem } from '../machine/shown.ts'
import { StateHash } from '../machine/state-hash.ts'
import { HistoryFold } from '../run/history.ts'
import { Lineage } from '../run/lineage.ts'
import type { Machines } from '../run/types.ts'
import { programsOf, type Versions } from '../run/versions.ts'

/** The first unit of a history that two machines decide differently. */
export interface Disagreement {
  readonly run: string
  readonly seq: number
  /** The unit's time, ms. */
  readonly at: number
  /** The first place that differs, such as `$.context.total`. */
  readonly path: string
  /** What each makes of the unit: its state, outputs and effects; or `{ error }` where it cannot decide it. */
  readonly good: JsonObject
  readonly bad: JsonObject
}

/**
 * Decides a history with two machines, side by side, until they disagree.
 *
 * @param head the commit of the machine that the run is of at its end
 */
export async function firstDisagreement(
  units: ReadableStream<Unit>,
  head: string,
  good: Machines,
  bad: Machines,
): Promise<Disagreement | undefined> {
  let sides: readonly [Side, Side] | undefined
  for await (const batch of batchesOf(units)) {
    for (const unit of batch) {
      sides ??= sidesOf(unit, head, good, bad)
      const [one, other] = sides
      const [a, b] = [one.decide(unit), other.decide(unit)]
      if (a === b) continue
      const [shownA, shownB] = [one.shown(), other.shown()]
      const path = firstDifference(shownA, shownB, '$') ?? '$'
      return { run: unit.run, seq: unit.seq, at: unit.at, path, good: shownA, bad: shownB }
    }
  }
  return undefined
}

/**
 * Where a run is yet to go over to one of the versions, the version before would decide its past and this one would never be asked:
 * both then decide all of it, as if it had always been theirs.
 */
function sidesOf({ run }: Unit, head: string, good: Machines, bad: Machines): readonly [Side, Side] {
  const format = run.length === 40 ? 'sha1' : 'sha256'
  const both = [programsOf(good, format, false), programsOf(bad, format, false)] as const
  const past = both.every(programs => programs.some(({ record }) => record.oid === head))
  return [new Side(both[0], past), new Side(both[1], past)]
}

/** One of the machines, as far as it has come. */
class Side {
  readonly #fold: HistoryFold
  readonly #hash = new StateHash()
  #decided: Decided | undefined
  #error: XMachinesError | undefined

  constructor(programs: Versions, past: boolean) {
    this.#fold = new HistoryFold(new Lineage(programs, past), { fallback: programs[0] })
  }

  /** What the unit comes to, as text that is the same for the same. */
  decide(unit: Unit): string {
    try {
      const decided = this.#fold.apply(unit)!
      this.#decided = decided
      return `${this.#hash.of(decided.state, decided.effects)} ${decided.outputs.length === 0 ? '' : JSON.stringify(decided.outputs)}`
    } catch (thrown) {
      if (!XMachinesError.is(thrown)) throw thrown
      this.#error = thrown
      return `error: ${thrown.code}`
    }
  }

  shown(): JsonObject {
    if (this.#error !== undefined) return { error: messageOf(this.#error) }
    const { state, outputs, effects } = this.#decided!
    const { value, context } = state.snapshot
    const { status, output, ...system } = shownSystem(state)
    const shown = { status, value, context, output, outputs, effects: effects.map(shownEffect), ...system }
    return JSON.parse(JSON.stringify(shown)) as JsonObject & JsonValue
  }
}
