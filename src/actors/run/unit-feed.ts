import { batchStream } from '../batch-stream.ts'
import type { AbortOptions } from '../contracts/store.ts'
import type { NewUnit } from '../contracts/unit.ts'
import { aborted } from '../errors.ts'

/**
 * What a stream of units tells.
 *
 * - `unit`: it is durable, as the store has it but for its `id`, which nobody has computed yet.
 * - `lost`: units are, or may be, durable that are not told one by one. With `run` they are that run's: its append was not
 *   answered in time, or another process wrote to it. Without, they are of any run: too many waited to be read. The store
 *   has them all: `head` says where a run stands, `list` where every run does.
 */
export type UnitNotice =
  | {
      readonly type: 'unit'
      readonly run: string
      readonly namespace: string
      readonly key: string | undefined
      readonly unit: NewUnit
    }
  | { readonly type: 'lost'; readonly run: string | undefined }

/** How a stream of units is read. */
export interface UnitsOptions extends AbortOptions {
  /** Notices that wait for the reader at most. One more, and all of them become a single `lost`. @default 4096 */
  readonly buffer?: number | undefined
}

/** What a run is called; without a key, `key` is ''. */
interface Name {
  readonly namespace: string
  readonly key?: string | undefined
}

const defaultBuffer = 4096
const lostAny: UnitNotice = Object.freeze({ type: 'lost', run: undefined })

/** Tells whoever reads of the units that the runs of a store append in this process. Nobody waits for a reader. */
export class UnitFeed {
  readonly #readers = new Set<UnitReader>()

  /** Whether anybody reads: else there is nothing to tell. */
  get isRead(): boolean {
    return this.#readers.size > 0
  }

  /** @param ended when it resolves, the stream ends after what it has. @throws TypeError for a buffer of nothing */
  open({ buffer = defaultBuffer, signal }: UnitsOptions, ended: Promise<void>): ReadableStream<UnitNotice> {
    if (!Number.isSafeInteger(buffer) || buffer < 1)
      throw new TypeError(`Expected \`buffer\` to be a whole number from 1, got \`${String(buffer)}\`.`)
    const reader = new UnitReader(buffer, signal, () => {
      this.#readers.delete(reader)
    })
    this.#readers.add(reader)
    void ended.then(() => reader.finish())
    if (signal?.aborted) reader.abort()
    else signal?.addEventListener('abort', reader.abort, { once: true })
    return batchStream(reader)
  }

  /** Units of a run became durable. */
  tell(run: string, { namespace, key }: Name, units: readonly NewUnit[]): void {
    for (const unit of units)
      this.#push({ type: 'unit', run, namespace, key: key === '' ? undefined : key, unit: Object.freeze(unit) })
  }

  /** Units of a run are durable, or may be, that nobody has any more. */
  lose(run: string): void {
    if (this.isRead) this.#push({ type: 'lost', run })
  }

  #push(notice: UnitNotice): void {
    Object.freeze(notice)
    for (const reader of this.#readers) reader.push(notice)
  }
}

/** What waits for one reader. */
class UnitReader implements AsyncIterableIterator<readonly UnitNotice[]> {
  readonly #buffer: number
  readonly #signal: AbortSignal | undefined
  readonly #left: () => void
  #notices: UnitNotice[] = []
  #wake: () => void = () => {}
  #over = false

  constructor(buffer: number, signal: AbortSignal | undefined, left: () => void) {
    this.#buffer = buffer
    this.#signal = signal
    this.#left = left
  }

  push(notice: UnitNotice): void {
    if (this.#notices.length < this.#buffer) this.#notices.push(notice)
    else this.#notices = [lostAny]
    this.#wake()
  }

  /** Ends after what waits. */
  finish(): void {
    if (this.#over) return
    this.#over = true
    this.#signal?.removeEventListener('abort', this.abort)
    this.#left()
    this.#wake()
  }

  readonly abort = (): void => {
    this.#notices = []
    this.finish()
  }

  /** Whatever waits. One call at a time. */
  async next(): Promise<IteratorResult<readonly UnitNotice[], undefined>> {
    while (this.#notices.length === 0 && !this.#over) await new Promise<void>(resolve => (this.#wake = resolve))
    if (this.#signal?.aborted) throw aborted(this.#signal)
    const value = this.#notices
    this.#notices = []
    return value.length === 0 ? { done: true, value: undefined } : { done: false, value }
  }

  return(): Promise<IteratorResult<readonly UnitNotice[], undefined>> {
    this.abort()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
