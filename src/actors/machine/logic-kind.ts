import type { LiveLogic, LiveScope, LiveSnapshot } from './xstate.ts'

/** What kind of logic runs outside a step. */
export type LogicKind = 'promise' | 'observable' | 'callback'

const kinds = new WeakMap<object, LogicKind>()

/**
 * Nothing on XState's logic objects tells a promise from a callback, but their transitions do: a promise takes its own
 * resolution, an observable ignores it, and a callback looks for listeners that only its start makes.
 */
export function kindOfLogic(logic: LiveLogic): LogicKind {
  let kind = kinds.get(logic)
  if (kind === undefined) kinds.set(logic, (kind = probe(logic)))
  return kind
}

function probe(logic: LiveLogic): LogicKind {
  const snapshot: LiveSnapshot = { status: 'active', output: undefined, error: undefined, input: undefined }
  const scope = { self: {} } as unknown as LiveScope
  try {
    return logic.transition(snapshot, { type: 'xstate.promise.resolve' }, scope).status === 'done'
      ? 'promise'
      : 'observable'
  } catch {
    return 'callback'
  }
}
