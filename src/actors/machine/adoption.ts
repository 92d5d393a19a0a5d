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
 * @param recorded it is in a history already: it was held to the rules of its day
 * @throws `SNAPSHOT_INVALID` when it is not one of this machine
 */
export function adoptSnapshot(draft: Draft, persisted: JsonValue, recorded: boolean): void {
  if ((persisted as JsonObject | null)?.status === 'error')
    throw invalid('$.status', 'its actor ended with an error, and nothing goes on from there')
  for (const ref of restoreActors(draft, persisted, recorded)) {
    const snapshot = draft.snapshotOf(ref) as LiveMachineSnapshot
    if (snapshot.status !== 'active') continue
    for (const node of snapshot._nodes) for (const after of afterOf(node)) armAfter(draft, ref, after)
  }
}

/**
 * Restores the root and its children into a draft: those that were active run on, nothing is entered. Gives the machines among
 * them that run, the root first.
 *
 * @param recorded as for {@link adoptSnapshot}
 * @throws `SNAPSHOT_INVALID`
 */
export function restoreActors(draft: Draft, persisted: JsonValue, recorded: boolean): readonly ActorRef[] {
  const { root } = draft.system
  try {
    checkActor(root, persisted, '$', recorded)
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
function checkActor(ref: ActorRef, persisted: JsonValue, path: string, recorded: boolean): void {
  if (!isObject(persisted))
    throw invalid(
      path,
      `it is ${Array.isArray(persisted) ? 'an array' : persisted === null ? 'null' : typeof persisted}, not an object`,
    )
  checkMachine(ref.behaviour, persisted, path, recorded)
}

const statuses: ReadonlySet<unknown> = new Set(['active', 'done', 'error', 'stopped'])

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function checkMachine(behaviour: unknown, persisted: JsonObject, path: string, recorded: boolean): void {
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
  if (!recorded) checkEnd(behaviour, persisted, path)
  const lost = findLostItem(persisted.context!, persisted.children as JsonObject, `${path}.context`)
  if (lost !== undefined)
    throw invalid(
      lost.path,
      `it refers to the child '${lost.id}', which is not there, and a list has no place for nothing`,
    )
  for (const [id, child] of Object.entries(persisted.children as JsonObject)) {
    if (!isObject(child)) throw invalid(`${path}.children.${id}`, `it is ${JSON.stringify(child)}`)
    const { src, snapshot, systemId } = child
    if (!recorded && systemId !== undefined && typeof systemId !== 'string')
      throw invalid(`${path}.children.${id}.systemId`, `it is ${JSON.stringify(systemId)}, not a string`)
    const logic = typeof src === 'string' ? resolveSource(behaviour, src) : undefined
    if (logic === undefined)
      throw invalid(
        `${path}.children.${id}`,
        `its logic '${String(src)}' is not an actor of the machine '${behaviour.id}'`,
      )
    if (!isObject(snapshot)) throw invalid(`${path}.children.${id}`, 'it has no `snapshot`')
    if (isMachine(logic)) checkMachine(logic, snapshot, `${path}.children.${id}.snapshot`, recorded)
    // One that is not said to be active would never be started, and never end.
    else checkStatus(snapshot, `${path}.children.${id}.snapshot`)
  }
}

/** A reference to no child that is an item of a list: as a property it is absent, as in XState. */
function findLostItem(
  value: JsonValue,
  children: JsonObject,
  path: string,
): { readonly path: string; readonly id: string } | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`
    if (isObject(item) && item.xstate$$type === 1) {
      if (Array.isArray(value) && item.path === undefined && !Object.hasOwn(children, item.id as string))
        return { path: at, id: String(item.id) }
    } else {
      const found = findLostItem(item!, children, at)
      if (found !== undefined) return found
    }
  }
  return undefined
}

/** One that is active in a final state would stay there for ever: nothing leads out of it. */
function checkEnd(machine: AnyStateMachine, { status, value }: JsonObject, path: string): void {
  if (status !== 'active' || machine.resolveState({ value: value as never, context: {} }).status !== 'done') return
  const why = `it is "active", and its state ${JSON.stringify(value)} is final: that is "done", with its \`output\``
  throw invalid(`${path}.status`, why)
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
