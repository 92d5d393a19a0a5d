import type { JsonObject, JsonValue } from '../contracts/json.ts'
import type { ActorRef } from './actor-ref.ts'
import { actorPaths, persistedReference } from './carried-references.ts'
import { toPlainError } from './plain-error.ts'
import type { RunState } from './state.ts'
import { isActorRef } from './state-json.ts'
import type { ActorSystem } from './system.ts'
import type { LiveMachineSnapshot, LiveSnapshot } from './xstate.ts'

/** A run's state with the system that its references belong to. */
export interface Standing {
  readonly system: ActorSystem
  readonly state: RunState
}

/** The snapshot of a machine among the actors. */
export function snapshotIn({ system, state }: Standing, ref: ActorRef | undefined): LiveMachineSnapshot | undefined {
  const snapshot: LiveSnapshot | undefined =
    ref === undefined ? undefined : ref === system.root ? state.snapshot : state.table.actors.get(ref)
  return snapshot !== undefined && '_nodes' in snapshot ? (snapshot as LiveMachineSnapshot) : undefined
}

/** What XState's `getPersistedSnapshot()` gives of a state, as JSON, with the way to each actor that is referred to. */
export function persistedState(past: Standing): JsonObject {
  const { system, state } = past
  const { visible } = system
  system.visible = state
  try {
    const persisted = system.root.behaviour.getPersistedSnapshot(state.snapshot) as JsonObject
    return plainState(persisted, system.root, past, pathsIn(past))
  } finally {
    system.visible = visible
  }
}

/** The way to each of the actors that it persists. */
export function pathsIn(past: Standing): ReturnType<typeof actorPaths> {
  return actorPaths(past.system.root, ref => snapshotIn(past, ref))
}

/** XState has lost in a machine's context which actor a reference means: that is taken from the state itself. */
function plainState(
  persisted: JsonObject,
  ref: ActorRef,
  past: Standing,
  paths: ReturnType<typeof actorPaths>,
): JsonObject {
  const live = snapshotIn(past, ref)
  const own = live === undefined ? persisted : { ...persisted, context: live.context as JsonValue, children: {} }
  const result = plain(own, value => persistedReference(value, ref, paths)) as JsonObject
  if (live === undefined) return result
  const children = Object.entries((persisted.children ?? {}) as Readonly<Record<string, JsonObject>>)
  const kept = children.map(([key, child]) => {
    const inner = live.children[key] as ActorRef
    return [key, { ...child, snapshot: plainState(child.snapshot as JsonObject, inner, past, paths) }]
  })
  return { ...result, children: plain(Object.fromEntries(kept), value => value) as JsonObject }
}

function plain(value: unknown, reference: (ref: ActorRef) => unknown): unknown {
  if (value instanceof Error) return toPlainError(value)
  if (typeof value !== 'object' || value === null) return value
  if (isActorRef(value)) return reference(value as ActorRef)
  if (Array.isArray(value)) return value.map(item => plain(item, reference))
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === undefined ? [] : [[key, plain(item, reference)]])),
  )
}
