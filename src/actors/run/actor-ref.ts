import type { ActorRefFrom, AnyStateMachine, EventObject, SnapshotFrom } from 'xstate'
import { messageOf, XMachinesError } from '../errors.ts'
import type { Observer } from './observer.ts'
import type { Resident } from './resident.ts'
import type { Run } from './types.ts'

type Machine = AnyStateMachine
type Snapshot = SnapshotFrom<Machine>

/** What a subscriber may be, as XState has it. */
type Listen<T> = ((value: T) => void) | undefined
type Subscriber = { next?(snapshot: Snapshot): void; error?(error: unknown): void; complete?(): void }

/**
 * The run as XState's tools read an actor: `useSelector`, `waitFor`, `toPromise`. It shows durable states only, and its
 * `send` queues without a receipt (a refusal is on `err`).
 */
export function createActorRef(
  run: Run<Machine, EventObject>,
  resident: Resident,
  source: { watch(observer: Observer): () => void },
): ActorRefFrom<Machine> {
  const watch = (observer: Partial<Observer>): { unsubscribe(): void } => {
    const ignore = (): void => {}
    return { unsubscribe: source.watch({ adopted: ignore, refused: ignore, ended: ignore, ...observer }) }
  }
  /** What a listener throws is its own: the run goes on. */
  const tell = <T>(listen: Listen<T>, value: T): void => {
    try {
      listen?.(value)
    } catch (thrown) {
      const message = `A listener of the run's actorRef threw: ${messageOf(thrown)}`
      resident.report(resident.seq, new XMachinesError('EFFECT_FAILED', message, { cause: thrown }))
    }
  }
  const ref = {
    id: resident.program.record.id,
    sessionId: resident.run,
    src: resident.program.definition.machine,
    getSnapshot: () => run.getSnapshot(),
    send: (event: EventObject) => void run.apply(event).catch(() => {}), // what fails is on `err`, which knows more
    subscribe(observer: Listen<Snapshot> | Subscriber, onError?: Listen<unknown>, onComplete?: Listen<void>) {
      const { next, error, complete } =
        typeof observer === 'object'
          ? {
              next: observer.next?.bind(observer),
              error: observer.error?.bind(observer),
              complete: observer.complete?.bind(observer),
            }
          : { next: observer, error: onError, complete: onComplete }
      let over = false
      const end = (failed: boolean, cause: unknown): void => {
        if (over) return
        over = true
        if (failed) tell(error, cause)
        else tell(complete, undefined)
      }
      const { status, error: cause } = run.getSnapshot()
      // It has ended: there is only its end to be heard of, at once.
      if (status !== 'active') {
        end(status === 'error', cause)
        return { unsubscribe() {} }
      }
      return watch({
        adopted(units) {
          for (const { state } of units) tell(next, state.snapshot as never)
          const { status, error: cause } = units[units.length - 1]!.state.snapshot
          if (status !== 'active') end(status === 'error', cause)
        },
        ended: cause => end(cause !== undefined, cause),
      })
    },
    on(type: string, handler: (event: never) => void) {
      return watch({
        adopted(units) {
          for (const { unit } of units)
            for (const output of unit.outputs) if (type === '*' || output.type === type) tell(handler, output as never)
        },
      })
    },
    [observable]: (): unknown => ref,
  }
  return ref as unknown as ActorRefFrom<Machine>
}

const observable: symbol = (Symbol as { readonly observable?: symbol }).observable ?? Symbol.for('observable')
