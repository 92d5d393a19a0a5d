import type { RecordedEvent } from '../contracts/json.ts'
import type { Origin } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import type { Effect } from './effect.ts'
import type { RunState } from './state.ts'

/** What is decided: the content of a unit, and the seed of its randomness. */
export interface StepInput {
  readonly seq: number
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly origin: Origin
  /** Gives `<id of the unit before> <seq>`; absent while that id is not known: a step that asks for randomness is then {@link Starved}. */
  readonly seed?: (() => string) | undefined
  /** The unit is in the history already: no policy of today refuses it (semantics 13). */
  readonly recorded?: boolean | undefined
}

/** The step was taken. */
export interface Decided {
  readonly kind: 'decided'
  readonly state: RunState
  readonly outputs: readonly RecordedEvent[]
  readonly effects: readonly Effect[]
  /** Why the run ended with this unit, where it did not end by itself. */
  readonly fatal: XMachinesError | undefined
}

/** The unit is refused: nothing of it happened. */
export interface Refused {
  readonly kind: 'refused'
  readonly error: XMachinesError
}

/** The step needs the id of the unit before: decide again with a seed. Nothing of it happened. */
export interface Starved {
  readonly kind: 'starved'
}

export type Decision = Decided | Refused | Starved

/** Events from outside and mail are subject to the machine's policies; what the run itself caused is not. */
export function isGoverned({ origin, recorded }: StepInput): boolean {
  return recorded !== true && (origin.kind === 'outside' || origin.kind === 'mail')
}
