import type { EventObject } from 'xstate'
import { withinInvocation } from '../invocation.ts'
import type { ActorRef } from '../machine/actor-ref.ts'
import { kindOfLogic } from '../machine/logic-kind.ts'
import type { Told } from '../machine/outcome.ts'
import type { Invocation } from '../machine/state.ts'
import type { LiveScope, LiveSnapshot } from '../machine/xstate.ts'
import { failureOf } from './outcome-record.ts'

/** One attempt of an invocation, live: the logic, what it is started with, and how it is stopped. */
export class Attempt {
  readonly #invocation: Invocation
  readonly #state: LiveSnapshot
  readonly #scope: LiveScope
  readonly #hear: (told: Told) => void
  /** Made for logic that asks for it. */
  #abort: AbortController | undefined
  #stopped: Error | undefined
  #over = false

  /**
   * @param hear is told what the logic tells, until {@link end} or {@link stop}
   * @param hand how it comes there
   */
  constructor(invocation: Invocation, hear: (told: Told) => void, hand: (over: () => void) => void = atOnce) {
    const { actor } = invocation
    this.#invocation = invocation
    this.#state = { ...actor.getSnapshot() }
    this.#hear = told =>
      hand(() => {
        if (!this.#over) hear(told)
      })
    this.#scope = this.#scopeOf(actor)
  }

  /** Promises end by themselves and are awaited at a close; everything else goes on until it is stopped. */
  get awaited(): boolean {
    return kindOfLogic(this.#invocation.actor.behaviour) === 'promise'
  }

  start(key: string, attempt: number): void {
    const { behaviour } = this.#invocation.actor
    const signal = (): AbortSignal => this.#signal()
    const info = {
      key,
      attempt,
      get signal() {
        return signal()
      },
    }
    try {
      withinInvocation(info, () => behaviour.start!(this.#state, this.#scope))
    } catch (thrown) {
      // XState errors an actor whose start throws: the same words as a promise that rejects.
      this.#hear(failureOf(this.#invocation, thrown))
    }
  }

  /** Hands an event to a callback's listeners. */
  receive(event: EventObject): void {
    this.#invocation.actor.behaviour.transition(this.#state, event, this.#scope)
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
    this.#invocation.actor.behaviour.transition(this.#state, { type: 'xstate.stop' }, this.#scope)
  }

  #signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.#stopped !== undefined) this.#abort.abort(this.#stopped)
    }
    return this.#abort.signal
  }

  /** What the logic is started with: a stand-in for its actor, whose mail comes here instead of to an actor. */
  #scopeOf(actor: ActorRef): LiveScope {
    const { system, scope } = actor
    const relay = (_source: unknown, target: unknown, event: EventObject): void => {
      if (target === self) this.#hear({ to: 'self', event })
      else if (target === actor._parent) this.#hear({ to: 'parent', event })
      else system.sendFromAction(target as ActorRef, event)
    }
    const self = Object.create(actor, {
      getSnapshot: { value: () => this.#state },
      send: { value: (event: EventObject) => relay(undefined, self, event) },
      system: { value: Object.create(system, { _relay: { value: relay } }) },
    }) as ActorRef
    return Object.create(scope, {
      self: { value: self },
      system: { value: self.system },
      emit: { value: () => {} },
      defer: { value: (work: () => void) => work() },
    }) as LiveScope
  }
}

function atOnce(over: () => void): void {
  over()
}
