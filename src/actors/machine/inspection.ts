import type { AnyStateMachine, EventObject, InspectionEvent, Observer } from 'xstate'
import type { Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import type { ActorRef } from './actor-ref.ts'
import { readTold } from './outcome.ts'
import { type ActorTable, emptyTable, findInvocation, type RunState } from './state.ts'
import type { LiveSnapshot } from './xstate.ts'

/** One of XState's inspection events, with its place in the run's history. */
export type RunInspectionEvent = InspectionEvent & {
  readonly seq: number
  /** The unit's time, ms. */
  readonly at: number
}

/** Who inspects: as `createActor(machine, { inspect })` takes it. */
export type Inspect = Observer<RunInspectionEvent> | ((event: RunInspectionEvent) => void)

/** An actor as inspectors see it: what they read of XState's references, and nothing that acts. */
interface InspectedRef {
  readonly id: string
  readonly sessionId: string
  readonly systemId: string | undefined
  readonly src: unknown
  readonly logic: unknown
  readonly _parent: InspectedRef | undefined
  /** As of the last inspection event of it. */
  getSnapshot(): LiveSnapshot | undefined
  send(): never
  toJSON(): object
}

/** What is inspected of a unit. */
type InspectedUnit = Pick<Unit, 'seq' | 'at' | 'events' | 'origin' | 'machine' | 'creation'>

/**
 * Tells of a run's units as XState tells of an actor's events: `@xstate.actor` for each actor, `@xstate.event` for what came,
 * `@xstate.snapshot` for what it led to.
 *
 * A unit is atomic: events that actors sent each other within it are not shown, nor the states in between. Session ids are the
 * run's id for the root and `<run id>/<number>` for the others, so that inspectors can show several runs side by side.
 */
export class Inspection {
  readonly #tell: (event: RunInspectionEvent) => void
  readonly #run: string
  readonly #name: string | undefined
  readonly #refs = new Map<string, { readonly ref: InspectedRef; snapshot: LiveSnapshot | undefined }>()
  #table: ActorTable = emptyTable

  /** @param name what the root is called. @default the machine's id */
  constructor(inspect: Inspect, run: string, name: string | undefined) {
    this.#tell = typeof inspect === 'function' ? inspect : event => inspect.next?.(event)
    this.#run = run
    this.#name = name
  }

  /** The run as it is found at `unit`: every actor is shown anew. */
  begin(unit: Pick<InspectedUnit, 'seq' | 'at'>, state: RunState, machine: AnyStateMachine, input?: unknown): void {
    this.#refs.clear()
    this.#table = emptyTable
    const root = this.#enter(this.#run, undefined, machine, state.snapshot)
    const init = { type: 'xstate.init', input } as EventObject
    this.#say(unit, { type: '@xstate.actor', actorRef: root })
    this.#say(unit, { type: '@xstate.event', actorRef: root, event: init, sourceRef: undefined })
    this.#follow(unit, state, init)
  }

  /** The next unit, and what it led to. @param machine as its author made it */
  next(unit: InspectedUnit, state: RunState, machine: AnyStateMachine): void {
    if (this.#refs.size === 0 || unit.machine !== undefined)
      return this.begin(unit, state, machine, unit.creation?.input)
    const events = this.#received(unit)
    for (const { to, event, from } of events)
      this.#say(unit, { type: '@xstate.event', actorRef: to, event, sourceRef: from })
    const last = events.findLast(({ to }) => to.sessionId === this.#run) ?? events.at(-1)
    this.#follow(unit, state, last?.event ?? { type: `xmachines.${unit.origin.kind}` })
  }

  /** What came to which actor. */
  #received({ origin, events }: InspectedUnit): readonly { to: InspectedRef; event: EventObject; from: unknown }[] {
    const root = this.#refs.get(this.#run)!.ref
    switch (origin.kind) {
      case 'timer': {
        const timer = this.#table.timers.find(origin.armed, origin.index)
        if (timer === undefined) return []
        return [{ to: this.#refOf(timer.target) ?? root, event: timer.event, from: this.#refOf(timer.source) }]
      }
      case 'effect': {
        const actor = findInvocation({ table: this.#table }, origin)?.actor
        const from = actor && this.#refOf(actor)
        return events.map(recorded => {
          const { to, event } = readTold(recorded)
          return { to: (to === 'self' ? from : from?._parent) ?? root, event, from }
        })
      }
      case 'stop':
        return [{ to: root, event: { type: 'xstate.stop' }, from: undefined }]
      case 'mail':
      case 'child':
      case 'undelivered':
        // Another run is known by its session id, should it be inspected too.
        return events.map(event => ({ to: root, event, from: { sessionId: origin.run, id: origin.run } }))
      default:
        return events.map(event => ({ to: root, event, from: undefined }))
    }
  }

  /** Actors that came, changed or went; the root last, as in XState. */
  #follow(unit: Pick<InspectedUnit, 'seq' | 'at'>, { snapshot, table }: RunState, event: EventObject): void {
    const before = this.#table
    this.#table = table
    for (const [actor, now] of table.actors) {
      if (before.actors.get(actor) === now) continue
      const known = this.#refs.get(this.#sessionOf(actor))
      if (known === undefined) this.#come(unit, actor, now)
      else this.#show(unit, known.ref, now, event)
    }
    // What moved the root is what it was told last: the outcome of a promise is told to the promise, and its end to the root.
    const root = this.#refs.get(this.#run)!.ref
    let last = event
    for (const actor of before.actors.keys()) {
      const end = table.actors.has(actor) ? undefined : this.#go(unit, actor, event)
      if (end?.to === root) last = end.event
    }
    this.#show(unit, root, snapshot, last)
  }

  #come(unit: Pick<InspectedUnit, 'seq' | 'at'>, actor: ActorRef, snapshot: LiveSnapshot): void {
    const parent = actor._parent && this.#refOf(actor._parent as ActorRef)
    const ref = this.#enter(this.#sessionOf(actor), actor, actor.behaviour, snapshot, parent)
    const init = { type: 'xstate.init', input: actor.options?.input } as EventObject
    this.#say(unit, { type: '@xstate.actor', actorRef: ref })
    this.#say(unit, { type: '@xstate.event', actorRef: ref, event: init, sourceRef: parent })
    this.#show(unit, ref, snapshot, init)
  }

  /** An actor that ended tells its parent so: what it tells. */
  #go(
    unit: Pick<InspectedUnit, 'seq' | 'at'>,
    actor: ActorRef,
    event: EventObject,
  ): { readonly to: InspectedRef; readonly event: EventObject } | undefined {
    const ref = this.#refOf(actor)
    const last = actor.last?.snapshot
    if (ref === undefined || last === undefined) return undefined
    this.#show(unit, ref, last, event)
    this.#refs.delete(ref.sessionId)
    const { status, output, error } = last
    if (ref._parent === undefined || (status !== 'done' && status !== 'error')) return undefined
    const told = { actorId: actor.id, ...(status === 'done' ? { output } : { error }) }
    const end = { type: `xstate.${status}.actor.${actor.id}`, ...told }
    this.#say(unit, { type: '@xstate.event', actorRef: ref._parent, event: end, sourceRef: ref })
    return { to: ref._parent, event: end }
  }

  #show(unit: Pick<InspectedUnit, 'seq' | 'at'>, ref: InspectedRef, snapshot: LiveSnapshot, event: EventObject): void {
    this.#refs.get(ref.sessionId)!.snapshot = snapshot
    this.#say(unit, { type: '@xstate.snapshot', actorRef: ref, event, snapshot })
  }

  #say({ seq, at }: Pick<InspectedUnit, 'seq' | 'at'>, event: object): void {
    this.#tell({ ...event, rootId: this.#run, seq, at } as unknown as RunInspectionEvent)
  }

  #sessionOf(actor: ActorRef): string {
    return actor === actor.system.root ? this.#run : `${this.#run}/${actor.sessionId.slice('x:'.length)}`
  }

  #refOf(actor: ActorRef): InspectedRef | undefined {
    return this.#refs.get(this.#sessionOf(actor))?.ref
  }

  #enter(
    sessionId: string,
    actor: ActorRef | undefined,
    logic: unknown,
    snapshot: LiveSnapshot,
    parent?: InspectedRef,
  ): InspectedRef {
    const id = actor?.id ?? this.#name ?? (logic as AnyStateMachine).id
    const entry = { ref: undefined as unknown as InspectedRef, snapshot: snapshot as LiveSnapshot | undefined }
    entry.ref = {
      id,
      sessionId,
      systemId: actor?.systemId,
      src: actor?.src ?? logic,
      logic,
      _parent: parent,
      getSnapshot: () => entry.snapshot,
      send: cannotSend,
      toJSON: () => ({ xstate$$type: 1, id }),
    }
    this.#refs.set(sessionId, entry)
    return entry.ref
  }
}

function cannotSend(): never {
  throw new XMachinesError(
    'MACHINE_UNSUPPORTED',
    'An inspected actor only shows itself. Send to the run: `run.apply` or `run.actorRef.send`.',
  )
}
