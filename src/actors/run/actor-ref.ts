import type { ActorRefFrom, AnyStateMachine, EventObject, SnapshotFrom } from 'xstate'
import type { Observer } from './observer.ts'
import type { Resident } from './resident.ts'
import type { Run } from './types.ts'

type Machine = AnyStateMachine
type Snapshot = SnapshotFrom<Machine>

/** What a subscriber may be, as XState has it. */
type Subscriber =
  | ((snapshot: Snapshot) => void)
  | { next?(snapshot: Snapshot): void; error?(error: unknown): void; complete?(): void }

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
  const ref = {
    id: resident.program.record.id,
    sessionId: resident.run,
    src: resident.program.definition.machine,
    getSnapshot: () => run.getSnapshot(),
    send: (event: EventObject) => void run.apply(event).catch(() => {}), // what fails is on `err`, which knows more
    subscribe(observer: Subscriber) {
      const { next, error, complete } =
        typeof observer === 'function'
          ? { next: observer }
          : {
              next: observer.next?.bind(observer),
              error: observer.error?.bind(observer),
              complete: observer.complete?.bind(observer),
            }
      const subscription = watch({
        adopted(units) {
          for (const { state } of units) next?.(state.snapshot as never)
          const { status, error: cause } = units[units.length - 1]!.state.snapshot
          if (status === 'error') error?.(cause)
          else if (status !== 'active') complete?.()
        },
        ended: cause => (cause === undefined ? complete?.() : error?.(cause)),
      })
      return subscription
    },
    on(type: string, handler: (event: never) => void) {
      return watch({
        adopted(units) {
          for (const { unit } of units)
            for (const output of unit.outputs) if (type === '*' || output.type === type) handler(output as never)
        },
      })
    },
    [observable]: (): unknown => ref,
  }
  return ref as unknown as ActorRefFrom<Machine>
}

const observable: symbol = (Symbol as { readonly observable?: symbol }).observable ?? Symbol.for('observable')
