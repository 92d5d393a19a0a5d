import type { EventObject } from 'xstate'
import type { ActorPath } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { type ActorRef, pathOf } from './actor-ref.ts'
import { type ActorTable, type Invocation, isPath } from './state.ts'
import { type Timer, Timers } from './timers.ts'

/**
 * The tables of a run's actor system as a step changes them: session ids, system ids, timers and invocations. Each is copied
 * at its first change. The base of a draft and not a part of it: one object less for each step.
 */
export abstract class TableDraft {
  /** The unit that is decided: its seq and its time. */
  readonly seq: number
  readonly at: number
  /** Set when the step needs something that a run cannot hold: the step is dropped, whatever XState made of it. */
  refusal: XMachinesError | undefined = undefined
  /** The tables before the step. */
  protected readonly from: ActorTable
  #systemIds: Map<string, ActorRef> | undefined = undefined
  #invocations: Map<ActorRef, Invocation> | undefined = undefined
  #timers: Timers
  #armed = 0
  #booked: number

  constructor(from: ActorTable, seq: number, at: number) {
    this.seq = seq
    this.at = at
    this.from = from
    this.#timers = from.timers
    this.#booked = from.booked
  }

  get systemIds(): ReadonlyMap<string, ActorRef> {
    return this.#systemIds ?? this.from.systemIds
  }
  /** Whether the timers are those of before. */
  protected get sameTimers(): boolean {
    return this.#timers === this.from.timers
  }
  /** The timers that this step armed and that are pending. */
  armed(): readonly Timer[] {
    return this.sameTimers ? [] : this.#timers.values().filter(timer => timer.armed === this.seq)
  }

  /** Gives out a session id. */
  book(): string {
    return `x:${this.#booked++}`
  }
  register(systemId: string, ref: ActorRef): void {
    const holder = this.systemIds.get(systemId)
    if (holder === ref) return
    if (holder !== undefined) throw new Error(`Actor with system ID '${systemId}' already exists.`)
    this.#systemIds ??= new Map(this.from.systemIds)
    this.#systemIds.set(systemId, ref)
  }
  unregister(ref: ActorRef): void {
    if (ref.systemId === undefined || this.systemIds.get(ref.systemId) !== ref) return
    this.#systemIds ??= new Map(this.from.systemIds)
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
  /** It carries this event. */
  amend(timer: Timer, event: EventObject): void {
    this.#timers = Timers.of(this.#timers.values().map(other => (other === timer ? { ...timer, event } : other)))
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

  /** Logic that runs outside is entered. */
  protected invoke(ref: ActorRef): void {
    this.#invocations ??= new Map(this.from.invocations)
    const path = uniquePath(pathOf(ref), this.seq, this.#invocations)
    this.#invocations.set(ref, { actor: ref, path, entered: this.seq })
  }
  /** It has ended or was left. */
  protected revoke(ref: ActorRef): void {
    if (!(this.#invocations ?? this.from.invocations).has(ref)) return
    this.#invocations ??= new Map(this.from.invocations)
    this.#invocations.delete(ref)
  }

  /** What was pending before the run went over to this machine keeps its due times and keys. */
  carry(timers: readonly Timer[], invocations: readonly Invocation[]): void {
    this.#timers = Timers.of(timers)
    for (const invocation of invocations)
      if (this.#invocations?.has(invocation.actor) === true) this.#invocations.set(invocation.actor, invocation)
  }

  /** The tables now, with these actors: those of before, if nothing in them has changed. */
  protected tableWith(actors: ActorTable['actors']): ActorTable {
    const { from } = this
    const same =
      actors === from.actors &&
      this.sameTimers &&
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
}

/** Two actors of one id can be entered by one unit: their outcomes must not be mistaken for one another. */
function uniquePath(path: ActorPath, entered: number, pending: ReadonlyMap<ActorRef, Invocation>): ActorPath {
  const taken = (candidate: ActorPath): boolean =>
    [...pending.values()].some(other => other.entered === entered && isPath(other.path, candidate))
  let unique = path
  for (let n = 2; taken(unique); n++) unique = [...path.slice(0, -1), `${path.at(-1)!}#${n}`]
  return unique
}
