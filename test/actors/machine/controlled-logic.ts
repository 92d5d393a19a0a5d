import { type EventObject, fromCallback, fromEventObservable, fromObservable, fromPromise } from 'xstate'
import type { RecordedEvent } from '../../../src/actors/contracts/json.ts'
import { recordTold, type Told } from '../../../src/actors/machine/outcome.ts'
import type { Recorder } from '../../arbitraries/machine-description.ts'
import type { OutsideKind, OutsideLogic } from '../../arbitraries/outside-logic.ts'

/** What happens to running logic. */
export type Outcome =
  | { readonly does: 'resolve'; readonly value: unknown }
  | { readonly does: 'reject'; readonly thrown: unknown }
  | { readonly does: 'next'; readonly value: unknown }
  | { readonly does: 'complete' }
  | { readonly does: 'send'; readonly event: EventObject }

/** Logic whose outcomes a test decides. A real actor runs it; of ours only its kind counts. */
export class ControlledLogic {
  readonly logic: OutsideLogic
  readonly #kinds: ReadonlyMap<unknown, OutsideKind>
  /** By session id: what runs now. */
  readonly running = new Map<string, (outcome: Outcome) => void>()

  constructor(record: Recorder) {
    const runs = ({ self }: { self: { sessionId: string } }, tell: (outcome: Outcome) => void): (() => void) => {
      this.running.set(self.sessionId, tell)
      return () => this.running.delete(self.sessionId)
    }
    this.logic = {
      promise: fromPromise(
        ({ self, signal }) =>
          new Promise((resolve, reject) => {
            const over = runs({ self }, outcome => {
              over()
              if (outcome.does === 'resolve') resolve(outcome.value)
              else if (outcome.does === 'reject') reject(outcome.thrown)
            })
            signal.addEventListener('abort', over)
          }),
      ),
      callback: fromCallback(({ self, sendBack, receive }) => {
        receive(event => record(`receive ${self.id} ${event.type}`))
        return runs({ self }, outcome => outcome.does === 'send' && sendBack(outcome.event))
      }),
      observable: fromObservable(({ self }) => controlled(tell => runs({ self }, tell))),
      events: fromEventObservable(({ self }) => controlled(tell => runs({ self }, tell)) as never),
    }
    this.#kinds = new Map(Object.entries(this.logic).map(([kind, logic]) => [logic, kind as OutsideKind]))
  }

  kindOf(logic: unknown): OutsideKind {
    return this.#kinds.get(logic)!
  }
}

interface Observer {
  readonly next: (value: unknown) => void
  readonly error: (thrown: unknown) => void
  readonly complete: () => void
}

function controlled(runs: (tell: (outcome: Outcome) => void) => () => void) {
  return {
    subscribe(observer: Observer) {
      const over = runs(outcome => {
        if (outcome.does === 'next') return observer.next(outcome.value)
        over()
        if (outcome.does === 'reject') observer.error(outcome.thrown)
        else if (outcome.does === 'complete') observer.complete()
      })
      return { unsubscribe: over }
    },
  } as never as { subscribe: never; [Symbol.observable]: never }
}

/** How the run layer records an outcome, after its way through JSON text. */
export function recordOutcome(kind: OutsideKind, outcome: Outcome): RecordedEvent {
  return JSON.parse(JSON.stringify(recordTold(toTold(kind, outcome)))) as RecordedEvent
}

/** What XState's logic would tell its actor or its parent. */
function toTold(kind: OutsideKind, outcome: Outcome): Told {
  const self = (type: string, data?: unknown): Told => ({ to: 'self', event: { type, data } as EventObject })
  switch (outcome.does) {
    case 'resolve':
      return self('xstate.promise.resolve', outcome.value)
    case 'reject':
      return self(kind === 'promise' ? 'xstate.promise.reject' : 'xstate.observable.error', outcome.thrown)
    case 'next':
      return kind === 'events'
        ? { to: 'parent', event: outcome.value as EventObject }
        : self('xstate.observable.next', outcome.value)
    case 'complete':
      return { to: 'self', event: { type: 'xstate.observable.complete' } }
    case 'send':
      return { to: 'parent', event: outcome.event }
  }
}
