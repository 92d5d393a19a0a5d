import type { EventObject } from 'xstate'
import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { copyJson } from '../json/json-copy.ts'
import type { ActorRef } from '../machine/actor-ref.ts'
import { kindOfLogic } from '../machine/logic-kind.ts'
import { recordTold, type Told } from '../machine/outcome.ts'
import { toPlainError } from '../machine/plain-error.ts'
import type { ActorTable, Invocation } from '../machine/state.ts'
import type { LiveScope, LiveSnapshot } from '../machine/xstate.ts'

/** Takes what running logic told, to be recorded as a unit. */
export type TellRun = (invocation: Invocation, event: RecordedEvent) => void

/** Logic that runs: what it works on and how it ends. */
interface Running {
  readonly invocation: Invocation
  readonly scope: LiveScope
  readonly state: LiveSnapshot
  /** Promises end by themselves and are awaited at a close; everything else goes on until it is stopped. */
  readonly awaited: boolean
  over: boolean
}

/** The largest value that an invocation may end with, bytes of JSON. */
const maxOutcomeBytes = 1_048_576

/**
 * The effects of one run that go on after a step: promises, callbacks, observables. They follow the durable state: what it
 * holds as pending runs, what it has left is stopped.
 */
export class Invocations {
  readonly #tell: TellRun
  readonly #environment: Environment
  readonly #running = new Map<ActorRef, Running>()
  /** Told their end, which is not durable yet; or not this process's to start. */
  readonly #ended = new WeakSet<ActorRef>()
  #idle: (() => void)[] = []

  constructor(tell: TellRun, environment: Environment) {
    this.#tell = tell
    this.#environment = environment
  }

  get size(): number {
    return this.#running.size
  }

  /** Starts what is pending and does not run, stops what runs and is not pending. */
  follow(table: ActorTable): void {
    for (const [actor, running] of this.#running) if (!table.invocations.has(actor)) this.#stop(running)
    for (const [actor, invocation] of table.invocations)
      if (!this.#running.has(actor) && !this.#ended.has(actor)) this.#start(invocation)
  }

  /** Leaves alone what is pending now: another process started it. */
  leave(table: ActorTable): void {
    for (const actor of table.invocations.keys()) if (!this.#running.has(actor)) this.#ended.add(actor)
  }

  /** Hands an event to a callback's listeners. */
  receive(actor: ActorRef, event: EventObject): void {
    const running = this.#running.get(actor)
    if (running !== undefined) actor.behaviour.transition(running.state, event, running.scope)
  }

  /** Stops callbacks and observables at once, awaits promises up to `timeout` ms, then aborts them. All stay pending. */
  async close(timeout: number): Promise<void> {
    for (const running of this.#running.values()) if (!running.awaited) this.#stop(running)
    if (this.#running.size === 0) return
    await new Promise<void>(resolve => {
      const deadline = this.#environment.setTimeout(resolve, timeout)
      this.#idle.push(() => {
        this.#environment.clearTimeout(deadline)
        resolve()
      })
    })
    this.stop()
  }

  /** Stops everything at once: the lease is lost, or the process goes. */
  stop(): void {
    for (const running of this.#running.values()) this.#stop(running)
  }

  #start(invocation: Invocation): void {
    const { actor } = invocation
    const state = { ...actor.getSnapshot() }
    const running: Running = {
      invocation,
      state,
      scope: this.#scope(actor, state, told => this.#told(running, told)),
      awaited: kindOfLogic(actor.behaviour) === 'promise',
      over: false,
    }
    this.#running.set(actor, running)
    try {
      actor.behaviour.start!(state, running.scope)
    } catch (thrown) {
      // XState errors an actor whose start throws: the same words as a promise that rejects.
      this.#told(running, {
        to: 'self',
        event: {
          type: running.awaited ? 'xstate.promise.reject' : 'xstate.observable.error',
          data: thrown,
        } as EventObject,
      })
    }
  }

  #stop(running: Running): void {
    const { actor } = running.invocation
    this.#running.delete(actor)
    if (!running.over) {
      running.over = true
      actor.behaviour.transition(running.state, { type: 'xstate.stop' }, running.scope)
    }
    if (this.#running.size === 0) for (const idle of this.#idle.splice(0)) idle()
  }

  #told(running: Running, told: Told): void {
    if (running.over) return
    const { invocation } = running
    const ends = told.to === 'self' && told.event.type !== 'xstate.observable.next'
    if (ends) {
      running.over = true
      this.#ended.add(invocation.actor)
    }
    this.#tell(invocation, checked(recordTold(told), invocation))
    if (ends) this.#stop(running)
  }

  /** What the logic is started with: a stand-in for its actor, whose mail comes here instead of to an actor. */
  #scope(actor: ActorRef, state: LiveSnapshot, tell: (told: Told) => void): LiveScope {
    const { system, scope } = actor
    const relay = (_source: unknown, target: unknown, event: EventObject): void => {
      if (target === self) tell({ to: 'self', event })
      else if (target === actor._parent) tell({ to: 'parent', event })
      else system.sendFromAction(target as ActorRef, event)
    }
    const self = Object.create(actor, {
      getSnapshot: { value: () => state },
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

/** An outcome must be JSON: one that is not becomes the error that says so. */
function checked(event: { readonly type: string }, invocation: Invocation): RecordedEvent {
  const name = `What the invocation '${invocation.path.join('/')}' told`
  try {
    return copyJson(
      event,
      { code: 'OUTCOME_NOT_JSON', name, tooLarge: 'OUTCOME_TOO_LARGE' },
      { undefinedIsAbsent: true, maxBytes: maxOutcomeBytes },
    ) as RecordedEvent
  } catch (thrown) {
    if (!XMachinesError.is(thrown)) throw thrown
    const type = kindOfLogic(invocation.actor.behaviour) === 'promise' ? 'xmachines.reject' : 'xmachines.error'
    return Object.freeze({ type, error: toPlainError(thrown) as JsonValue })
  }
}
