import type { EventObject } from 'xstate'
import type { RecordedEvent } from '../contracts/json.ts'
import type { ActorPath, SentMail } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { copyJson } from '../json/json-copy.ts'
import { type ActorRef, pathOf } from './actor-ref.ts'
import type { Effect } from './effect.ts'
import { kindOfLogic } from './logic-kind.ts'
import type { Spawning } from './send-action.ts'
import { type ActorTable, emptyTable, type Invocation, isPath, type RunState } from './state.ts'
import type { ActorSystem } from './system.ts'
import { type Timer, Timers } from './timers.ts'
import { type LiveMachineSnapshot, type LiveSnapshot, ProcessingStatus } from './xstate.ts'

/** An actor that the step has touched: what becomes of it, its mailbox, and what it does after its transition. */
class Acting {
  readonly ref: ActorRef
  /** As it was before the step. */
  readonly before: LiveSnapshot | undefined
  readonly was: ProcessingStatus
  snapshot: LiveSnapshot | undefined
  status: ProcessingStatus
  /** It takes mail: not before the end of its start. */
  open: boolean
  busy = false
  mail: EventObject[] | undefined = undefined
  deferred: (() => void)[] | undefined = undefined

  constructor(ref: ActorRef, snapshot: LiveSnapshot | undefined, status: ProcessingStatus) {
    this.ref = ref
    this.before = snapshot
    this.was = status
    this.snapshot = snapshot
    this.status = status
    this.open = status === ProcessingStatus.Running
  }
}

/**
 * A step in progress: XState's actor life cycle and mailboxes over an immutable state. Whatever changes is kept here until
 * the step stands, so a dropped draft leaves no trace. The order of everything is XState's own (test/actors/machine).
 */
export class Draft {
  readonly system: ActorSystem
  /** The unit that is decided: its seq and its time. */
  readonly seq: number
  readonly at: number
  /** Set when the step needs something that a run cannot hold: the step is dropped, whatever XState made of it. */
  refusal: XMachinesError | undefined = undefined
  outputs: RecordedEvent[] | undefined = undefined
  effects: Effect[] | undefined = undefined
  readonly #from: ActorTable
  readonly #root: Acting
  #others: Map<ActorRef, Acting> | undefined = undefined
  #systemIds: Map<string, ActorRef> | undefined = undefined
  #invocations: Map<ActorRef, Invocation> | undefined = undefined
  #timers: Timers
  #armed = 0
  #booked: number

  /** @param booked of a run that begins anew with a state of before: how many session ids it has given out */
  constructor(system: ActorSystem, from: RunState | undefined, seq: number, at: number, booked?: number) {
    this.system = system
    this.seq = seq
    this.at = at
    this.#from = from?.table ?? (booked === undefined ? emptyTable : { ...emptyTable, booked })
    this.#timers = this.#from.timers
    this.#booked = this.#from.booked
    const status = from === undefined ? 0 : from.snapshot.status === 'active' ? 1 : 2
    this.#root = new Acting(system.root, from?.snapshot, status)
  }

  // Reading.

  /** The root's snapshot as the step has it now. */
  get snapshot(): LiveMachineSnapshot {
    return this.#root.snapshot as LiveMachineSnapshot
  }
  get systemIds(): ReadonlyMap<string, ActorRef> {
    return this.#systemIds ?? this.#from.systemIds
  }
  statusOf(ref: ActorRef): ProcessingStatus {
    return this.#acting(ref).status
  }
  snapshotOf(ref: ActorRef): LiveSnapshot | undefined {
    return this.#acting(ref).snapshot
  }
  /** Whether nothing but the root's own snapshot can have changed: no other actor, no timer. */
  get rootOnly(): boolean {
    return this.#others === undefined && this.#timers === this.#from.timers
  }
  /** The actors other than the root that have another snapshot now, with the one before. */
  *changed(): Iterable<{
    readonly ref: ActorRef
    readonly before: LiveSnapshot | undefined
    readonly now: LiveSnapshot
  }> {
    if (this.#others === undefined) return
    for (const { ref, before, snapshot } of this.#others.values())
      if (snapshot !== undefined && snapshot !== before) yield { ref, before, now: snapshot }
  }
  /** The timers that this step armed and that are pending. */
  armed(): readonly Timer[] {
    return this.#timers === this.#from.timers ? [] : this.#timers.values().filter(timer => timer.armed === this.seq)
  }

  #acting(ref: ActorRef): Acting {
    if (ref === this.system.root) return this.#root
    let acting = this.#others?.get(ref)
    if (acting === undefined) {
      const running = this.#from.actors.get(ref)
      acting =
        running === undefined
          ? new Acting(ref, ref.last?.snapshot, ref.last?.status ?? ProcessingStatus.NotStarted)
          : new Acting(ref, running, ProcessingStatus.Running)
      this.#others ??= new Map()
      this.#others.set(ref, acting)
    }
    return acting
  }

  // The system's tables. Each is copied at its first change.

  book(): string {
    return `x:${this.#booked++}`
  }
  register(systemId: string, ref: ActorRef): void {
    const holder = this.systemIds.get(systemId)
    if (holder === ref) return
    if (holder !== undefined) throw new Error(`Actor with system ID '${systemId}' already exists.`)
    this.#systemIds ??= new Map(this.#from.systemIds)
    this.#systemIds.set(systemId, ref)
  }
  unregister(ref: ActorRef): void {
    if (ref.systemId === undefined || this.systemIds.get(ref.systemId) !== ref) return
    this.#systemIds ??= new Map(this.#from.systemIds)
    this.#systemIds.delete(ref.systemId)
  }
  arm(source: ActorRef, target: ActorRef, event: EventObject, delay: number, id: string | undefined): void {
    let index = this.#armed++
    // More than one step can make up a unit: the history of another machine version.
    while (this.#timers.find(this.seq, index) !== undefined) index = this.#armed++
    if (!Number.isFinite(delay)) {
      this.refusal ??= new XMachinesError(
        'STATE_NOT_JSON',
        `The delay of '${event.type}' is ${delay}. A delay is a finite number of milliseconds.`,
      )
      return
    }
    // XState would find out when it fires.
    if (typeof target?._send !== 'function') throw new Error(`The delayed event '${event.type}' has no receiver.`)
    const due = this.at + Math.max(0, delay)
    const armed = this.seq
    this.#timers = this.#timers.arm({
      source,
      target,
      event,
      id: id ?? `${armed}:${index}`,
      named: true,
      due,
      armed,
      index,
    })
  }
  disarm(source: ActorRef, id: string): void {
    this.#timers = this.#timers.cancel(source, id)
  }
  disarmAll(source: ActorRef): void {
    this.#timers = this.#timers.cancelAll(source)
  }
  /** A timer falls due. */
  fire(timer: Timer): void {
    this.#timers = this.#timers.fire(timer)
    timer.target._send(timer.event)
  }
  /** What was pending before the run went over to this machine keeps its due times and keys. */
  carry(timers: readonly Timer[], invocations: readonly Invocation[]): void {
    this.#timers = Timers.of(timers)
    for (const invocation of invocations)
      if (this.#invocations?.has(invocation.actor) === true) this.#invocations.set(invocation.actor, invocation)
  }
  #invoke(ref: ActorRef): void {
    this.#invocations ??= new Map(this.#from.invocations)
    const path = uniquePath(pathOf(ref), this.seq, this.#invocations)
    this.#invocations.set(ref, { actor: ref, path, entered: this.seq })
  }
  #revoke(ref: ActorRef): void {
    if (!(this.#invocations ?? this.#from.invocations).has(ref)) return
    this.#invocations ??= new Map(this.#from.invocations)
    this.#invocations.delete(ref)
  }

  // What comes out.

  output(event: EventObject): void {
    const what = { code: 'OUTPUT_NOT_JSON', name: `The emitted event '${event.type}'` } as const
    try {
      const copy = copyJson(event, what, { undefinedIsAbsent: true }) as RecordedEvent
      this.outputs ??= []
      this.outputs.push(copy)
    } catch (thrown) {
      if (!XMachinesError.is(thrown)) throw thrown
      this.refusal ??= thrown
    }
  }
  /** A mail that an actor of the run sends, or a child run that it spawns: `resolve` says which. */
  post(actor: ActorRef, resolve: () => SentMail | Spawning): void {
    try {
      const sent = resolve()
      this.effect('spawn' in sent ? { kind: 'spawn', actor, ...sent } : { kind: 'mail', actor, ...sent })
    } catch (thrown) {
      if (!XMachinesError.is(thrown, 'TELL_INVALID') && !XMachinesError.is(thrown, 'SPAWN_INVALID')) throw thrown
      this.refusal ??= thrown
    }
  }
  effect(effect: Effect): void {
    this.effects ??= []
    this.effects.push(effect)
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
    this.#acting(ref).snapshot = snapshot
  }
  defer(ref: ActorRef, work: () => void): void {
    const acting = this.#acting(ref)
    acting.deferred ??= []
    acting.deferred.push(work)
  }
  send(ref: ActorRef, event: EventObject): void {
    const acting = this.#acting(ref)
    if (acting.status === ProcessingStatus.Stopped) return
    if (acting.open && !acting.busy) return this.#flush(acting, event)
    acting.mail ??= []
    acting.mail.push(event)
  }
  start(ref: ActorRef): void {
    const acting = this.#acting(ref)
    const { snapshot, status } = acting
    if (snapshot === undefined || status !== ProcessingStatus.NotStarted) return
    if (ref.systemId !== undefined) this.register(ref.systemId, ref)
    acting.status = ProcessingStatus.Running
    if (snapshot.status === 'done') return this.#update(acting, snapshot)
    if (snapshot.status === 'error') return this.#fail(acting, snapshot.error)
    if (!ref.stepped) this.#invoke(ref)
    else if (ref.behaviour.start !== undefined) {
      try {
        ref.behaviour.start(snapshot, ref.scope)
      } catch (error) {
        acting.snapshot = { ...snapshot, status: 'error', error }
        return this.#fail(acting, error)
      }
    }
    this.#update(acting, snapshot)
    acting.open = acting.status === ProcessingStatus.Running
    const first = acting.open ? acting.mail?.shift() : undefined
    if (first !== undefined) this.#flush(acting, first)
  }
  /** The machines that run, the root first. */
  stepping(): readonly ActorRef[] {
    return this.touched().filter(ref => ref.stepped)
  }
  /** The actors that the step has touched and that run, the root first. */
  touched(): readonly ActorRef[] {
    const all = [this.#root, ...(this.#others?.values() ?? [])]
    return all.filter(({ status }) => status === ProcessingStatus.Running).map(({ ref }) => ref)
  }
  /** What was restored and is not to be started is over. */
  layAside(): void {
    for (const acting of this.#others?.values() ?? [])
      if (acting.status === ProcessingStatus.NotStarted) acting.status = ProcessingStatus.Stopped
  }
  stop(ref: ActorRef): void {
    const acting = this.#acting(ref)
    if (acting.snapshot === undefined || acting.status === ProcessingStatus.Stopped) return
    acting.mail = undefined
    if (acting.status === ProcessingStatus.NotStarted) acting.status = ProcessingStatus.Stopped
    else this.send(ref, { type: 'xstate.stop' })
  }

  #flush(acting: Acting, first: EventObject): void {
    acting.busy = true
    for (let event: EventObject | undefined = first; event !== undefined; event = acting.mail?.shift())
      this.#process(acting, event)
    acting.busy = false
  }
  #process(acting: Acting, event: EventObject): void {
    const { ref } = acting
    const snapshot = acting.snapshot!
    let next: LiveSnapshot
    try {
      next = ref.stepped
        ? ref.behaviour.transition(snapshot, event, ref.scope)
        : this.#transitionOutside(ref, snapshot, event)
    } catch (error) {
      acting.deferred = undefined
      acting.snapshot = { ...snapshot, status: 'error', error }
      return this.#fail(acting, error)
    }
    this.#update(acting, next)
    if (event.type === 'xstate.stop') this.#retire(acting)
  }
  /** Logic that runs outside keeps live things that are not here: what would touch them is an effect instead. */
  #transitionOutside(ref: ActorRef, snapshot: LiveSnapshot, event: EventObject): LiveSnapshot {
    const callback = kindOfLogic(ref.behaviour) === 'callback'
    if (event.type === 'xstate.stop')
      return callback ? { ...snapshot, status: 'stopped' } : { ...snapshot, status: 'stopped', input: undefined }
    // What promises and observables tell themselves; anything else that is sent to them has no effect, as in XState.
    if (!callback) return isOwnMail(event) ? ref.behaviour.transition(snapshot, event, ref.scope) : snapshot
    // Its start threw.
    if (event.type === 'xstate.observable.error')
      return { ...snapshot, status: 'error', error: (event as { data?: unknown }).data }
    this.effect({ kind: 'receive', actor: ref, event })
    return snapshot
  }
  #update(acting: Acting, snapshot: LiveSnapshot): void {
    const { ref } = acting
    acting.snapshot = snapshot
    while (acting.deferred !== undefined) {
      const { deferred } = acting
      acting.deferred = undefined
      for (const work of deferred) {
        try {
          work()
        } catch (error) {
          acting.deferred = undefined
          acting.snapshot = { ...snapshot, status: 'error', error }
          break
        }
      }
    }
    const now = acting.snapshot
    switch (now.status) {
      case 'active':
        if (ref._syncSnapshot === true)
          ref._parent?._send({ type: `xstate.snapshot.${ref.id}`, snapshot } as EventObject)
        break
      case 'done':
        this.#retire(acting)
        ref._parent?._send({ type: `xstate.done.actor.${ref.id}`, output: now.output, actorId: ref.id } as EventObject)
        break
      case 'error':
        this.#fail(acting, now.error)
    }
  }
  #fail(acting: Acting, error: unknown): void {
    const { ref } = acting
    this.#retire(acting)
    ref._parent?._send({ type: `xstate.error.actor.${ref.id}`, error, actorId: ref.id } as EventObject)
  }
  #retire(acting: Acting): void {
    if (acting.status !== ProcessingStatus.Running) return
    const { ref } = acting
    this.disarmAll(ref)
    acting.mail = undefined
    acting.open = false
    acting.status = ProcessingStatus.Stopped
    this.#revoke(ref)
    this.unregister(ref)
  }

  // What the step arrived at.

  result(): RunState {
    return { snapshot: this.snapshot, table: this.#table() }
  }
  /** The step stands: references remember the actors that are over, which no table holds any more. */
  keep(): void {
    if (this.#others === undefined) return
    for (const { ref, snapshot, status, before, was } of this.#others.values()) {
      if (status === ProcessingStatus.Running || snapshot === undefined) continue
      if (status !== was || snapshot !== before) ref.last = { snapshot, status }
    }
  }

  #table(): ActorTable {
    const from = this.#from
    const actors = this.#actors()
    const same =
      actors === from.actors &&
      this.#timers === from.timers &&
      this.#booked === from.booked &&
      this.#systemIds === undefined &&
      this.#invocations === undefined
    if (same) return from
    return {
      actors,
      systemIds: this.systemIds,
      timers: this.#timers,
      invocations: this.#invocations ?? from.invocations,
      booked: this.#booked,
    }
  }
  #actors(): ReadonlyMap<ActorRef, LiveSnapshot> {
    const { actors } = this.#from
    if (this.#others === undefined) return actors
    let changed: Map<ActorRef, LiveSnapshot> | undefined
    for (const { ref, snapshot, status, before, was } of this.#others.values()) {
      if (status === was && (snapshot === before || status !== ProcessingStatus.Running)) continue
      changed ??= new Map(actors)
      if (status === ProcessingStatus.Running) changed.set(ref, snapshot!)
      else changed.delete(ref)
    }
    return changed ?? actors
  }
}

function isOwnMail(event: EventObject): boolean {
  return event.type.startsWith('xstate.promise.') || event.type.startsWith('xstate.observable.')
}

/** Two actors of one id can be entered by one unit: their outcomes must not be mistaken for one another. */
function uniquePath(path: ActorPath, entered: number, pending: ReadonlyMap<ActorRef, Invocation>): ActorPath {
  const taken = (candidate: ActorPath): boolean =>
    [...pending.values()].some(other => other.entered === entered && isPath(other.path, candidate))
  let unique = path
  for (let n = 2; taken(unique); n++) unique = [...path.slice(0, -1), `${path.at(-1)!}#${n}`]
  return unique
}
