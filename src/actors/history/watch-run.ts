import type { Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { aborted, XMachinesError } from '../errors.ts'
import { givenStore } from '../given.ts'
import { unitBatches, unitStream } from '../unit-stream.ts'

/** How {@link watchRun} reads. */
export interface WatchOptions {
  /** First seq, inclusive. @default 0 */
  readonly from?: number | undefined
  /** `false`: units that are not asked for their `id` are read faster. @default true */
  readonly ids?: boolean | undefined
  /** How long after it was written a unit is seen at the latest, ms: the store is asked again so often. @default 250 */
  readonly interval?: number | undefined
  /** Errors the stream with `ABORTED`. */
  readonly signal?: AbortSignal | undefined
}

/** The first wait after something came, ms: where one unit comes, the next is often near. */
const firstWait = 5

/**
 * A run's history, then its units as they become durable, whoever writes them: this process, or another one that shares
 * the store. Ends after the last unit of a run that has ended. Nothing is read ahead of what is asked for.
 *
 * @throws RUN_UNKNOWN, ABORTED, and what the store throws: the stream errors with it
 */
export function watchRun(store: Store, run: string, options: WatchOptions = {}): ReadableStream<Unit> {
  givenStore({ store })
  const { from = 0, ids = true, interval = 250, signal } = options
  if (!(interval > 0)) throw new TypeError(`Expected \`interval\` to be milliseconds, more than 0; got ${interval}.`)
  if (!Number.isSafeInteger(from) || from < 0)
    throw new TypeError(`Expected \`from\` to be a whole number from 0; got ${from}.`)
  // Who cancels while a read waits ends the waiting: a generator takes a `return` only where it yields.
  const left = new AbortController()
  const until = signal === undefined ? left.signal : AbortSignal.any([signal, left.signal])
  const batches = followed(store, run, { from, ids, interval, signal: until })
  const iterator: AsyncIterator<readonly Unit[]> = {
    next: () => batches.next(),
    return() {
      left.abort()
      return batches.return()
    },
  }
  return unitStream({ [Symbol.asyncIterator]: () => iterator })
}

async function* followed(
  store: Store,
  run: string,
  { from, ids, interval, signal }: { from: number; ids: boolean; interval: number; signal: AbortSignal },
): AsyncGenerator<readonly Unit[], void, void> {
  let next = from
  for (let wait = firstWait; ; ) {
    const head = await store.head(run, { signal })
    if (head === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The store ${store.location} has no run ${run}. Check the id.`, {
        details: { run },
      })
    }
    if (next <= head.seq) {
      yield* unitBatches(store.read(run, { from: next, to: head.seq, ids, signal }))
      next = head.seq + 1
      wait = firstWait
    } else if (head.status !== 'active') return
    else {
      await pause(Math.min(wait, interval), signal)
      wait *= 2
    }
  }
}

function pause(time: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(aborted(signal))
    const abort = (): void => {
      clearTimeout(timer)
      reject(aborted(signal))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, time)
    signal.addEventListener('abort', abort, { once: true })
  })
}
