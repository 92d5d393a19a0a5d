import { type AnyStateMachine, spawnChild } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyJson } from '../json/json-copy.ts'
import type { ActorRef } from './actor-ref.ts'
import { argsOf, armAfter, restoreActors } from './adoption.ts'
import { actorPaths, withActors } from './carried-references.ts'
import type { Draft } from './draft.ts'
import { type Migration, migrationFailed, type PersistedState } from './migration.ts'
import { carriedHistory } from './persisted-history.ts'
import { pathsIn, persistedState, type Standing, snapshotIn } from './persisted-state.ts'
import { fromPlainError } from './plain-error.ts'
import type { Invocation, RunState } from './state.ts'
import type { Timer } from './timers.ts'
import {
  type After,
  afterOf,
  isMachine,
  type LiveInvoke,
  type LiveMachineSnapshot,
  type LiveNode,
  type LiveSpawn,
  resolveSource,
} from './xstate.ts'

/**
 * Begins a draft with the state of another machine, mapped. What was pending goes on where its state and actor are still
 * there and active; what active states lack begins now; nothing is entered again (semantics 26).
 *
 * @param recorded it is in the history already
 * @throws `MIGRATION_FAILED`
 */
export function carryOver(draft: Draft, past: Standing, steps: readonly Migration[], recorded: boolean): void {
  const mapped = steps.reduce(mapState, persistedState(past))
  try {
    const root = draft.system.root.behaviour as unknown as AnyStateMachine
    const machines = restoreActors(draft, fitting(mapped, past.system.root, past, root, '$'), recorded)
    const before = new Map([...pathsIn(past)].map(([ref, path]) => [JSON.stringify(path), ref]))
    const running = new Set(draft.touched())
    const [went, came] = [new Map<ActorRef, ActorRef>(), new Map<ActorRef, ActorRef>()]
    for (const [ref, path] of actorPaths(draft.system.root, ref => draft.snapshotOf(ref))) {
      const old = before.get(JSON.stringify(path))
      if (old === undefined || !running.has(ref)) continue
      went.set(old, ref)
      came.set(ref, old)
    }
    const changes = machines.map(ref => new Change(draft, ref, snapshotIn(past, came.get(ref))))
    draft.carry(
      past.state.table.timers.values().flatMap(timer => carriedTimer(timer, went, changes)),
      [...past.state.table.invocations.values()].flatMap((invocation): readonly Invocation[] => {
        const actor = went.get(invocation.actor)
        return actor === undefined ? [] : [{ ...invocation, actor }]
      }),
    )
    for (const change of changes) change.begin()
  } catch (thrown) {
    if (XMachinesError.is(thrown, 'MIGRATION_FAILED')) throw thrown
    const why = XMachinesError.is(thrown, 'SNAPSHOT_INVALID')
      ? `what it gave does not fit. ${thrown.message}`
      : messageOf(thrown)
    throw migrationFailed(why.replace(/\.$/, ''), thrown)
  }
}

/** A machine among the actors: how it was, and what begins in it. */
class Change {
  readonly ref: ActorRef
  readonly #draft: Draft
  /** Where the timers of the old machine's `after` transitions went, by their old ids. */
  readonly moved = new Map<string, After>()
  readonly #lackingTimers: After[] = []
  readonly #lackingInvocations: LiveInvoke[] = []

  constructor(draft: Draft, ref: ActorRef, past: LiveMachineSnapshot | undefined) {
    this.#draft = draft
    this.ref = ref
    const { _nodes, status, children } = draft.snapshotOf(ref) as LiveMachineSnapshot
    if (status !== 'active') return
    const had = activeNodes(past)
    for (const node of _nodes) {
      const old = had.get(placeOf(node))
      this.#pair(old === undefined ? [] : afterOf(old), afterOf(node))
      // One that is over already, or that the machine stopped itself, is not lacking.
      for (const invoke of node.invoke) {
        const same = old?.invoke.some(({ id, src }) => id === invoke.id && src === invoke.src) === true
        if (children[invoke.id] === undefined && !same) this.#lackingInvocations.push(invoke)
      }
    }
  }

  /** By their delay, what is left by their order: a timer whose delay alone changed keeps its due time. */
  #pair(before: readonly After[], now: readonly After[]): void {
    const left = new Set(before)
    const take = (old: After | undefined, after: After): boolean => {
      if (old === undefined) return false
      left.delete(old)
      this.moved.set(old.id, after)
      return true
    }
    const unpaired = now.filter(
      after =>
        !take(
          [...left].find(old => old.delay === after.delay),
          after,
        ),
    )
    this.#lackingTimers.push(...unpaired.filter(after => !take([...left][0], after)))
  }

  /** What active states lack begins. Children are started once all of them are there, as XState does. */
  begin(): void {
    const { ref } = this
    for (const after of this.#lackingTimers) armAfter(this.#draft, ref, after)
    if (this.#lackingInvocations.length === 0) return
    let snapshot = this.#draft.snapshotOf(ref) as LiveMachineSnapshot
    for (const { id, src, systemId, input, onSnapshot } of this.#lackingInvocations) {
      const options = { id, systemId, input, syncSnapshot: onSnapshot !== undefined }
      const spawn = spawnChild(src as never, options as never) as unknown as LiveSpawn
      snapshot = spawn.resolve(ref.scope, snapshot, argsOf(ref, snapshot), undefined, spawn, undefined)[0]
    }
    this.#draft.begin(ref, snapshot)
    for (const { id } of this.#lackingInvocations) snapshot.children[id]?.start()
  }
}

/** Timers go on with their source and target; one of an `after` transition under the name that it has now. */
function carriedTimer(
  timer: Timer,
  went: ReadonlyMap<ActorRef, ActorRef>,
  changes: readonly Change[],
): readonly Timer[] {
  const [source, target] = [went.get(timer.source), went.get(timer.target)]
  if (source === undefined || target === undefined) return []
  if (!timer.id.startsWith('xstate.after.')) return [{ ...timer, source, target, event: withActors(timer.event, went) }]
  const after = changes.find(({ ref }) => ref === source)?.moved.get(timer.id)
  return after === undefined ? [] : [{ ...timer, source, target, id: after.id, event: after.event }]
}

/**
 * The state, as far as it can go on: without the children whose invoking state is left or invokes other logic now. Its value
 * is completed: a state that has states of its own now is in its initial one.
 */
function fitting(
  persisted: JsonObject,
  ref: ActorRef | undefined,
  past: Standing,
  machine: AnyStateMachine,
  path: string,
): JsonObject {
  const { children = {}, value, historyValue } = persisted as Partial<PersistedState> & JsonObject
  if (value === undefined) return persisted
  const resolved = resolve(machine, value, path)
  const wanted = new Map(resolved._nodes.flatMap(node => node.invoke.map(({ id, src }) => [id, src] as const)))
  const before = snapshotIn(past, ref)
  const had = new Set([...activeNodes(before).values()].flatMap(node => node.invoke.map(({ id }) => id)))
  const kept = Object.entries(children).flatMap(([id, child]): readonly (readonly [string, JsonObject])[] => {
    if (wanted.has(id) ? wanted.get(id) !== child.src : had.has(id)) return []
    const logic = typeof child.src === 'string' ? resolveSource(machine, child.src) : undefined
    if (!isMachine(logic) || typeof child.snapshot !== 'object' || child.snapshot === null)
      return [[id, child as never]]
    const inner = before?.children[id] as ActorRef | undefined
    const snapshot = fitting(child.snapshot, inner, past, logic, `${path}.children.${id}.snapshot`)
    return [[id, { ...child, snapshot } as never]]
  })
  return {
    ...persisted,
    value: resolved.value as JsonValue,
    children: Object.fromEntries(kept),
    ...(historyValue !== undefined && { historyValue: carriedHistory(historyValue, before?.machine, machine) }),
  }
}

function resolve(machine: AnyStateMachine, value: JsonValue, path: string): LiveMachineSnapshot {
  try {
    return machine.resolveState({ value: value as never, context: {} }) as unknown as LiveMachineSnapshot
  } catch (thrown) {
    const why = `${path}.value ${JSON.stringify(value)} is no state of the machine '${machine.id}' (${messageOf(thrown)}). Map it with \`state\``
    throw migrationFailed(why, thrown, { path: `${path}.value` })
  }
}

/** The nodes that a machine is in, by their place in it. */
function activeNodes(snapshot: LiveMachineSnapshot | undefined): ReadonlyMap<string, LiveNode> {
  return new Map(snapshot?._nodes.map(node => [placeOf(node), node]))
}

/** A node's id without the machine's, which is the first part of it: the machine may have got another one. */
function placeOf({ id, machine }: LiveNode): string {
  return id === machine.id ? '' : id.startsWith(`${machine.id}.`) ? id.slice(machine.id.length) : `#${id}`
}

function mapState(persisted: JsonObject, { state, from }: Migration): JsonObject {
  if (state === undefined) return persisted
  const name = typeof from === 'string' ? `\`state\` from '${from}'` : '`state`'
  let mapped: unknown
  try {
    mapped = state(structuredClone(persisted) as unknown as PersistedState)
  } catch (thrown) {
    throw migrationFailed(`${name} threw: ${messageOf(thrown)}`, thrown)
  }
  if (typeof mapped !== 'object' || mapped === null || Array.isArray(mapped))
    throw migrationFailed(
      `${name} returned ${mapped === null ? 'null' : typeof mapped}, not a persisted state`,
      undefined,
    )
  return copyJson(
    mapped,
    { code: 'MIGRATION_FAILED', name: `What ${name} returned` },
    { undefinedIsAbsent: true },
  ) as JsonObject
}

/** A run that had failed goes on with its error, which is plain in what XState persists. */
export function withError({ snapshot, table }: RunState): RunState {
  const { error } = snapshot
  if (typeof error !== 'object' || error === null || !('message' in error)) return { snapshot, table }
  return { snapshot: { ...snapshot, error: fromPlainError(error as JsonObject) }, table }
}
