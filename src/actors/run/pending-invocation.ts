import type { EventObject } from 'xstate'
import type { RecordedEvent } from '../contracts/json.ts'
import type { MeasuredAttemptSpan } from '../contracts/telemetry.ts'
import type { Environment } from '../environment.ts'
import type { InvocationRules } from '../machine/invocation-policy.ts'
import type { Told } from '../machine/outcome.ts'
import type { Invocation } from '../machine/state.ts'
import { Attempt } from './attempt.ts'
import type { Command } from './command.ts'
import { flooding, interrupted, timedOut } from './invocation-errors.ts'
import { type RunTelemetry, toFailure } from './measured.ts'
import { failureOf, isEnd, isFailure, toRecord } from './outcome-record.ts'
import { admit, enter, hasRoom } from './slots.ts'

/** What a pending invocation needs of its run. */
export interface InvocationHome {
  readonly environment: Environment
  readonly telemetry: RunTelemetry | undefined
  /** How many units wait, where that are as many as may. */
  full(): number | undefined
  /** Takes what running logic told, to be recorded as a unit. */
  tell(invocation: Invocation, event: RecordedEvent, beside: Command['beside']): void
  /** Asks for an item soon: an attempt is to be made durable. */
  want(): void
  /** One ended, or was stopped. */
  ended(): void
  /** Something failed that changes nothing. @param what as in `The callback 'ear' threw` */
  failed(what: string, thrown: unknown): void
}

/** Events that are kept for a callback that is still to start. */
const mostMail = 1024

/** What is known of it for ever. */
export interface Identified {
  readonly invocation: Invocation
  readonly key: string
  readonly rules: InvocationRules
}

/**
 * An invocation that is pending, as this process sees it.
 *
 * `waiting`: for a retry's time, or in line. `ready`: its next attempt is to be made durable; then it starts. `ended`: it told
 * its end, which is not durable yet, or was stopped. `left`: not this process's to start.
 */
export class PendingInvocation implements Identified {
  readonly invocation: Invocation
  readonly key: string
  readonly rules: InvocationRules
  readonly #home: InvocationHome
  #phase: 'waiting' | 'ready' | 'running' | 'ended' | 'left' = 'waiting'
  /** The attempt that runs, or the next one. */
  #attempt = 1
  #live: Attempt | undefined
  #span: MeasuredAttemptSpan | undefined
  /** Gives back what it holds or waits for: its slot, its place in line, its timer. */
  #release = nothing
  #closing = false
  /** Somebody else has it, though it runs here. */
  #yielded = false
  /** What the machine sent before it started. */
  #mail: EventObject[] = []

  constructor(home: InvocationHome, { invocation, key, rules }: Identified) {
    this.#home = home
    this.invocation = invocation
    this.key = key
    this.rules = rules
  }

  get attempt(): number {
    return this.#attempt
  }
  /** It runs, or waits to. */
  get active(): boolean {
    return this.#phase !== 'ended' && this.#phase !== 'left'
  }
  /** It may start once its attempt is durable. */
  get ready(): boolean {
    return this.#phase === 'ready'
  }
  get left(): boolean {
    return this.#phase === 'left'
  }
  /** Somebody else has it in flight, whether or not it runs here too. */
  get isOthers(): boolean {
    return this.left || this.#yielded
  }

  /** It was entered just now: ready if there is room at once. */
  enter(): boolean {
    const { environment } = this.#home
    if (!hasRoom(environment, this.rules)) return false
    this.#phase = 'ready'
    this.#release = enter(environment, this.rules)
    return true
  }

  /** It is pending after so many attempts, whose processes are gone. */
  goOn(made: number): void {
    const { crash, attempts } = this.rules
    this.#attempt = made + 1
    if (made === 0 || (crash === 'retry' && made < attempts.crashed)) this.#queue()
    else {
      this.#attempt = made
      this.#settle(failureOf(this.invocation, interrupted(this.key, made, this.rules)))
    }
  }

  /** Its attempt is durable. */
  start(): void {
    const { timeout } = this.rules
    const { environment } = this.#home
    const hand = environment.hand && ((over: () => void) => environment.hand!(this.key, over))
    const live = new Attempt(this.invocation, told => this.#told(told), this.#listenerFailed, hand)
    this.#phase = 'running'
    this.#live = live
    if (timeout !== undefined) this.#limit(timeout)
    const span = (this.#span = this.#home.telemetry?.attempt(this))
    if (span === undefined) live.start(this.key, this.#attempt)
    else span.within(() => live.start(this.key, this.#attempt))
    for (const event of this.#mail.splice(0)) this.receive(event)
  }

  /** Hands an event to a callback's listeners, once it runs. */
  receive(event: EventObject): void {
    if (this.#live !== undefined) this.#hand(this.#live, event)
    else if (this.active && this.#mail.push(event) > mostMail) {
      this.#mail.pop()
      const error = new Error(`${mostMail} events wait for it to start`)
      this.#home.failed(`The event '${event.type}' was dropped that the machine sent to ${this.#name}`, error)
    }
  }

  /** The run is being closed: a promise that runs may come to its end, anything else stops. */
  close(reason: Error): void {
    this.#closing = true
    if (this.#phase !== 'running' || this.#live?.awaited !== true) this.stop(reason)
  }

  /** Stops whatever it does. */
  stop(reason: Error): void {
    this.#halt(reason)
    if (this.active) this.#end('ended')
  }

  /** Leaves it to somebody else, unless it runs. */
  leave(): void {
    if (this.#phase === 'waiting' || this.#phase === 'ready') this.#end('left')
  }

  /** Somebody else has it. If it runs here, its outcome may still be the first. */
  yield(): void {
    this.leave()
    this.#yielded = true
  }

  #queue(): void {
    this.#release = admit(this.#home.environment, this.rules, () => {
      this.#phase = 'ready'
      this.#home.want()
    })
  }

  #limit(timeout: number): void {
    const { environment } = this.#home
    const release = this.#release
    const timer = environment.setTimeout(() => {
      const error = timedOut(this.key, this.#attempt, timeout)
      this.#halt(error)
      this.#told(failureOf(this.invocation, error))
    }, timeout)
    this.#release = () => {
      environment.clearTimeout(timer)
      release()
    }
  }

  #told(told: Told): void {
    if (isFailure(told)) this.#span?.end(toFailure((told.event as { readonly data?: unknown }).data))
    if (isFailure(told) && this.#attempt < this.rules.attempts.failed) this.#retry()
    else if (isEnd(told)) this.#settle(told)
    else this.#tellOn(told)
  }

  /** What has no end of its own may tell more than the store takes. It cannot be held back, so it fails. */
  #tellOn(told: Told): void {
    const waiting = this.#home.full()
    if (waiting === undefined) return this.#tell(told)
    const error = flooding(this.key, waiting)
    this.#halt(error)
    this.#told(failureOf(this.invocation, error))
  }

  /** An attempt that will be retried is no outcome: nothing is recorded. */
  #retry(): void {
    if (this.#closing) return this.#end('ended')
    if (this.#yielded) return this.#end('left')
    const { environment } = this.#home
    const { initial, factor, max } = this.rules.backoff
    const wait = Math.min(max, initial * factor ** (this.#attempt - 1))
    this.#end('waiting')
    this.#attempt++
    const timer = environment.setTimeout(() => this.#queue(), wait)
    this.#release = () => environment.clearTimeout(timer)
  }

  /** Its end, to be recorded. */
  #settle(told: Told): void {
    this.#tell(told)
    this.#end('ended')
  }

  #tell(told: Told): void {
    this.#home.tell(this.invocation, toRecord(told, this.invocation), this.#besides())
  }

  #besides(): Command['beside'] {
    const [attempts, trace] = [this.#attempt, this.#span?.trace]
    if (attempts === 1 && trace === undefined) return undefined
    return { ...(attempts > 1 && { attempts }), ...(trace && { trace }) }
  }

  #end(phase: 'waiting' | 'ended' | 'left'): void {
    this.#span?.end()
    this.#span = undefined
    this.#live?.end()
    this.#live = undefined
    if (phase !== 'waiting') this.#mail = []
    this.#phase = phase
    const release = this.#release
    this.#release = nothing
    release()
    if (phase !== 'waiting') this.#home.ended()
  }

  get #name(): string {
    return `the invocation '${this.invocation.path.join('/')}'`
  }

  #hand(live: Attempt, event: EventObject): void {
    try {
      live.receive(event)
    } catch (thrown) {
      this.#listenerFailed(event, thrown)
    }
  }

  readonly #listenerFailed = (event: EventObject, thrown: unknown): void =>
    this.#home.failed(`A listener of ${this.#name} threw at '${event.type}'`, thrown)

  /** What an author's clean-up throws is told, and changes nothing. */
  #halt(reason: Error): void {
    try {
      this.#live?.stop(reason)
    } catch (thrown) {
      this.#home.failed(`The clean-up of ${this.#name} threw`, thrown)
    }
  }
}

function nothing(): void {}
