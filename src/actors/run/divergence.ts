import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { firstDifference } from '../json/differences.ts'
import type { Decided } from '../machine/decision.ts'
import { shownEffect, shownSystem } from '../machine/shown.ts'
import { differentPart, isComparable, partOf, StateHash, type StatePart } from '../machine/state-hash.ts'

/** How a unit that is decided again differs from what was recorded. */
export interface Divergence {
  readonly seq: number
  /** What differs. `missing`: the unit has no hash of its state, though units before it have. */
  readonly kind: 'state' | 'outputs' | 'effects' | 'missing'
  /** As recorded: the outputs; of a state or effects, which are not recorded whole, the hash. */
  readonly expected: JsonValue
  /** As decided now: the outputs, or the part of the state that `path` names. */
  readonly actual: JsonValue
  /** The first place that differs, such as `$[0].total` of outputs; of a state its part: `$.value`, `$.context` or `$.system`. */
  readonly path: string
}

/** Compares the units of one history, in order, with what was recorded. Histories of versions without state hashes are compared by their outputs. */
export class UnitComparison {
  /** Units whose state could not be compared, the creation not counted. */
  uncompared = 0
  readonly #hash = new StateHash()
  #hashed = false

  /** How the unit differs, if it does. */
  compare(unit: Unit, decided: Decided): Divergence | undefined {
    return outputsDivergence(unit, decided.outputs) ?? this.#compareState(unit, decided)
  }

  #compareState({ seq, state: recorded }: Unit, decided: Decided): Divergence | undefined {
    const hash = this.#hash.of(decided.state, decided.effects)
    if (seq > 0 && (recorded === undefined || !isComparable(recorded))) this.uncompared++
    if (recorded === undefined)
      return this.#hashed ? { seq, kind: 'missing', expected: null, actual: hash, path: '$' } : undefined
    this.#hashed = true
    const part = differentPart(recorded, hash)
    if (part === undefined) return undefined
    const kind = part === 'effects' ? 'effects' : 'state'
    return { seq, kind, expected: `hash ${partOf(recorded, part)}`, actual: shown(part, decided), path: `$.${part}` }
  }
}

/** A part of what was decided, as JSON: contexts may hold references, which XState shows by their ids. */
function shown(part: StatePart, { state, effects }: Decided): JsonValue {
  const { snapshot } = state
  switch (part) {
    case 'value':
      return snapshot.value as JsonValue
    case 'context':
      return JSON.parse(JSON.stringify(snapshot.context)) as JsonValue
    case 'effects':
      return effects.map(shownEffect)
    case 'system':
      return shownSystem(state)
  }
}

/** The error of a history that does not come out as recorded. */
export function diverged(run: string, divergence: Divergence): XMachinesError {
  const { seq, kind, path } = divergence
  const fork = seq > 0 ? `; or fork it at ${seq - 1}` : ''
  const text = `Unit ${seq} of run ${run} was recorded with other ${kind} (${path}) than the machine gives now. Open it with the machine as it was; or give the changed one another \`version\` and a migration whose \`from\` is the machine as it was or, with \`event\`, its version as text${fork}. \`xmachines bisect\` shows what the two make of it.`
  return new XMachinesError('REPLAY_DIVERGED', text, { details: { run, ...divergence } })
}

/** Whether the recorded outputs of a unit are what the machine emits now. */
function outputsDivergence(unit: Unit, actual: readonly RecordedEvent[]): Divergence | undefined {
  const expected = unit.outputs
  if (expected.length === 0 && actual.length === 0) return undefined
  const path = firstDifference(expected, actual, '$')
  return path === undefined ? undefined : { seq: unit.seq, kind: 'outputs', expected, actual, path }
}
