/** Observables in and out of Web Streams. The one place where values may be lost is named: `overflow`. */

import { Observable } from 'rxjs'
import { XMachinesError } from '../actors/errors.ts'
import { givenOptions } from '../actors/given.ts'

/** What is told values: an RxJS `Subject`, `Subscriber` or observer. */
export interface ObserverLike<T> {
  next(value: T): void
  error(reason: unknown): void
  complete(): void
}

/** What takes an observer. */
interface Subscribable<T> {
  subscribe(observer: ObserverLike<T>): { unsubscribe(): void }
}

/** What takes a listener too. RxJS and XState declare this last, and the last one is where TypeScript infers from. */
interface Listenable<T> {
  subscribe(next: (value: T) => void): { unsubscribe(): void }
}

/** What can be subscribed to: an RxJS `Observable`, an XState actor, or any other library's. */
export type ObservableLike<T> = Subscribable<T> | (Subscribable<T> & Listenable<T>)

/**
 * The values of a stream as an RxJS Observable. A value is read when the observers have taken the one before.
 *
 * A stream can be read once, and so can be subscribed to once: a second subscription gets the `TypeError` of a locked
 * stream. Its error and its end pass on; unsubscribing cancels it.
 *
 * @param options.signal cancels the stream; the observers get `ABORTED`
 */
export function toObservable<T>(
  readable: ReadableStream<T>,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Observable<T> {
  return new Observable<T>(subscriber => {
    const reader = readable.getReader()

    async function read(): Promise<void> {
      try {
        while (!subscriber.closed) {
          const { done, value } = await reader.read()
          if (done) return subscriber.complete()
          subscriber.next(value)
        }
      } catch (error) {
        subscriber.error(error)
      }
    }

    function abort(): void {
      const reason: unknown = signal?.reason
      subscriber.error(new XMachinesError('ABORTED', 'The reading was aborted by its signal.', { cause: reason }))
    }

    signal?.addEventListener('abort', abort)
    subscriber.add(() => {
      signal?.removeEventListener('abort', abort)
      // Of a stream that has ended this is nothing, of one that has failed its observers know.
      reader.cancel(signal?.reason).catch(() => {})
    })
    if (signal?.aborted) abort()
    else void read()
  })
}

/**
 * A WritableStream that tells an observer: each value, the end as `complete`, an abort as `error`.
 *
 * RxJS cannot hold back a writer: a write is done when `next` returns. What `next` throws fails the stream.
 */
export function toWritable<T>(subject: ObserverLike<T>): WritableStream<T> {
  return new WritableStream<T>({
    write: value => subject.next(value),
    close: () => subject.complete(),
    abort: reason => subject.error(reason),
  })
}

/**
 * What happens to a value that comes while `buffer` values wait: `'error'` fails the stream with `BUFFER_OVERFLOW`,
 * `'drop-oldest'` drops the one that waits longest, `'drop-newest'` the one that came. `'latest'` holds the last one only.
 */
export type Overflow =
  | {
      readonly overflow: 'error' | 'drop-oldest' | 'drop-newest'
      /** The most values that wait for the reader. @default 256 */
      readonly buffer?: number | undefined
    }
  | { readonly overflow: 'latest' }

const overflows: readonly Overflow['overflow'][] = ['error', 'drop-oldest', 'drop-newest', 'latest']

/**
 * The values of an Observable as a stream. It is subscribed to at once, so that nothing of a hot one is missed.
 *
 * An Observable cannot be held back, so `overflow` says what happens when the reader does not keep up: there is no
 * default. Values that wait are read before an error or the end is. Cancelling the stream unsubscribes.
 *
 * @throws TypeError without an Observable, or without one of the ways of `overflow`; RangeError if `buffer` is not a whole
 *   number of 1 or more
 */
export function fromObservable<T>(observable: ObservableLike<T>, options: Overflow): ReadableStream<T> {
  const { overflow } = givenOptions("fromObservable(observable, { overflow: 'error' })", options)
  if (!overflows.includes(overflow)) {
    throw new TypeError(`Expected \`overflow\` to be one of '${overflows.join("', '")}', got ${String(overflow)}.`)
  }
  if (typeof observable?.subscribe !== 'function') {
    throw new TypeError(`Expected an Observable, with a method \`subscribe\`, got ${typeof observable}.`)
  }
  const limit = options.overflow === 'latest' ? 1 : (options.buffer ?? 256)
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new RangeError(`\`buffer\` must be a whole number of 1 or more; got ${limit}.`)
  }
  const waiting: T[] = []
  let end: { readonly error?: unknown } | undefined
  let wake = (): void => {}
  let subscription: { unsubscribe(): void } | undefined

  function finish(how: { readonly error?: unknown }): void {
    end ??= how
    subscription?.unsubscribe()
    wake()
  }

  function next(value: T): void {
    if (end) return
    if (waiting.length < limit) waiting.push(value)
    else if (overflow === 'drop-newest') return
    else if (overflow === 'error') {
      const message = `The reader did not keep up: ${limit} values wait. Read faster, raise \`buffer\`, or choose an \`overflow\` that drops.`
      finish({ error: new XMachinesError('BUFFER_OVERFLOW', message, { details: { buffer: limit } }) })
    } else {
      waiting.shift()
      waiting.push(value)
    }
    wake()
  }

  return new ReadableStream<T>(
    {
      start() {
        subscription = observable.subscribe({ next, error: error => finish({ error }), complete: () => finish({}) })
        // It may have ended before it gave us the subscription.
        if (end) subscription.unsubscribe()
      },
      async pull(controller) {
        if (waiting.length === 0 && !end) {
          await new Promise<void>(resolve => {
            wake = resolve
          })
        }
        if (waiting.length > 0) controller.enqueue(waiting.shift() as T)
        else if (end && 'error' in end) controller.error(end.error)
        else controller.close()
      },
      cancel() {
        waiting.length = 0
        end ??= {}
        subscription?.unsubscribe()
      },
    },
    { highWaterMark: 0 },
  )
}
