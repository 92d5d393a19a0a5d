import type { RecordedEvent } from '../actors/contracts/json.ts'
import { matchesState, type StateValue } from '../actors/machine/xstate.ts'

/**
 * The first of `names` that a unit meets: the type of one of its events, or a state (`a.b`) that it enters.
 *
 * @param value the state's value after the unit
 * @param before its value before; `undefined`: there was none
 */
export function breakpointAt(
  names: readonly string[],
  events: readonly RecordedEvent[],
  value: StateValue,
  before: StateValue | undefined,
): string | undefined {
  return names.find(name => {
    if (events.some(({ type }) => type === name)) return true
    const state = stateOf(name)
    return matchesState(state, value) && (before === undefined || !matchesState(state, before))
  })
}

/** `a.b` as a state value: `{ a: 'b' }`. */
function stateOf(name: string): StateValue {
  const parts = name.split('.')
  const last: StateValue = parts.pop()!
  return parts.reduceRight<StateValue>((inner, part) => ({ [part]: inner }), last)
}
