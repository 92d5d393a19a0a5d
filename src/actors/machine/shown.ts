import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { pathOf } from './actor-ref.ts'
import { type Effect, nameOfEffect } from './effect.ts'
import type { RunState } from './state.ts'

/** What a state's hash is made of, as JSON for people: whatever makes two hashes differ can be seen here. */

/** The actor system: what of a state is neither its value nor its context. */
export function shownSystem({ snapshot, table }: RunState): JsonObject {
  const { status, output } = snapshot
  const children = [...table.actors].map(([ref, child]) => {
    const { status, context, input, output } = child
    const value = 'value' in child ? child.value : undefined
    return [pathOf(ref).join('/'), { status, value, context, input, output }]
  })
  return asJson({
    status,
    output,
    children: Object.fromEntries(children),
    timers: table.timers.values().map(({ id, due, event }) => {
      // An event of XState's own says no more than its id.
      return event.type.startsWith('xstate.') ? { id, due } : { id, due, event }
    }),
    invocations: [...table.invocations.values()].map(({ path }) => path),
  })
}

/** An effect: an action by its name, all else with what it carries. */
export function shownEffect(effect: Effect): JsonValue {
  switch (effect.kind) {
    case 'action':
      return nameOfEffect(effect)
    case 'receive':
      return asJson({ receiver: pathOf(effect.actor).join('/'), event: effect.event })
    case 'mail':
      return asJson({ to: effect.to, event: effect.event })
    case 'spawn':
      return asJson({ spawn: effect.spawn, input: effect.input })
  }
}

/** References are shown by their ids, as XState does. */
function asJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject
}
