import type { JsonObject } from '../contracts/json.ts'
import type { ActorRef } from './actor-ref.ts'
import { isActorRef } from './state-json.ts'
import type { LiveMachineSnapshot, LiveSnapshot } from './xstate.ts'

/**
 * How references get over a migration. XState persists one as the id of a child, and finds it again among the children of the
 * actor that holds it. All others, a parent that a child was given say, carry the keys that lead to their actor with them.
 */
interface PersistedReference {
  readonly xstate$$type: 1
  readonly id: string
  readonly path?: readonly string[]
}

/** The keys that lead from the root to each actor that XState persists. One whose id was given to another since is not among them. */
export function actorPaths(
  root: ActorRef,
  snapshotOf: (ref: ActorRef) => LiveSnapshot | undefined,
): ReadonlyMap<ActorRef, readonly string[]> {
  const found = new Map<ActorRef, readonly string[]>()
  const visit = (ref: ActorRef, path: readonly string[]): void => {
    found.set(ref, path)
    const { children = {} } = (snapshotOf(ref) ?? {}) as Partial<LiveMachineSnapshot>
    for (const [key, child] of Object.entries(children))
      if (child !== undefined) visit(child as ActorRef, [...path, key])
  }
  visit(root, [])
  return found
}

/** A reference as it is persisted by the actor that stands at `holder`. */
export function persistedReference(
  ref: ActorRef,
  holder: ActorRef,
  paths: ReadonlyMap<ActorRef, readonly string[]>,
): PersistedReference {
  const path = paths.get(ref)
  const marker = { xstate$$type: 1, id: ref.id } as const
  return path === undefined || ref._parent === holder ? marker : { ...marker, path }
}

/** A place that held a reference which carried its path. */
interface Place {
  readonly holder: Record<string, unknown>
  readonly key: string
  readonly path: readonly string[]
}

/** Where a persisted state, whose objects are to be the restored one's, has references that XState will not find. */
export function placesOf(value: unknown): readonly Place[] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Record<string, unknown>
  return Object.entries(holder).flatMap(([key, item]) => {
    const path = (item as Partial<PersistedReference> | null)?.path
    const isReference = (item as Partial<PersistedReference> | null)?.xstate$$type === 1 && Array.isArray(path)
    return isReference ? [{ holder, key, path: path as readonly string[] }] : placesOf(item)
  })
}

/** Puts the restored actors there. */
export function bind(places: readonly Place[], paths: ReadonlyMap<ActorRef, readonly string[]>): void {
  if (places.length === 0) return
  const byPath = new Map([...paths].map(([ref, path]) => [JSON.stringify(path), ref]))
  for (const { holder, key, path } of places) holder[key] = byPath.get(JSON.stringify(path))
}

/** A value with other actors in the place of those that it refers to; one that did not go over is absent. */
export function withActors<T>(value: T, went: ReadonlyMap<ActorRef, ActorRef>): T {
  if (typeof value !== 'object' || value === null) return value
  if (isActorRef(value)) return went.get(value as unknown as ActorRef) as T
  if (Array.isArray(value)) return value.map(item => withActors(item, went)) as T
  const entries = Object.entries(value as unknown as JsonObject).map(([key, item]) => [key, withActors(item, went)])
  return Object.fromEntries(entries.filter(([, item]) => item !== undefined)) as T
}
