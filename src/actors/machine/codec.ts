import { type AnyActorLogic, createActor } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { XMachinesError } from '../errors.ts'
import type { ActorRef } from './actor-ref.ts'
import { fromPlainError, toPlainError } from './plain-error.ts'
import { type Cell, type Invocation, type RunState, type Timer, timerKey } from './state.ts'
import { isActorRef } from './state-json.ts'
import type { ActorSystem } from './system.ts'
import {
  isMachine,
  type LiveMachineSnapshot,
  type LiveRef,
  type LiveSnapshot,
  type ProcessingStatus,
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
  readonly named: readonly (readonly [name: string, timer: string])[]
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
  readonly sync?: boolean
}

interface EncodedTimer {
  readonly source: string
  readonly target: string
  readonly event: JsonValue
  readonly id: string
  readonly due: number
  readonly armed: number
  readonly index: number
}

/** Keys that stand for what JSON has no word for. A key of the user's that begins so gets the prefix once more. */
const mark = 'xmachines$'
const actorMark = `${mark}actor`
const errorMark = `${mark}error`

/** Encodes a state. Every actor that anything still refers to is in it, the stopped ones with their last snapshot. */
export function encodeState(system: ActorSystem, state: RunState): JsonValue {
  const encoder = new Encoder(state.table.cells)
  encoder.actor(system.root, { snapshot: state.snapshot, status: state.snapshot.status === 'active' ? 1 : 2 })
  for (const [ref, cell] of state.table.cells) encoder.actor(ref, cell)
  const timers = [...state.table.timers.values()].map(timer => ({
    source: encoder.reference(timer.source),
    target: encoder.reference(timer.target),
    event: encoder.value(timer.event),
    id: timer.id,
    due: timer.due,
    armed: timer.armed,
    index: timer.index,
  }))
  const encoded: EncodedState = {
    systemIds: [...state.table.systemIds].map(([id, ref]) => [id, encoder.reference(ref)]),
    timers,
    named: [...state.table.named],
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
  readonly #cells: ReadonlyMap<ActorRef, Cell>

  constructor(cells: ReadonlyMap<ActorRef, Cell>) {
    this.#cells = cells
  }

  /** Actors are encoded by walking what refers to them: a parent is always in the table before its child is needed. */
  actor(ref: ActorRef, cell: Cell): void {
    if (this.#actors.has(ref)) return
    const parent = ref._parent as ActorRef | undefined
    if (parent !== undefined) this.reference(parent)
    const entry: { -readonly [K in keyof EncodedActor]: EncodedActor[K] } = {
      session: ref.sessionId,
      id: ref.id,
      status: cell.status,
      snapshot: null,
    }
    if (parent !== undefined) {
      entry.parent = parent.sessionId
      entry.src = String(ref.src)
      if (ref.systemId !== undefined) entry.systemId = ref.systemId
      if (ref._syncSnapshot === true) entry.sync = true
    }
    this.#actors.set(ref, entry)
    entry.snapshot = this.#snapshot(cell.snapshot)
  }

  reference(ref: ActorRef): string {
    if (!this.#actors.has(ref)) {
      const cell = this.#cells.get(ref) ?? ref.last
      if (cell !== undefined) this.actor(ref, cell)
    }
    return ref.sessionId
  }

  #snapshot(snapshot: LiveSnapshot): JsonValue {
    if (!('machine' in snapshot)) return this.value(snapshot)
    const { status, value, context, historyValue, children, output, error } = snapshot as LiveMachineSnapshot
    return this.value({
      status,
      value,
      context,
      historyValue: Object.fromEntries(
        Object.entries(historyValue).map(([id, nodes]) => [id, nodes.map(node => node.id)]),
      ),
      children: Object.fromEntries(Object.entries(children).filter(([, ref]) => ref !== undefined)),
      ...(output === undefined ? {} : { output }),
      ...(error === undefined ? {} : { error }),
    })
  }

  value(value: unknown): JsonValue {
    if (typeof value !== 'object' || value === null) return value === undefined ? null : (value as JsonValue)
    if (Array.isArray(value)) return value.map(item => this.value(item))
    if (isActorRef(value)) return { [actorMark]: this.reference(value as ActorRef) }
    if (value instanceof Error) return { [errorMark]: toPlainError(value) }
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
  const cells = new Map<ActorRef, Cell>()
  const [root, ...others] = encoded.actors
  for (const actor of others) refs.set(actor.session, revive(system, actor, refs))
  for (const actor of others) {
    const ref = refs.get(actor.session)!
    const cell = { snapshot: decoder.snapshot(ref, actor.snapshot as JsonObject), status: actor.status }
    if (actor.status === 2) ref.last = cell
    else cells.set(ref, cell)
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
      cells,
      systemIds: new Map(encoded.systemIds.map(([id, session]) => [id, refs.get(session)!])),
      timers: new Map(timers.map(timer => [timerKey(timer), timer])),
      named: new Map(encoded.named),
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
      syncSnapshot: actor.sync === true,
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
    const plain = this.value(json) as Record<string, unknown>
    if (!isMachine(ref.behaviour)) return plain as unknown as LiveSnapshot
    const { children, historyValue, ...rest } = plain
    const history = Object.fromEntries(
      Object.entries(historyValue as Record<string, string[]>).map(([id, nodes]) => [
        id,
        nodes.map(node => ({ id: node })),
      ]),
    )
    const restored = ref.behaviour.restoreSnapshot!(
      { ...rest, children: {}, historyValue: history } as never,
      ref.scope as never,
    )
    return Object.assign(restored, { children }) as unknown as LiveSnapshot
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
