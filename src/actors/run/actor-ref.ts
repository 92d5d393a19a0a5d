import type { ActorRefFrom, AnyStateMachine, EventObject, SnapshotFrom } from 'xstate'
import { platform } from '../environment.ts'
import type { LiveMachineSnapshot } from '../machine/xstate.ts'
import type { AdoptedUnit } from './command.ts'
import type { Observer } from './observer.ts'
import type { Resident } from './resident.ts'
import type { Run } from './types.ts'

type Machine = AnyStateMachine
type Snapshot = SnapshotFrom<Machine>

/** What a subscriber may be, as XState has it. */
interface Subscriber {
  next?: ((snapshot: Snapshot) => void) | undefined
  error?: ((error: unknown) => void) | undefined
  complete?: (() => void) | undefined
}

/** What a reference needs of its handle. */
export interface WatchedHandle {
  watch(observer: Observer): () => void
  /** Whether the handle was closed: it shows nothing any more. */
  isClosed(): boolean
}

/**
 * The run as XState's tools read an actor: `useSelector`, `waitFor`, `toPromise`. It shows durable states only, and its
 * `send` queues without a receipt (a refusal is on `err`).
 */
export function createActorRef(
  run: Run<Machine, EventObject>,
  resident: Resident,
  handle: WatchedHandle,
): ActorRefFrom<Machine> {
  const { machine } = resident.program.definition
  const subscribe = (subscriber: Subscriber): { unsubscribe(): void } => {
    const watcher = new Watcher(subscriber)
    // As an actor of XState's: who comes after the end is told of it at once.
    if (handle.isClosed() || resident.over !== undefined) watcher.ended(resident.over?.error)
    else if (resident.created) watcher.end(resident.state.snapshot)
    return { unsubscribe: watcher.over ? () => {} : handle.watch(watcher) }
  }
  const ref = {
    id: resident.program.record.id,
    sessionId: resident.run,
    src: machine,
    system: resident.system,
    getSnapshot: () => run.getSnapshot(),
    getPersistedSnapshot: () => machine.getPersistedSnapshot(run.getSnapshot()),
    send: (event: EventObject) => void run.apply(event).catch(() => {}), // what fails is on `err`, which knows more
    start() {}, // it runs
    stop() {
      throw new TypeError(
        'A run is not stopped by its reference: `run.stop(reason)` ends it, `run.close()` lets go of it.',
      )
    },
    subscribe(
      subscriber: Subscriber | Subscriber['next'],
      error?: Subscriber['error'],
      complete?: Subscriber['complete'],
    ) {
      if (typeof subscriber !== 'object') return subscribe({ next: subscriber, error, complete })
      return subscribe({
        next: subscriber.next?.bind(subscriber),
        error: subscriber.error?.bind(subscriber),
        complete: subscriber.complete?.bind(subscriber),
      })
    },
    select<T>(selector: (snapshot: Snapshot) => T, isEqual: (a: T, b: T) => boolean = Object.is) {
      return {
        get: () => selector(run.getSnapshot()),
        subscribe(subscriber: ((value: T) => void) | { next?(value: T): void }) {
          let last = selector(run.getSnapshot())
          return ref.subscribe((snapshot: Snapshot) => {
            const value = selector(snapshot)
            if (isEqual(last, value)) return
            last = value
            if (typeof subscriber === 'function') subscriber(value)
            else subscriber.next?.(value)
          })
        },
      }
    },
    on(type: string, handler: (event: never) => void) {
      const tell = (output: { readonly type: string }): void => {
        if (type === '*' || output.type === type) guarded(handler, output as never)
      }
      const adopted = (units: readonly AdoptedUnit[]): void => {
        for (const { unit } of units) unit.outputs.forEach(tell)
      }
      return { unsubscribe: handle.watch({ adopted, refused() {}, ended() {} }) }
    },
    toJSON: () => ({ xstate$$type: 1, id: resident.program.record.id }),
    [observable]: (): unknown => ref,
  }
  return ref as unknown as ActorRefFrom<Machine>
}

/** Tells a subscriber as XState does: states, then its end, once. */
class Watcher implements Observer {
  readonly #subscriber: Subscriber
  over = false

  constructor(subscriber: Subscriber) {
    this.#subscriber = subscriber
  }

  adopted(units: readonly AdoptedUnit[]): void {
    for (const { state } of units) {
      if (this.over) return
      if (state.snapshot.status !== 'error') guarded(this.#subscriber.next, state.snapshot as never)
      this.end(state.snapshot)
    }
  }
  refused(): void {}
  ended(error: unknown): void {
    if (this.over) return
    this.over = true
    if (error === undefined) guarded(this.#subscriber.complete, undefined)
    else guarded(this.#subscriber.error, error)
  }

  /** Where the run came to its end with this. */
  end({ status, error }: LiveMachineSnapshot): void {
    if (status === 'active' || this.over) return
    this.over = true
    if (status === 'error') guarded(this.#subscriber.error, error)
    else guarded(this.#subscriber.complete, undefined)
  }
}

/** What a listener throws is the platform's to report, as with XState: the run that tells it goes on. */
function guarded<T>(listener: ((value: T) => void) | undefined, value: T): void {
  try {
    listener?.(value)
  } catch (thrown) {
    platform.setTimeout(() => {
      throw thrown
    }, 0)
  }
}

/** As XState and RxJS name it. */
const observable: symbol | '@@observable' = (Symbol as { readonly observable?: symbol }).observable ?? '@@observable'
