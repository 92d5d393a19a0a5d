import { type AnyActorLogic, type AnyStateMachine, assign, createActor } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import type { ActorRef } from './actor-ref.ts'
import { fromPlainError, isError, toPlainError } from './plain-error.ts'
import type { Invocation, RunState } from './state.ts'
import { findFlaw, isActorRef } from './state-json.ts'
import type { ActorSystem } from './system.ts'
import { type Timer, Timers } from './timers.ts'
import {
  isMachine,
  type LiveAssign,
  type LiveMachineSnapshot,
  type LiveNode,
  type LiveRef,
  type LiveSnapshot,
  nodesOf,
  ProcessingStatus,
  resolveSource,
} from './xstate.ts'

/** The version of the encoding: part of every stored snapshot. One that is not known is not used. */
export const stateFormat = 1

/**
 * A run's state as JSON: a flat table of actors, the root first, parents before their children. References are session
 * ids, so whatever holds one (contexts, timers, outputs, delayed events) is restored to the same actor.
 */
interface EncodedState {
  readonly actors: readonly EncodedActor[]
  readonly systemIds: readonly (readonly [systemId: string, session: string])[]
  readonly timers: readonly EncodedTimer[]
  readonly invocations: readonly {
    readonly actor: string
    readonly path: readonly string[]
    readonly entered: number
  }[]
  readonly booked: number
}

interface EncodedActor {
  readonly session: string
  readonly id: string
  readonly status: ProcessingStatus
  readonly snapshot: JsonValue
  /** All but the root. */
  readonly parent?: string
  readonly src?: string
  readonly systemId?: string
  /** Whether its snapshots are sent to its parent; `null`: nobody said, which XState persists in another way than `false`. */
  readonly sync?: true | null
}

interface EncodedTimer {
  readonly source: string
  readonly target: string
  readonly event: JsonValue
  readonly id: string
  readonly named: boolean
  readonly due: number
  readonly armed: number
  readonly index: number
}

/** A machine's snapshot. */
interface EncodedSnapshot {
  readonly status: LiveSnapshot['status']
  readonly value: JsonValue
  readonly context: JsonValue
  /** The active nodes as XState has them: their order decides the order of eventless transitions. */
  readonly nodes: readonly string[]
  readonly history?: Readonly<Record<string, readonly string[]>>
  readonly children?: readonly (readonly [key: string, actor: string])[]
  readonly output?: JsonValue
  readonly error?: JsonValue
}

/** Keys that stand for what JSON has no word for. A key of the user's that begins so gets the prefix once more. */
const mark = 'xmachines$'
const actorMark = `${mark}actor`
const errorMark = `${mark}error`

/** Encodes a state. Every actor that anything still refers to is in it, the stopped ones with their last snapshot. */
export function encodeState(system: ActorSystem, state: RunState): JsonValue {
  const encoder = new Encoder(state.table.actors)
  encoder.actor(system.root, state.snapshot, state.snapshot.status === 'active' ? 1 : 2)
  for (const ref of state.table.actors.keys()) encoder.reference(ref)
  const timers = [...state.table.timers.values()].map(timer => ({
    source: encoder.reference(timer.source),
    target: encoder.reference(timer.target),
    event: encoder.value(timer.event),
    id: timer.id,
    named: timer.named,
    due: timer.due,
    armed: timer.armed,
    index: timer.index,
  }))
  const encoded: EncodedState = {
    systemIds: [...state.table.systemIds].map(([id, ref]) => [id, encoder.reference(ref)]),
    timers,
    invocations: [...state.table.invocations.values()].map(({ actor, path, entered }) => ({
      actor: encoder.reference(actor),
      path,
      entered,
    })),
    booked: state.table.booked,
    actors: encoder.finish(),
  }
  return encoded as unknown as JsonValue
}

class Encoder {
  readonly #actors = new Map<ActorRef, EncodedActor>()
  readonly #running: ReadonlyMap<ActorRef, LiveSnapshot>

  constructor(running: ReadonlyMap<ActorRef, LiveSnapshot>) {
    this.#running = running
  }

  /** Actors are encoded by walking what refers to them: a parent is always in the table before its child is needed. */
  actor(ref: ActorRef, snapshot: LiveSnapshot, status: ProcessingStatus): void {
    if (this.#actors.has(ref)) return
    const parent = ref._parent as ActorRef | undefined
    if (parent !== undefined) this.reference(parent)
    const entry: { -readonly [K in keyof EncodedActor]: EncodedActor[K] } = {
      session: ref.sessionId,
      id: ref.id,
      status,
      snapshot: null,
    }
    if (parent !== undefined) {
      entry.parent = parent.sessionId
      entry.src = String(ref.src)
      if (ref.systemId !== undefined) entry.systemId = ref.systemId
      if (ref._syncSnapshot !== false) entry.sync = ref._syncSnapshot === true ? true : null
    }
    this.#actors.set(ref, entry)
    entry.snapshot = this.#snapshot(snapshot)
  }

  reference(ref: ActorRef): string {
    if (!this.#actors.has(ref)) {
      const running = this.#running.get(ref)
      if (running !== undefined) this.actor(ref, running, ProcessingStatus.Running)
      else if (ref.last !== undefined) this.actor(ref, ref.last.snapshot, ref.last.status)
    }
    return ref.sessionId
  }

  #snapshot(snapshot: LiveSnapshot): JsonValue {
    if (!('_nodes' in snapshot))
      return this.value(snapshot.error === undefined ? snapshot : { ...snapshot, error: asError(snapshot.error) })
    const { status, value, context, historyValue, children, output, error, _nodes } = snapshot as LiveMachineSnapshot
    const history = Object.entries(historyValue).map(([id, nodes]) => [id, nodes.map(node => node.id)])
    // As a list: children are stopped in their order, which a store may not keep in an object.
    const refs = Object.entries(children).filter(([, ref]) => ref !== undefined)
    const encoded: EncodedSnapshot = {
      status,
      value: value as JsonValue,
      context: this.value(context),
      nodes: _nodes.map(node => node.id),
      ...(history.length === 0 ? undefined : { history: Object.fromEntries(history) }),
      ...(refs.length === 0
        ? undefined
        : { children: refs.map(([key, ref]) => [key, this.reference(ref as ActorRef)]) }),
      ...(output === undefined ? undefined : { output: this.value(output) }),
      ...(error === undefined ? undefined : { error: this.value(asError(error)) }),
    }
    return encoded as unknown as JsonValue
  }

  value(value: unknown): JsonValue {
    if (typeof value !== 'object' || value === null) return value === undefined ? null : (value as JsonValue)
    if (Array.isArray(value)) return value.map(item => this.value(item))
    if (isActorRef(value)) return { [actorMark]: this.reference(value as ActorRef) }
    if (isError(value)) return { [errorMark]: toPlainError(value) }
    const result: Record<string, JsonValue> = {}
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined && typeof item !== 'function')
        result[key.startsWith(mark) ? mark + key : key] = this.value(item)
    }
    return result
  }

  finish(): readonly EncodedActor[] {
    return [...this.#actors.values()]
  }
}

/** Rebuilds a state that {@link encodeState} gave, over a fresh system. Starts nothing, enters nothing. */
export function decodeState(system: ActorSystem, json: JsonValue): RunState {
  const encoded = json as unknown as EncodedState
  const refs = new Map<string, ActorRef>([[system.root.sessionId, system.root]])
  const decoder = new Decoder(refs)
  const actors = new Map<ActorRef, LiveSnapshot>()
  const [root, ...others] = encoded.actors
  for (const actor of others) refs.set(actor.session, revive(system, actor, refs))
  for (const actor of others) {
    const ref = refs.get(actor.session)!
    const snapshot = decoder.snapshot(ref, actor.snapshot as JsonObject)
    if (actor.status === ProcessingStatus.Running) actors.set(ref, snapshot)
    else ref.last = { snapshot, status: actor.status }
  }
  const timers = encoded.timers.map(
    (timer): Timer => ({
      ...timer,
      source: refs.get(timer.source)!,
      target: refs.get(timer.target)!,
      event: decoder.value(timer.event) as Timer['event'],
    }),
  )
  return {
    snapshot: decoder.snapshot(system.root, root!.snapshot as JsonObject) as LiveMachineSnapshot,
    table: {
      actors,
      systemIds: new Map(encoded.systemIds.map(([id, session]) => [id, refs.get(session)!])),
      timers: Timers.of(timers),
      invocations: new Map(
        encoded.invocations.map((item): [ActorRef, Invocation] => [
          refs.get(item.actor)!,
          { ...item, actor: refs.get(item.actor)! },
        ]),
      ),
      booked: encoded.booked,
    },
  }
}

/** Has XState construct the reference of an actor, as `spawn` would, but with its recorded session id and nothing started. */
function revive(system: ActorSystem, actor: EncodedActor, refs: ReadonlyMap<string, ActorRef>): ActorRef {
  const parent = refs.get(actor.parent!)!
  const logic = isMachine(parent.behaviour) ? resolveSource(parent.behaviour, actor.src!) : undefined
  if (logic === undefined) {
    throw new XMachinesError(
      'MACHINE_MISMATCH',
      `The machine has no actor '${actor.src}' any more, which '${actor.id}' of a stored state needs.`,
      { details: { actor: actor.id, src: actor.src } },
    )
  }
  return system.revive(actor.session, () => {
    const options = {
      id: actor.id,
      parent,
      src: actor.src,
      syncSnapshot: actor.sync === null ? undefined : actor.sync === true,
      systemId: actor.systemId,
      snapshot: { status: 'active' },
    }
    return createActor(
      logic as AnyActorLogic,
      options as unknown as NonNullable<Parameters<typeof createActor>[1]>,
    ) as unknown as LiveRef
  })
}

class Decoder {
  readonly #refs: ReadonlyMap<string, ActorRef>
  constructor(refs: ReadonlyMap<string, ActorRef>) {
    this.#refs = refs
  }

  snapshot(ref: ActorRef, json: JsonObject): LiveSnapshot {
    const { behaviour, scope } = ref
    // A machine that failed at its start may have no state at all.
    if (!isMachine(behaviour) || json.nodes === undefined) return this.value(json) as LiveSnapshot
    const { status, value, nodes, history = {}, children = [], ...rest } = json as unknown as EncodedSnapshot
    const active = nodes.map(id => nodeOf(behaviour, id))
    // References and history are put in afterwards: XState would look for references through everything a context holds,
    // and takes the ids of nodes apart at their dots.
    const restored = behaviour.restoreSnapshot(
      { status, value, context: {}, children: {}, historyValue: {} } as never,
      scope as never,
    ) as unknown as LiveMachineSnapshot
    const merged: LiveMachineSnapshot = {
      ...restored,
      _nodes: active,
      historyValue: Object.fromEntries(
        Object.entries(history).map(([id, nodes]) => [id, nodes.map(node => nodeOf(behaviour, node))]),
      ),
      children: Object.fromEntries(children.map(([key, actor]) => [key, this.#refs.get(actor)])),
      context: this.value(rest.context) as LiveMachineSnapshot['context'],
      output: this.value(rest.output),
      error: this.value(rest.error),
    }
    return nothing.resolve(scope, merged, { context: merged.context }, undefined, nothing, undefined)[0]
  }

  value(json: JsonValue | undefined): unknown {
    if (typeof json !== 'object' || json === null) return json
    if (Array.isArray(json)) return json.map(item => this.value(item as JsonValue))
    const source = json as JsonObject
    if (typeof source[actorMark] === 'string') return this.#refs.get(source[actorMark])
    if (source[errorMark] !== undefined) return fromPlainError(source[errorMark] as JsonObject)
    const result: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(source))
      result[key.startsWith(mark) ? key.slice(mark.length) : key] = this.value(item)
    return result
  }
}

function nodeOf(machine: AnyStateMachine, id: string): LiveNode {
  const node = nodesOf(machine).get(id)
  if (node !== undefined) return node
  throw new XMachinesError(
    'MACHINE_MISMATCH',
    `The machine '${machine.id}' has no state '${id}' any more, which a stored state is in.`,
    { details: { machine: machine.id, node: id } },
  )
}

/** Has XState derive the value and the tags anew: their order follows that of the nodes. */
const nothing = assign({}) as unknown as LiveAssign

/** What ended an actor can be anything that can be thrown: what is not JSON is kept as its text. */
function asError(thrown: unknown): unknown {
  return isError(thrown) || findFlaw(thrown, undefined, 'error') === undefined ? thrown : new Error(messageOf(thrown))
}
