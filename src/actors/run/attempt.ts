import type { EventObject } from 'xstate'
import { withinInvocation } from '../invocation.ts'
import type { ActorRef } from '../machine/actor-ref.ts'
import { hearing } from '../machine/async-callback.ts'
import { kindOfLogic } from '../machine/logic-kind.ts'
import type { Told } from '../machine/outcome.ts'
import type { Invocation } from '../machine/state.ts'
import type { LiveLogic, LiveScope, LiveSnapshot } from '../machine/xstate.ts'
import { failureOf } from './outcome-record.ts'
import { type Relaying, relayingSystem, standInFor } from './stand-in.ts'

/** One attempt of an invocation, live: the logic, what it is started with, and how it is stopped. */
export class Attempt implements Relaying {
  readonly state: LiveSnapshot
  readonly #invocation: Invocation
  readonly #logic: LiveLogic
  readonly #scope: LiveScope
  readonly #hear: (told: Told) => void
  readonly #hand: ((over: () => void) => void) | undefined
  /** Made for logic that asks for it. */
  #abort: AbortController | undefined
  #stopped: Error | undefined
  #over = false

  /**
   * @param hear is told what the logic tells, until {@link end} or {@link stop}
   * @param failed is told what an async listener of it rejects with
   * @param hand how it comes there @default at once
   */
  constructor(
    invocation: Invocation,
    hear: (told: Told) => void,
    failed: (event: EventObject, thrown: unknown) => void,
    hand?: (over: () => void) => void,
  ) {
    const { actor } = invocation
    this.#invocation = invocation
    this.state = { ...actor.getSnapshot() }
    this.#hear = hear
    this.#hand = hand
    this.#scope = this.#scopeOf(actor)
    const { behaviour } = actor
    const callback = (thrown: unknown): void => this.#tell(failureOf(invocation, thrown))
    this.#logic = kindOfLogic(behaviour) === 'callback' ? hearing(behaviour, { callback, listener: failed }) : behaviour
  }

  /** Promises end by themselves and are awaited at a close; everything else goes on until it is stopped. */
  get awaited(): boolean {
    return kindOfLogic(this.#invocation.actor.behaviour) === 'promise'
  }

  start(key: string, attempt: number): void {
    const signal = (): AbortSignal => this.#signal()
    const info = {
      key,
      attempt,
      get signal() {
        return signal()
      },
    }
    try {
      withinInvocation(info, () => this.#logic.start!(this.state, this.#scope))
    } catch (thrown) {
      // XState errors an actor whose start throws: the same words as a promise that rejects.
      this.#tell(failureOf(this.#invocation, thrown))
    }
  }

  /** Hands an event to a callback's listeners. */
  receive(event: EventObject): void {
    this.#logic.transition(this.state, event, this.#scope)
  }

  /** It has told its end: whatever it tells later is not heard. */
  end(): void {
    this.#over = true
  }

  /** Ends it for that reason. */
  stop(reason: Error): void {
    if (this.#over) return
    this.#over = true
    this.#stopped = reason
    this.#abort?.abort(reason)
    this.#logic.transition(this.state, { type: 'xstate.stop' }, this.#scope)
  }

  #tell(told: Told): void {
    if (this.#hand !== undefined) this.#hand(() => this.#heard(told))
    else this.#heard(told)
  }

  #heard(told: Told): void {
    if (!this.#over) this.#hear(told)
  }

  #signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#stopped !== undefined) this.#abort.abort(this.#stopped)
    }
    return this.#abort.signal
  }

  /** What its logic relays, as if it were its actor. */
  relay(target: unknown, event: EventObject): void {
    const { actor } = this.#invocation
    if (target === this.#scope.self) this.#tell({ to: 'self', event })
    else if (target === actor._parent) this.#tell({ to: 'parent', event })
    else actor.system.sendFromAction(target as ActorRef, event)
  }

  /** What the logic is started with: a stand-in for its actor, whose mail comes here instead of to an actor. */
  #scopeOf(actor: ActorRef): LiveScope {
    const { scope } = actor
    return {
      self: standInFor(actor, this),
      id: scope.id,
      sessionId: scope.sessionId,
      logger: scope.logger,
      system: relayingSystem(actor.system),
      defer: atOnce,
      stopChild: scope.stopChild,
      emit: nothing,
      actionExecutor: scope.actionExecutor,
    }
  }
}

function nothing(): void {}

function atOnce(over: () => void): void {
  over()
}
