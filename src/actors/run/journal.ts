import type { AppendItem, AppendOutcome, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import { messageOf, XMachinesError } from '../errors.ts'

/** Whoever has something to append to one run. */
export interface Writer {
  /** What is to be appended now, or nothing. Not asked again before {@link settled} or {@link failed}. */
  takeItem(): AppendItem | undefined
  settled(outcome: AppendOutcome): void
  /** The whole append failed: `STORE_UNAVAILABLE` and the like. */
  failed(error: XMachinesError): void
}

/**
 * One for each store: whatever runs want appended while an append is under way goes into the next one together, so that a
 * flush serves them all. A run has at most one item in flight.
 */
export class Journal {
  readonly #store: Store
  #ready = new Set<Writer>()
  #flushing = false
  telemetry: Telemetry | undefined = undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Asks for `writer`'s item to be taken soon: at the end of this microtask, or with the append after the one under way. */
  request(writer: Writer): void {
    this.#ready.add(writer)
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => void this.#flush())
  }

  async #flush(): Promise<void> {
    while (this.#ready.size > 0) {
      const ready = this.#ready
      this.#ready = new Set()
      const writers: Writer[] = []
      const items: AppendItem[] = []
      for (const writer of ready) {
        const item = writer.takeItem()
        if (item === undefined) continue
        writers.push(writer)
        items.push(item)
      }
      if (items.length === 0) continue
      const measured = this.telemetry?.append(items.length)
      try {
        const outcomes = await this.#store.append(items)
        measured?.(false)
        for (let i = 0; i < writers.length; i++) writers[i]!.settled(outcomes[i]!)
      } catch (thrown) {
        measured?.(true)
        const error = asStoreError(thrown)
        for (const writer of writers) writer.failed(error)
      }
    }
    this.#flushing = false
  }
}

/** Whatever a store rejects with, as a coded error: what is not one may have happened after the write. */
export function asStoreError(thrown: unknown): XMachinesError {
  if (XMachinesError.is(thrown)) return thrown
  return new XMachinesError(
    'STORE_OUTCOME_UNKNOWN',
    `The store failed while it wrote: ${messageOf(thrown)}. Open the run again and look.`,
    { cause: thrown },
  )
}

const journals = new WeakMap<Store, Journal>()

/** The journal of a store. */
export function journalOf(store: Store): Journal {
  let journal = journals.get(store)
  if (journal === undefined) journals.set(store, (journal = new Journal(store)))
  return journal
}
