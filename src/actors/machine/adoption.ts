import type { AnyStateMachine } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import type { ActorRef } from './actor-ref.ts'
import { actorPaths, bind, placesOf } from './carried-references.ts'
import type { Draft } from './draft.ts'
import { findUnknownNode } from './persisted-history.ts'
import { findUnknownState } from './persisted-value.ts'
import { type After, afterOf, isMachine, type LiveMachineSnapshot, resolveSource } from './xstate.ts'

/**
 * Begins a draft with what XState's own `getPersistedSnapshot()` gave, of the root and all of its children.
 * XState does not persist timers: every active state gets its `after` timers armed as of now. Children that were active
 * are pending again, as XState would start them; nothing is entered again.
 *
 * @throws `SNAPSHOT_INVALID` when it is not one of this machine
 */
export function adoptSnapshot(draft: Draft, persisted: JsonValue): void {
  if ((persisted as JsonObject | null)?.status === 'error')
    throw invalid('$.status', 'its actor ended with an error, and nothing goes on from there')
  for (const ref of restoreActors(draft, persisted)) {
    const snapshot = draft.snapshotOf(ref) as LiveMachineSnapshot
    if (snapshot.status !== 'active') continue
    for (const node of snapshot._nodes) for (const after of afterOf(node)) armAfter(draft, ref, after)
  }
}

/**
 * Restores the root and its children into a draft: those that were active run on, nothing is entered. Gives the machines among
 * them that run, the root first.
 *
 * @throws `SNAPSHOT_INVALID`
 */
export function restoreActors(draft: Draft, persisted: JsonValue): readonly ActorRef[] {
  const { root } = draft.system
  try {
    checkActor(root, persisted, '$')
    // XState puts references into what it is given, and so do we.
    const given = structuredClone(persisted)
    const places = placesOf(given)
    draft.begin(root, root.behaviour.restoreSnapshot!(given, root.scope))
    bind(
      places,
      actorPaths(root, ref => draft.snapshotOf(ref)),
    )
  } catch (thrown) {
    throw XMachinesError.is(thrown) ? thrown : invalid('$', messageOf(thrown), thrown)
  }
  draft.start(root)
  const machines = draft.stepping().filter(({ behaviour }) => isMachine(behaviour))
  draft.layAside()
  return machines
}

/** What XState would pass over in silence, or find out later: a child whose logic the machine has not got. */
function checkActor(ref: ActorRef, persisted: JsonValue, path: string): void {
  if (!isObject(persisted))
    throw invalid(
      path,
      `it is ${Array.isArray(persisted) ? 'an array' : persisted === null ? 'null' : typeof persisted}, not an object`,
    )
  checkMachine(ref.behaviour, persisted, path)
}

const statuses: ReadonlySet<unknown> = new Set(['active', 'done', 'error', 'stopped'])

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checkMachine(behaviour: unknown, persisted: JsonObject, path: string): void {
  if (!isMachine(behaviour)) return
  for (const key of ['status', 'value', 'context', 'children'])
    if (persisted[key] === undefined) throw invalid(path, `it has no \`${key}\``)
  checkStatus(persisted, path)
  const { value, historyValue } = persisted
  for (const key of ['context', 'children'])
    if (!isObject(persisted[key]))
      throw invalid(`${path}.${key}`, `it is ${JSON.stringify(persisted[key])}, not an object`)
  const unknown =
    findUnknownState(value!, behaviour, `${path}.value`) ??
    (historyValue === undefined ? undefined : findUnknownNode(historyValue, behaviour, `${path}.historyValue`))
  if (unknown !== undefined) throw invalid(unknown.path, unknown.why)
  for (const [id, child] of Object.entries(persisted.children as JsonObject)) {
    if (!isObject(child)) throw invalid(`${path}.children.${id}`, `it is ${JSON.stringify(child)}`)
    const { src, snapshot } = child
    const logic = typeof src === 'string' ? resolveSource(behaviour, src) : undefined
    if (logic === undefined)
      throw invalid(
        `${path}.children.${id}`,
        `its logic '${String(src)}' is not an actor of the machine '${behaviour.id}'`,
      )
    if (!isObject(snapshot)) throw invalid(`${path}.children.${id}`, 'it has no `snapshot`')
    if (isMachine(logic)) checkMachine(logic, snapshot, `${path}.children.${id}.snapshot`)
    // One that is not said to be active would never be started, and never end.
    else checkStatus(snapshot, `${path}.children.${id}.snapshot`)
  }
}

function checkStatus({ status }: JsonObject, path: string): void {
  if (!statuses.has(status)) throw invalid(`${path}.status`, `it is ${JSON.stringify(status)}`)
}

/** Arms the timer of an `after` transition, with its whole delay. */
export function armAfter(draft: Draft, ref: ActorRef, { event, id, delay }: After): void {
  const { delays } = (ref.behaviour as unknown as AnyStateMachine).implementations
  const ms = typeof delay === 'string' ? delays[delay] : delay
  const snapshot = draft.snapshotOf(ref) as LiveMachineSnapshot
  draft.arm(ref, ref, event, typeof ms === 'function' ? ms(argsOf(ref, snapshot), undefined as never) : (ms ?? 0), id)
}

/** A delay that is computed, as registered. */
type DelayExpression = Extract<AnyStateMachine['implementations']['delays'][string], (...args: never) => unknown>

/** Expressions are given the context, and no event that anything was entered by. */
export function argsOf(self: ActorRef, { context }: LiveMachineSnapshot): Parameters<DelayExpression>[0] {
  return { context, event: { type: 'xstate.init' }, self, system: self.system } as never
}

function invalid(path: string, why: string, cause?: unknown): XMachinesError {
  return new XMachinesError(
    'SNAPSHOT_INVALID',
    `The snapshot is not one of this machine, at ${path}: ${why}. Pass what \`getPersistedSnapshot()\` gave of the same machine, or migrate it first.`,
    { details: { path }, cause },
  )
}
