import type { EventObject } from 'xstate'
import type { RecordedEvent } from '../contracts/json.ts'
import type { SentMail } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { copyJson } from '../json/json-copy.ts'
import { isWellFormed } from '../json/well-formed.ts'
import { type ActorRef, pathOf } from './actor-ref.ts'
import type { Effect } from './effect.ts'
import { kindOfLogic } from './logic-kind.ts'
import type { Spawning } from './send-action.ts'
import { type ActorTable, emptyTable, type RunState } from './state.ts'
import { unfitName } from './step-errors.ts'
import { watched } from './strict/watch.ts'
import type { ActorSystem } from './system.ts'
import { TableDraft } from './table-draft.ts'
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
export class Draft extends TableDraft {
  readonly system: ActorSystem
  outputs: RecordedEvent[] | undefined = undefined
  effects: Effect[] | undefined = undefined
  readonly #root: Acting
  #others: Map<ActorRef, Acting> | undefined = undefined

  /** @param booked of a run that begins anew with a state of before: how many session ids it has given out */
  constructor(system: ActorSystem, from: RunState | undefined, seq: number, at: number, booked?: number) {
    super(from?.table ?? (booked === undefined ? emptyTable : { ...emptyTable, booked }), seq, at)
    this.system = system
    const status = from === undefined ? 0 : from.snapshot.status === 'active' ? 1 : 2
    this.#root = new Acting(system.root, from?.snapshot, status)
  }

  // Reading.

  /** The root's snapshot as the step has it now. */
  get snapshot(): LiveMachineSnapshot {
    return this.#root.snapshot as LiveMachineSnapshot
  }
  statusOf(ref: ActorRef): ProcessingStatus {
    return this.#acting(ref).status
  }
  snapshotOf(ref: ActorRef): LiveSnapshot | undefined {
    return this.#acting(ref).snapshot
  }
  /** Whether nothing but the root's own snapshot can have changed: no other actor, no timer. */
  get rootOnly(): boolean {
    return this.#others === undefined && this.sameTimers
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

  #acting(ref: ActorRef): Acting {
    if (ref === this.system.root) return this.#root
    let acting = this.#others?.get(ref)
    if (acting === undefined) {
      const running = this.from.actors.get(ref)
      acting =
        running === undefined
          ? new Acting(ref, ref.last?.snapshot, ref.last?.status ?? ProcessingStatus.NotStarted)
          : new Acting(ref, running, ProcessingStatus.Running)
      this.#others ??= new Map()
      this.#others.set(ref, acting)
    }
    return acting
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

  /** XState is constructing an actor. Logic that has no name in the machine cannot be restored, and ids stand in the history. */
  adopt(ref: ActorRef): void {
    if (typeof ref.src !== 'string') this.refusal ??= nameless(ref)
    if (!isWellFormed(String(ref.id))) this.refusal ??= unfitName(ref.id)
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
    if (!ref.stepped) this.invoke(ref)
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
    this.revoke(ref)
    this.unregister(ref)
  }

  // What the step arrived at.

  result(): RunState {
    return { snapshot: this.snapshot, table: this.tableWith(this.#actors()) }
  }
  /** The step stands: references remember the actors that are over, which no table holds any more. */
  keep(): void {
    if (this.#others === undefined) return
    for (const { ref, snapshot, status, before, was } of this.#others.values()) {
      if (status === ProcessingStatus.Running || snapshot === undefined) continue
      if (status !== was || snapshot !== before) ref.last = { snapshot, status }
    }
  }

  #actors(): ActorTable['actors'] {
    const { actors } = this.from
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

/** Only a strict step knows which part of the machine runs. */
function nameless(ref: ActorRef): XMachinesError {
  const path = pathOf(ref).join('/')
  const by = watched()?.doing
  return new XMachinesError(
    'MACHINE_UNSUPPORTED',
    `The actor '${path}' was spawned from a logic object${by === undefined ? '' : ` (${by})`}, which cannot be restored after a restart. Register the logic in setup({ actors: { name: logic } }) and spawn it as 'name'.`,
    { details: { actor: ref.id, path, ...(by === undefined ? undefined : { by }) } },
  )
}

function isOwnMail(event: EventObject): boolean {
  return event.type.startsWith('xstate.promise.') || event.type.startsWith('xstate.observable.')
}
