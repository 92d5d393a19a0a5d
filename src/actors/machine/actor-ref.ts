import type { EventObject } from 'xstate'
import type { ActorPath } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import type { ActorSystem } from './system.ts'
import {
  isInside,
  type LiveLogic,
  type LiveRef,
  type LiveScope,
  type LiveSnapshot,
  type ProcessingStatus,
} from './xstate.ts'

/**
 * A reference to an actor of a run. The actor itself is a value in the run's state: a reference only knows in which
 * system to look it up, so one reference serves the state that is decided ahead and the one that is durable.
 */
export interface ActorRef extends LiveRef {
  readonly system: ActorSystem
  readonly scope: LiveScope
  readonly behaviour: LiveLogic
  /** Whether it is stepped inside its run. */
  readonly stepped: boolean
  /** Its last state, once it is over (or will never start) and no table holds it any more. */
  last: { readonly snapshot: LiveSnapshot; readonly status: ProcessingStatus } | undefined
  /** The hash of the snapshot that was hashed last. */
  hashed?: { readonly snapshot: LiveSnapshot; readonly hash: number }
}

/** The path of an actor in its run. */
export function pathOf(ref: LiveRef): ActorPath {
  const path: string[] = []
  for (let actor = ref; actor._parent !== undefined; actor = actor._parent) path.unshift(String(actor.id)) // a number, say, which XState takes
  return path
}

/** What the reference of an inside actor passes on to XState in place of its logic: everything goes through the system. */
class StandIn implements LiveLogic {
  readonly #ref: ActorRef
  constructor(ref: ActorRef) {
    this.#ref = ref
  }
  getInitialSnapshot(_scope: LiveScope, input: unknown): LiveSnapshot {
    return this.#ref.behaviour.getInitialSnapshot(this.#ref.scope, input)
  }
  restoreSnapshot(snapshot: LiveSnapshot): LiveSnapshot {
    const { system, behaviour, scope } = this.#ref
    return system.reviving ? snapshot : (behaviour.restoreSnapshot?.(snapshot, scope) ?? snapshot)
  }
  transition(snapshot: LiveSnapshot): LiveSnapshot {
    return snapshot
  }
  getPersistedSnapshot(snapshot: LiveSnapshot): unknown {
    return this.#ref.behaviour.getPersistedSnapshot(snapshot)
  }
}

/** What replaces the life of an XState actor by a look into the system. */
const overrides = {
  getSnapshot(this: ActorRef): LiveSnapshot {
    return this.system.snapshotOf(this)
  },
  start(this: ActorRef): ActorRef {
    this.system.start(this)
    return this
  },
  _send(this: ActorRef, event: EventObject): void {
    this.system.send(this, event)
  },
  send(this: ActorRef, event: EventObject): void {
    this.system.sendFromAction(this, event)
  },
  _stop(this: ActorRef): ActorRef {
    this.system.stop(this)
    return this
  },
  getPersistedSnapshot(this: ActorRef): unknown {
    return this.behaviour.getPersistedSnapshot(this.getSnapshot())
  },
  subscribe(this: ActorRef): never {
    throw unwatched(this, 'subscribe')
  },
  on(this: ActorRef): never {
    throw unwatched(this, 'on')
  },
  get _processingStatus(): ProcessingStatus {
    const ref = this as unknown as ActorRef
    return ref.system.statusOf(ref)
  },
  get _snapshot(): LiveSnapshot {
    const ref = this as unknown as ActorRef
    return ref.system.snapshotOf(ref)
  },
  /** Written once, by XState's constructor: the initial snapshot, or the error that computing it threw. */
  set _snapshot(snapshot: LiveSnapshot) {
    const ref = this as unknown as ActorRef
    ref.system.begin(ref, snapshot)
  },
}

/** A child is a value in the state of its run, which says when it has changed; what it emits, the run's machine may emit. */
function unwatched({ id }: ActorRef, method: string): XMachinesError {
  return new XMachinesError(
    'MACHINE_UNSUPPORTED',
    `\`${method}\` was called on the child actor '${id}', which is a part of its run. Subscribe to the run and look into \`snapshot.children\`, or let the machine \`emit\` what is to be seen outside.`,
    { details: { actor: id, method } },
  )
}

const prototypes = new WeakMap<object, object>()

/** The prototype of our references to XState's actors: XState's own with {@link overrides} in front. */
function prototypeOver(actor: object): object {
  const base = Object.getPrototypeOf(actor) as object
  let prototype = prototypes.get(base)
  if (prototype === undefined) {
    prototype = Object.create(base, Object.getOwnPropertyDescriptors(overrides)) as object
    prototypes.set(base, prototype)
  }
  return prototype
}

/**
 * Takes over an actor that XState is constructing (called from the inspection event `@xstate.actor`, which its
 * constructor sends before it computes the initial snapshot).
 */
export function adoptActor(actor: LiveRef, system: ActorSystem): ActorRef {
  const behaviour = actor.logic
  for (const own of [
    '_snapshot',
    '_processingStatus',
    'send',
    'mailbox',
    'observers',
    'eventListeners',
    '_deferred',
    '_actorScope',
  ]) {
    delete (actor as unknown as Record<string, unknown>)[own]
  }
  Object.setPrototypeOf(actor, prototypeOver(actor))
  const ref = actor as ActorRef
  Object.assign(ref, { behaviour, stepped: isInside(behaviour), last: undefined, scope: system.scopeOf(ref) })
  ref.logic = new StandIn(ref)
  return ref
}

/** The root's own reference: what `self` is in its actions. */
export class RootRef implements ActorRef {
  readonly id: string
  readonly sessionId = 'x:0'
  readonly systemId = undefined
  readonly _parent = undefined
  readonly _syncSnapshot = undefined
  readonly stepped = true
  readonly system: ActorSystem
  readonly scope: LiveScope
  readonly options: { readonly input?: unknown }
  last: ActorRef['last'] = undefined

  constructor(system: ActorSystem, id: string, input: unknown) {
    this.system = system
    this.id = id
    this.options = { input }
    this.scope = system.scopeOf(this)
  }

  get behaviour(): LiveLogic {
    return this.system.machine as unknown as LiveLogic
  }
  get logic(): LiveLogic {
    return this.behaviour
  }
  get src(): unknown {
    return this.system.machine
  }
  get ref(): ActorRef {
    return this
  }
  get _processingStatus(): ProcessingStatus {
    return this.system.statusOf(this)
  }
  getSnapshot(): LiveSnapshot {
    return this.system.snapshotOf(this)
  }
  getPersistedSnapshot(): unknown {
    return this.behaviour.getPersistedSnapshot(this.getSnapshot())
  }
  start(): this {
    return this
  }
  send(event: EventObject): void {
    this.system.sendFromAction(this, event)
  }
  _send(event: EventObject): void {
    this.system.send(this, event)
  }
  /** A run is watched through its ports. */
  subscribe(): { unsubscribe(): void } {
    throw new XMachinesError(
      'MACHINE_UNSUPPORTED',
      'The machine subscribed to its own actor. Watch a run from outside: `run.snapshot`, `run.subscribe` or `run.actorRef`.',
    )
  }
  toJSON(): { readonly xstate$$type: 1; readonly id: string } {
    return { xstate$$type: 1, id: this.id }
  }
}
