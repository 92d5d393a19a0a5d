import type { EventObject } from 'xstate'
import { XMachinesError } from '../errors.ts'
import { type ActorRef, isStepped, pathOf } from './actor-ref.ts'
import { kindOfLogic } from './logic-kind.ts'
import { type ActorTable, type Cell, type Invocation, type RunState, type Timer, timerKey } from './state.ts'
import type { ActorSystem } from './system.ts'
import { type ExecutableAction, type LiveMachineSnapshot, type LiveSnapshot, ProcessingStatus } from './xstate.ts'

/** What a step leaves to be done once its unit is durable, in order. */
export type Effect =
  | { readonly kind: 'action'; readonly actor: ActorRef; readonly action: ExecutableAction }
  | { readonly kind: 'receive'; readonly actor: ActorRef; readonly event: EventObject }

/** What an actor has to do while a step runs. Empty at rest. */
interface Activity {
  readonly mail: EventObject[]
  readonly deferred: (() => void)[]
  busy: boolean
  open: boolean
}

type Changing<T> = { -readonly [K in keyof T]: T[K] extends ReadonlyMap<infer A, infer B> ? Map<A, B> : T[K] }

/**
 * A step in progress: XState's actor life cycle and mailboxes over an immutable state. Whatever changes is copied first,
 * so a dropped draft leaves no trace. The order of everything is XState's own (test/actors/machine/differential).
 */
export class Draft {
  readonly system: ActorSystem
  /** The unit that is decided: its seq and its time. */
  readonly seq: number
  readonly at: number
  table: ActorTable
  readonly outputs: EventObject[] = []
  readonly effects: Effect[] = []
  /** Set when the step needs something that a run cannot hold: the step is dropped, whatever XState made of it. */
  refusal: XMachinesError | undefined = undefined
  #root: Cell | undefined
  #own: Partial<Record<keyof ActorTable, boolean>> | undefined = undefined
  #activities: Map<ActorRef, Activity> | undefined = undefined
  #armed = 0

  constructor(system: ActorSystem, from: RunState | undefined, table: ActorTable, seq: number, at: number) {
    this.system = system
    this.seq = seq
    this.at = at
    this.table = table
    this.#root =
      from === undefined ? undefined : { snapshot: from.snapshot, status: from.snapshot.status === 'active' ? 1 : 2 }
  }

  /** The root's snapshot as the step has it now. */
  get snapshot(): LiveMachineSnapshot {
    return this.snapshotOf(this.system.root) as LiveMachineSnapshot
  }

  // Reading.

  statusOf(ref: ActorRef): ProcessingStatus {
    return this.#cell(ref)?.status ?? ProcessingStatus.NotStarted
  }
  snapshotOf(ref: ActorRef): LiveSnapshot | undefined {
    return this.#cell(ref)?.snapshot
  }
  #cell(ref: ActorRef): Cell | undefined {
    return ref === this.system.root ? this.#root : (this.table.cells.get(ref) ?? ref.last)
  }

  // Writing. Maps are copied at their first change.

  #put(ref: ActorRef, cell: Cell): void {
    if (ref === this.system.root) this.#root = cell
    else if (cell.status === ProcessingStatus.Stopped) {
      ref.last = cell
      if (this.table.cells.has(ref)) this.#change('cells').cells.delete(ref)
    } else this.#change('cells').cells.set(ref, cell)
  }
  #change(...parts: (keyof ActorTable)[]): Changing<ActorTable> {
    if (this.#own === undefined) {
      this.#own = {}
      this.table = { ...this.table }
    }
    const table = this.table as Changing<ActorTable>
    for (const part of parts) {
      if (this.#own[part] === true) continue
      this.#own[part] = true
      const value: unknown = table[part]
      if (value instanceof Map) (table as Record<string, unknown>)[part] = new Map(value)
    }
    return table
  }

  book(): string {
    return `x:${this.#change('booked').booked++}`
  }
  register(systemId: string, ref: ActorRef): void {
    const holder = this.table.systemIds.get(systemId)
    if (holder === ref) return
    if (holder !== undefined) throw new Error(`Actor with system ID '${systemId}' already exists.`)
    this.#change('systemIds').systemIds.set(systemId, ref)
  }
  unregister(ref: ActorRef): void {
    if (ref.systemId !== undefined && this.table.systemIds.get(ref.systemId) === ref)
      this.#change('systemIds').systemIds.delete(ref.systemId)
  }

  // Timers.

  arm(source: ActorRef, target: ActorRef, event: EventObject, delay: number, id: string | undefined): void {
    const index = this.#armed++
    if (Number.isNaN(delay) || delay === Number.POSITIVE_INFINITY) {
      this.refusal ??= new XMachinesError(
        'STATE_NOT_JSON',
        `The delay of '${event.type}' is ${delay}. A delay is a finite number of milliseconds.`,
      )
      return
    }
    const timer: Timer = {
      source,
      target,
      event,
      id: id ?? `${this.seq}:${index}`,
      due: this.at + Math.max(0, delay),
      armed: this.seq,
      index,
    }
    const table = this.#change('timers', 'named')
    table.timers.set(timerKey(timer), timer)
    table.named.set(`${source.sessionId}.${timer.id}`, timerKey(timer))
  }
  disarm(source: ActorRef, id: string): void {
    const name = `${source.sessionId}.${id}`
    const key = this.table.named.get(name)
    if (key === undefined) return
    const table = this.#change('timers', 'named')
    table.named.delete(name)
    table.timers.delete(key)
  }
  disarmAll(source: ActorRef): void {
    for (const key of this.table.named.values()) {
      const timer = this.table.timers.get(key)
      if (timer?.source === source) this.disarm(source, timer.id)
    }
  }
  /** A timer falls due. */
  fire(timer: Timer): void {
    const table = this.#change('timers', 'named')
    table.timers.delete(timerKey(timer))
    table.named.delete(`${timer.source.sessionId}.${timer.id}`)
    timer.target._send(timer.event)
  }

  // What comes out.

  output(event: EventObject): void {
    this.outputs.push(event)
  }
  effect(actor: ActorRef, action: ExecutableAction): void {
    this.effects.push({ kind: 'action', actor, action })
  }

  // Life cycle: XState's Actor, member by member.

  /** XState is constructing an actor. Logic that has no name in the machine cannot be restored. */
  adopt(ref: ActorRef): void {
    if (typeof ref.src !== 'string') {
      this.refusal ??= new XMachinesError(
        'MACHINE_UNSUPPORTED',
        `The actor '${ref.id}' was spawned from a logic object, which cannot be restored after a restart. Register the logic in setup({ actors: { name: logic } }) and spawn it as 'name'.`,
        { details: { actor: ref.id } },
      )
    }
  }
  begin(ref: ActorRef, snapshot: LiveSnapshot): void {
    this.#put(ref, { snapshot, status: ProcessingStatus.NotStarted })
  }
  defer(ref: ActorRef, work: () => void): void {
    this.#activity(ref).deferred.push(work)
  }
  send(ref: ActorRef, event: EventObject): void {
    if (this.statusOf(ref) === ProcessingStatus.Stopped) return
    const activity = this.#activity(ref)
    activity.mail.push(event)
    if (activity.open && !activity.busy) this.#flush(ref, activity)
  }
  start(ref: ActorRef): void {
    const cell = this.#cell(ref)
    if (cell === undefined || cell.status === ProcessingStatus.Running) return
    if (ref.systemId !== undefined) this.register(ref.systemId, ref)
    this.#put(ref, { snapshot: cell.snapshot, status: ProcessingStatus.Running })
    switch (cell.snapshot.status) {
      case 'done':
        return this.#update(ref, cell.snapshot)
      case 'error':
        return this.#fail(ref, cell.snapshot.error)
    }
    if (!isStepped(ref)) {
      const invocation: Invocation = { actor: ref, path: pathOf(ref), entered: this.seq }
      this.#change('invocations').invocations.set(ref, invocation)
    } else if (ref.behaviour.start !== undefined) {
      try {
        ref.behaviour.start(cell.snapshot, ref.scope)
      } catch (error) {
        this.#put(ref, { snapshot: { ...cell.snapshot, status: 'error', error }, status: ProcessingStatus.Running })
        return this.#fail(ref, error)
      }
    }
    this.#update(ref, this.#cell(ref)!.snapshot)
    const activity = this.#activity(ref)
    activity.open = true
    this.#flush(ref, activity)
  }
  stop(ref: ActorRef): void {
    const cell = this.#cell(ref)
    if (cell === undefined || cell.status === ProcessingStatus.Stopped) return
    this.#activity(ref).mail.length = 0
    if (cell.status === ProcessingStatus.NotStarted)
      this.#put(ref, { snapshot: cell.snapshot, status: ProcessingStatus.Stopped })
    else this.send(ref, { type: 'xstate.stop' })
  }

  #activity(ref: ActorRef): Activity {
    this.#activities ??= new Map()
    let activity = this.#activities.get(ref)
    if (activity === undefined) {
      activity = { mail: [], deferred: [], busy: false, open: this.statusOf(ref) === ProcessingStatus.Running }
      this.#activities.set(ref, activity)
    }
    return activity
  }
  #flush(ref: ActorRef, activity: Activity): void {
    if (activity.busy) return
    activity.busy = true
    for (let event = activity.mail.shift(); event !== undefined; event = activity.mail.shift())
      this.#process(ref, event)
    activity.busy = false
  }
  #process(ref: ActorRef, event: EventObject): void {
    const cell = this.#cell(ref)!
    let next: LiveSnapshot
    try {
      next = isStepped(ref)
        ? ref.behaviour.transition(cell.snapshot, event, ref.scope)
        : this.#transitionOutside(ref, cell.snapshot, event)
    } catch (error) {
      this.#activity(ref).deferred.length = 0
      this.#put(ref, { snapshot: { ...cell.snapshot, status: 'error', error }, status: cell.status })
      return this.#fail(ref, error)
    }
    this.#update(ref, next)
    if (event.type === 'xstate.stop') this.#retire(ref)
  }
  /** Logic that runs outside keeps live things that are not here: what would touch them is an effect instead. */
  #transitionOutside(ref: ActorRef, snapshot: LiveSnapshot, event: EventObject): LiveSnapshot {
    if (event.type === 'xstate.stop') return { ...snapshot, status: 'stopped', input: undefined }
    const kind = kindOfLogic(ref.behaviour)
    if (kind !== 'callback') {
      return isOwnMail(event) ? ref.behaviour.transition(snapshot, event, ref.scope) : snapshot
    }
    if (event.type === 'xstate.observable.error')
      return { ...snapshot, status: 'error', error: (event as { data?: unknown }).data, input: undefined }
    this.effects.push({ kind: 'receive', actor: ref, event })
    return snapshot
  }
  #update(ref: ActorRef, snapshot: LiveSnapshot): void {
    this.#put(ref, { snapshot, status: this.statusOf(ref) })
    const deferred = this.#activities?.get(ref)?.deferred
    if (deferred !== undefined) {
      for (let work = deferred.shift(); work !== undefined; work = deferred.shift()) {
        try {
          work()
        } catch (error) {
          deferred.length = 0
          this.#put(ref, { snapshot: { ...snapshot, status: 'error', error }, status: this.statusOf(ref) })
        }
      }
    }
    const now = this.#cell(ref)!.snapshot
    switch (now.status) {
      case 'active':
        if (ref._syncSnapshot === true)
          ref._parent?._send({ type: `xstate.snapshot.${ref.id}`, snapshot } as EventObject)
        break
      case 'done':
        this.#retire(ref)
        ref._parent?._send({ type: `xstate.done.actor.${ref.id}`, output: now.output, actorId: ref.id } as EventObject)
        break
      case 'error':
        this.#fail(ref, now.error)
    }
  }
  #fail(ref: ActorRef, error: unknown): void {
    this.#retire(ref)
    ref._parent?._send({ type: `xstate.error.actor.${ref.id}`, error, actorId: ref.id } as EventObject)
  }
  #retire(ref: ActorRef): void {
    const cell = this.#cell(ref)!
    if (cell.status !== ProcessingStatus.Running) return
    this.disarmAll(ref)
    const activity = this.#activities?.get(ref)
    if (activity !== undefined) {
      activity.mail.length = 0
      activity.open = false
    }
    this.#put(ref, { snapshot: cell.snapshot, status: ProcessingStatus.Stopped })
    if (this.table.invocations.has(ref)) this.#change('invocations').invocations.delete(ref)
    this.unregister(ref)
  }

  /** The state that the step arrived at. */
  result(): RunState {
    return { snapshot: this.snapshot, table: this.table }
  }
}

/** What promises and observables tell themselves; anything else sent to them has no effect, as in XState. */
function isOwnMail(event: EventObject): boolean {
  return event.type.startsWith('xstate.promise.') || event.type.startsWith('xstate.observable.')
}
