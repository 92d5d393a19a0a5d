import type { EventObject } from 'xstate'
import type { ActorRef } from '../machine/actor-ref.ts'
import type { ActorSystem } from '../machine/system.ts'
import type { LiveSnapshot } from '../machine/xstate.ts'

/** Where what the logic of an attempt relays comes to, and what it is told of its actor. */
export interface Relaying {
  readonly state: LiveSnapshot
  /** What its logic relays, as if it were its actor. */
  relay(target: unknown, event: EventObject): void
}

const attemptOf = Symbol('attempt')
const actorOf = Symbol('actor')

/** Stands in for an actor that runs outside: everything of the actor's, but that its mail comes to the attempt. One for each attempt. */
interface StandIn extends ActorRef {
  [attemptOf]: Relaying
  [actorOf]: ActorRef
}

/** What the logic of an attempt has as `self`. */
export function standInFor(actor: ActorRef, attempt: Relaying): ActorRef {
  const self = Object.create(prototypeOver(actor)) as StandIn
  self[actorOf] = actor
  self[attemptOf] = attempt
  return self
}

const overrides = {
  getSnapshot(this: StandIn): LiveSnapshot {
    return this[attemptOf].state
  },
  /** Bound, as XState's own. */
  get send(): (event: EventObject) => void {
    const self = this as unknown as StandIn
    return event => self[attemptOf].relay(self, event)
  },
  get system(): ActorSystem {
    return relayingSystem((this as unknown as StandIn)[actorOf].system)
  },
}

const prototypes = new WeakMap<object, object>()

/**
 * The prototype of stand-ins: reads what the actor has. An actor must not be a prototype itself: V8 would give each one a
 * shape of its own, at a tenth of what its attempt costs.
 */
function prototypeOver(actor: ActorRef): object {
  const base = Object.getPrototypeOf(actor) as object
  let prototype = prototypes.get(base)
  if (prototype === undefined) {
    prototype = Object.create(base) as object
    for (const key of [...Object.keys(actor), '_processingStatus', '_snapshot'])
      Object.defineProperty(prototype, key, {
        configurable: true,
        get(this: StandIn) {
          return this[actorOf][key as keyof ActorRef]
        },
      })
    Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(overrides))
    prototypes.set(base, prototype)
  }
  return prototype
}

const relaying = new WeakMap<ActorSystem, ActorSystem>()

/** A system as the logic of attempts sees it: what they relay comes to them. One for all attempts of a run, which is cheaper. */
export function relayingSystem(system: ActorSystem): ActorSystem {
  let seen = relaying.get(system)
  if (seen === undefined) {
    const relay = (source: Partial<StandIn> | undefined, target: unknown, event: EventObject): void => {
      const attempt = source?.[attemptOf]
      if (attempt === undefined) system.sendFromAction(target as ActorRef, event)
      else attempt.relay(target, event)
    }
    seen = Object.create(system, { _relay: { value: relay } }) as ActorSystem
    relaying.set(system, seen)
  }
  return seen
}
