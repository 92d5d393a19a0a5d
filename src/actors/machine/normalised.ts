import type { AnyStateMachine } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { isLogic, isMachine } from './xstate.ts'

/** Stands for every function: never its text or name, which differ between loaders and builds. */
const fn = { $fn: 1 } as const

/** Types and schemas are the compiler's and the border's, not the machine's behaviour. */
const leftOut: ReadonlySet<string> = new Set(['types', 'schemas'])

/**
 * A machine's definition from what its author wrote: the config with its states as an ordered list, and the names of the
 * registered implementations by kind. Never from XState's internals, so an upgrade of XState does not change it.
 * (semantics 1: the machine's commit is made of this.)
 */
export function normalisedDefinition(machine: AnyStateMachine): JsonObject {
  return definition(machine, new Set())
}

/** @param above what this is part of: a machine can be its own child */
function definition(machine: AnyStateMachine, above: Set<object>): JsonObject {
  if (above.has(machine)) return { $machine: machine.id }
  const { actions, guards, delays, actors } = machine.implementations
  above.add(machine)
  try {
    return {
      config: node(machine.config as Record<string, unknown>, above),
      actions: Object.keys(actions).sort(),
      guards: Object.keys(guards).sort(),
      delays: Object.keys(delays).sort(),
      actors: Object.fromEntries(
        Object.entries(actors).map(([name, logic]) => [name, isMachine(logic) ? definition(logic, above) : fn]),
      ),
    }
  } finally {
    above.delete(machine)
  }
}

function node(config: Record<string, unknown>, above: Set<object>): JsonObject {
  const result: Record<string, JsonValue> = {}
  for (const [key, value] of Object.entries(config)) {
    if (value === undefined || leftOut.has(key)) continue
    result[key] =
      key === 'states'
        ? Object.entries(value as Record<string, Record<string, unknown>>).map(([name, child]) => [
            name,
            node(child, above),
          ])
        : plain(value, above)
  }
  return result
}

/** Any other value of a config. What is neither JSON nor a function has no stable form, so only its kind counts. */
function plain(value: unknown, above: Set<object>): JsonValue {
  if (typeof value === 'function') return fn
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : { $number: String(value) } // −0 is 0
  if (typeof value !== 'object') return { $kind: typeof value }
  if (isMachine(value)) return definition(value, above)
  if (isLogic(value)) return fn
  if (above.has(value)) return { $kind: 'cycle' }
  above.add(value)
  try {
    if (Array.isArray(value)) return value.map(item => plain(item, above))
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== Object.prototype && prototype !== null) return { $kind: 'object' }
    return Object.fromEntries(
      Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, plain(item, above)]])),
    )
  } finally {
    above.delete(value)
  }
}
