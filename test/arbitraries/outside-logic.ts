import { type AnyActorLogic, fromCallback, fromEventObservable, fromObservable, fromPromise } from 'xstate'

/** The kinds of logic that run outside of a step. */
export type OutsideKind = 'promise' | 'callback' | 'observable' | 'events'

/** One logic of each kind: what generated machines invoke with `effects`. */
export type OutsideLogic = Readonly<Record<OutsideKind, AnyActorLogic>>

interface Input {
  readonly seed?: number
}
interface Observer<T> {
  readonly next: (value: T) => void
  readonly complete: () => void
}

/**
 * Logic that lives by itself: a promise that resolves or, for some inputs, rejects; a callback that answers; observables of
 * two values. All of it happens in later microtasks, so that what a run does with it can be awaited.
 */
export const selfContained: OutsideLogic = {
  promise: fromPromise<{ seed: number }, Input | undefined>(async ({ input }) => {
    const seed = input?.seed ?? 0
    if (seed % 3 === 2) throw new Error(`rejected ${seed}`)
    return { seed }
  }),
  callback: fromCallback(({ receive, sendBack }) => {
    receive(event => {
      if (event.type.startsWith('P')) queueMicrotask(() => sendBack({ type: 'L1' }))
    })
  }),
  observable: fromObservable<number, Input | undefined>(({ input }) => two([input?.seed ?? 0, 7])),
  events: fromEventObservable(() => two([{ type: 'L1' }, { type: 'L2' }])),
}

function two<T>(values: readonly T[]) {
  return {
    subscribe(observer: unknown) {
      const { next, complete } = observer as Observer<T>
      let open = true
      queueMicrotask(() => {
        for (const value of values) if (open) next(value)
        if (open) complete()
      })
      return {
        unsubscribe: () => {
          open = false
        },
      }
    },
  } as never
}
