import type { EventObject } from 'xstate'
import type { RecordedEvent } from '../contracts/json.ts'
import type { BesideChange } from '../contracts/store.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import type { ActorRef } from '../machine/actor-ref.ts'
import { defaultRules, type InvocationRules } from '../machine/invocation-policy.ts'
import type { Told } from '../machine/outcome.ts'
import type { ActorTable, Invocation } from '../machine/state.ts'
import { Attempt } from './attempt.ts'
import { Attempts, invocationKey } from './attempts.ts'
import { failureOf, isEnd, isFailure, toRecord } from './outcome-record.ts'
import { admit, enter, hasRoom } from './slots.ts'

/** What invocations need of their run. */
export interface InvocationsHome {
  readonly run: string
  readonly environment: Environment
  /** Declared rules, by the name of the logic. */
  readonly rules: ReadonlyMap<string, InvocationRules>
  /** Takes what running logic told, to be recorded as a unit. */
  tell(invocation: Invocation, event: RecordedEvent): void
  /** Asks for an item soon: an attempt is to be made durable. */
  want(): void
  /** Logic threw while it was stopped. */
  failed(invocation: Invocation, thrown: unknown): void
}

/** An invocation that is pending, as this process sees it. */
interface Tracked {
  readonly invocation: Invocation
  readonly key: string
  readonly rules: InvocationRules
  /** The attempt that runs, or the next one. */
  attempt: number
  /**
   * `waiting`: for a retry's time, or in line. `ready`: its attempt is to be made durable; then it starts. `ended`: told its end,
   * which is not durable yet. `left`: not this process's to start.
   */
  phase: 'waiting' | 'ready' | 'running' | 'ended' | 'left'
  live: Attempt | undefined
  /** Gives back what it holds or waits for: its slot, its place in line, its timer. */
  release(): void
}

/**
 * The effects of one run that go on after a step: promises, callbacks, observables. They follow the durable state: what it
 * holds as pending runs, what it has left is stopped. Each attempt is durable before it starts; the first one goes along with
 * the unit that entered it.
 */
export class Invocations {
  readonly #home: InvocationsHome
  readonly #attempts: Attempts
  readonly #tracked = new Map<ActorRef, Tracked>()
  /** Those whose first attempt is in the item that is on its way, with the unit that enters them. */
  readonly #entering = new Map<ActorRef, Tracked>()
  /** No new attempt starts. */
  #closing = false
  #idle: (() => void)[] = []

  /** @param made the attempts that are durable */
  constructor(home: InvocationsHome, made: Readonly<Record<string, number>>) {
    this.#home = home
    this.#attempts = new Attempts(made)
  }

  /** How many run, or wait to. */
  get size(): number {
    let size = 0
    for (const { phase } of this.#tracked.values()) if (phase !== 'ended' && phase !== 'left') size++
    return size
  }

  /** Whether an attempt is to be made durable. */
  get wanting(): boolean {
    for (const tracked of this.#tracked.values()) if (this.#wants(tracked)) return true
    return false
  }

  // The item.

  /** What the next item says of attempts, if it leads to this table. */
  offer(table: ActorTable): BesideChange['attempts'] {
    for (const [actor, invocation] of table.invocations) {
      const tracked = this.#tracked.get(actor)
      if (tracked === undefined) this.#enter(invocation)
      else if (this.#wants(tracked)) this.#attempts.offer(tracked.key, tracked.attempt)
    }
    this.#attempts.keepOnly(
      () => new Set([...table.invocations.values()].map(invocation => invocationKey(this.#home.run, invocation))),
    )
    return this.#attempts.change
  }

  /** The item is durable, or nothing of it is. Gives whether it said anything of attempts. */
  settled(durable: boolean): boolean {
    for (const [actor, tracked] of this.#entering) {
      if (durable) this.#tracked.set(actor, tracked)
      else tracked.release()
    }
    this.#entering.clear()
    return this.#attempts.settled(durable)
  }

  /** What is pending and starts at once needs no item of its own: its first attempt goes along. */
  #enter(invocation: Invocation): void {
    const tracked = this.#track(invocation)
    const { key, rules } = tracked
    const { environment } = this.#home
    if (this.#closing || this.#attempts.made(key) > 0 || !hasRoom(environment, rules)) return
    tracked.phase = 'ready'
    tracked.release = enter(environment, rules)
    this.#entering.set(invocation.actor, tracked)
    this.#attempts.offer(key, 1)
  }

  // Following the durable state.

  /** Starts what is pending and does not run, stops what runs and is not pending. */
  follow(table: ActorTable): void {
    this.#stopLeft(table)
    if (this.#closing) return
    for (const [actor, invocation] of table.invocations) {
      const tracked = this.#tracked.get(actor)
      if (tracked === undefined) this.#goOn(invocation)
      else if (tracked.phase === 'ready' && !this.#wants(tracked)) this.#start(tracked)
    }
  }

  /** Somebody else wrote the units up to this table: what they entered is theirs, and what they have attempted of ours. */
  yield(table: ActorTable, made: Readonly<Record<string, number>>): void {
    this.settled(false)
    for (const tracked of this.#tracked.values()) {
      const waits = tracked.phase === 'waiting' || tracked.phase === 'ready'
      if (waits && (made[tracked.key] ?? 0) !== this.#attempts.made(tracked.key)) this.#leave(tracked)
    }
    this.#attempts.reset(made)
    this.#stopLeft(table)
    for (const [actor, invocation] of table.invocations)
      if (!this.#tracked.has(actor)) this.#tracked.set(actor, { ...this.#track(invocation), phase: 'left' })
  }

  /** This process may not write: what does not run yet is left to whoever may. */
  forgo(): void {
    this.settled(false)
    for (const tracked of this.#tracked.values())
      if (tracked.phase === 'waiting' || tracked.phase === 'ready') this.#leave(tracked)
  }

  /** Whether something of the table is this process's. */
  owns(table: ActorTable): boolean {
    for (const actor of table.invocations.keys()) if (this.#tracked.get(actor)?.phase !== 'left') return true
    return false
  }

  /** Hands an event to a callback's listeners. */
  receive(actor: ActorRef, event: EventObject): void {
    this.#tracked.get(actor)?.live?.receive(event)
  }

  /** Stops callbacks and observables at once, awaits promises up to `timeout` ms, then aborts them. All stay pending. */
  async close(timeout: number): Promise<void> {
    const { environment } = this.#home
    this.#closing = true
    const closed = stopped('its run was closed')
    for (const tracked of this.#tracked.values())
      if (tracked.phase !== 'running' || tracked.live?.awaited !== true) this.#stop(tracked, closed)
    if (this.size > 0)
      await new Promise<void>(resolve => {
        const deadline = environment.setTimeout(resolve, timeout)
        this.#idle.push(() => {
          environment.clearTimeout(deadline)
          resolve()
        })
      })
    this.stop(closed)
  }

  /** Stops everything at once: the lease is lost, or the process goes. */
  stop(reason: Error = stopped('its run was closed')): void {
    this.#closing = true
    this.settled(false)
    for (const tracked of this.#tracked.values()) this.#stop(tracked, reason)
  }

  // One invocation.

  #track(invocation: Invocation): Tracked {
    const { run, rules } = this.#home
    return {
      invocation,
      key: invocationKey(run, invocation),
      rules: rules.get(String(invocation.actor.src)) ?? defaultRules,
      attempt: 1,
      phase: 'waiting',
      live: undefined,
      release: () => {},
    }
  }

  #wants({ phase, key, attempt }: Tracked): boolean {
    return phase === 'ready' && this.#attempts.made(key) < attempt
  }

  /** It was pending when the run was opened, or it could not start at once. */
  #goOn(invocation: Invocation): void {
    const tracked = this.#track(invocation)
    const { key, rules } = tracked
    const made = this.#attempts.made(key)
    this.#tracked.set(invocation.actor, tracked)
    tracked.attempt = made + 1
    if (made === 0 || (rules.crash === 'retry' && made < rules.attempts.crashed)) return this.#queue(tracked)
    this.#settle(tracked, failureOf(invocation, interrupted(key, made, rules)))
  }

  #queue(tracked: Tracked): void {
    tracked.release = admit(this.#home.environment, tracked.rules, () => {
      tracked.phase = 'ready'
      this.#home.want()
    })
  }

  #start(tracked: Tracked): void {
    const { invocation, key, attempt, rules, release } = tracked
    const live = new Attempt(invocation, told => this.#told(tracked, told))
    tracked.phase = 'running'
    tracked.live = live
    const { timeout } = rules
    if (timeout !== undefined) {
      const { environment } = this.#home
      const timer = environment.setTimeout(() => {
        const error = timedOut(key, attempt, timeout)
        this.#halt(tracked, error)
        this.#told(tracked, failureOf(invocation, error))
      }, timeout)
      tracked.release = () => {
        environment.clearTimeout(timer)
        release()
      }
    }
    live.start(key, attempt)
  }

  #told(tracked: Tracked, told: Told): void {
    if (isFailure(told) && tracked.attempt < tracked.rules.attempts.failed) this.#retry(tracked)
    else if (isEnd(told)) this.#settle(tracked, told)
    else this.#home.tell(tracked.invocation, toRecord(told, tracked.invocation))
  }

  /** Its end, to be recorded. */
  #settle(tracked: Tracked, told: Told): void {
    this.#end(tracked, 'ended')
    this.#home.tell(tracked.invocation, toRecord(told, tracked.invocation))
    this.#checkIdle()
  }

  /** An attempt that will be retried is no outcome: nothing is recorded. */
  #retry(tracked: Tracked): void {
    if (this.#closing) {
      this.#end(tracked, 'ended')
      return this.#checkIdle()
    }
    this.#end(tracked, 'waiting')
    const { environment } = this.#home
    const { initial, factor, max } = tracked.rules.backoff
    const wait = Math.min(max, initial * factor ** (tracked.attempt - 1))
    tracked.attempt++
    const timer = environment.setTimeout(() => this.#queue(tracked), wait)
    tracked.release = () => environment.clearTimeout(timer)
  }

  #end(tracked: Tracked, phase: Tracked['phase']): void {
    tracked.live?.end()
    tracked.live = undefined
    tracked.phase = phase
    tracked.release()
    tracked.release = () => {}
  }

  #leave(tracked: Tracked): void {
    this.#end(tracked, 'left')
  }

  #stopLeft(table: ActorTable): void {
    for (const [actor, tracked] of this.#tracked) {
      if (table.invocations.has(actor)) continue
      this.#stop(tracked, stopped('its state was left'))
      this.#tracked.delete(actor)
    }
  }

  #stop(tracked: Tracked, reason: Error): void {
    this.#halt(tracked, reason)
    this.#end(tracked, tracked.phase === 'left' ? 'left' : 'ended')
    this.#checkIdle()
  }

  /** What an author's clean-up throws is told, and changes nothing. */
  #halt({ live, invocation }: Tracked, reason: Error): void {
    try {
      live?.stop(reason)
    } catch (thrown) {
      this.#home.failed(invocation, thrown)
    }
  }

  #checkIdle(): void {
    if (this.#idle.length > 0 && this.size === 0) for (const idle of this.#idle.splice(0)) idle()
  }
}

function stopped(why: string): XMachinesError {
  return new XMachinesError('ABORTED', `The invocation was stopped: ${why}.`)
}

function timedOut(key: string, attempt: number, timeout: number): XMachinesError {
  return new XMachinesError(
    'INVOCATION_TIMED_OUT',
    `Attempt ${attempt} of invocation ${key} took longer than ${timeout} ms and was aborted. Raise its \`timeout\`, or handle it in \`onError\`.`,
    { details: { key, attempt, timeout } },
  )
}

function interrupted(key: string, made: number, { crash }: InvocationRules): XMachinesError {
  const policy = crash === 'retry' ? `\`attempts\`: ${made}` : `'${crash}'`
  return new XMachinesError(
    'INVOCATION_INTERRUPTED',
    `Attempt ${made} of invocation ${key} ended with its process: its outcome is unknown, and ${policy} allows no other. Look by the key what became of it.`,
    { details: { key, attempts: made } },
  )
}
