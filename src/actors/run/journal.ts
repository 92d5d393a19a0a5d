import type { AppendItem, AppendOutcome, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import { soon } from '../environment.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { undecided } from './run-errors.ts'
import { UnitFeed } from './unit-feed.ts'

/** Whoever has something to append to one run. */
export interface Writer {
  readonly run: string
  /** It asked, and was not asked for its item yet: kept by the journal. */
  requested: boolean
  /** What is to be appended now, or nothing. Not asked again before {@link settled} or {@link failed}. */
  takeItem(): AppendItem | undefined
  settled(outcome: AppendOutcome): void
  /** The whole append failed: `STORE_UNAVAILABLE` and the like. */
  failed(error: XMachinesError): void
}

/** So many items make an append of their own: what a run is about to write is still at hand in the processor's cache. */
const wholeAppend = 256
/** Appends under way at a time. */
const mostAppends = 4

/**
 * One for each store: whatever runs want appended while an append is under way goes into the next one together, so that a
 * flush serves them all. A run has at most one item in flight.
 */
export class Journal {
  /** Told of the units that the appends of runs made durable. */
  readonly feed = new UnitFeed()
  readonly #store: Store
  /** Runs that went out of memory with an item that the store has not answered. Each until it is loaded again. */
  readonly #unanswered = new Set<string>()
  #ready: Writer[] = []
  #appends = 0
  #whenAnswered: (() => void)[] = []
  #scheduled = false
  #taking = false
  /** What is to be done before the next append. */
  #before: Promise<void> | undefined
  telemetry: Telemetry | undefined = undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** Asks for `writer`'s item to be taken soon: at the end of this microtask, with the append after the one under way, or as one of many at once. */
  request(writer: Writer): void {
    if (writer.requested) return
    writer.requested = true
    this.#ready.push(writer)
    if (this.#ready.length >= wholeAppend) this.#take()
    else if (this.#appends === 0) this.#schedule()
  }

  /** A run ends here, and what was to be appended to it may become durable all the same, now or later. */
  leaves(run: string): void {
    this.#unanswered.add(run)
  }

  /** The store did not say whether it has an item of the run. */
  doubts(run: string): void {
    this.leaves(run)
    this.feed.lose(run)
  }

  /** A run comes into memory as the store has it. Gives whether an item of its last stay may become durable yet. */
  loads(run: string): boolean {
    if (!this.#unanswered.delete(run)) return false
    this.feed.lose(run)
    return true
  }

  /** Appends from now on wait until that is done. */
  waitFor(before: Promise<void>): void {
    this.#before = before
    void before.then(() => {
      if (this.#before === before) this.#before = undefined
    })
  }

  /** Resolves when no append is under way. */
  answered(): Promise<void> {
    if (this.#appends === 0) return Promise.resolve()
    return new Promise(resolve => this.#whenAnswered.push(resolve))
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    soon(() => {
      this.#scheduled = false
      this.#take()
    })
  }

  /** Starts an append with what is ready, unless one is under way that more can wait for. */
  #take(): void {
    if (this.#taking) return
    this.#taking = true
    try {
      while (this.#ready.length >= (this.#appends === 0 ? 1 : wholeAppend) && this.#appends < mostAppends)
        this.#takeReady()
    } finally {
      this.#taking = false
    }
  }

  #takeReady(): void {
    const ready = this.#ready
    this.#ready = []
    const writers: Writer[] = []
    const items: AppendItem[] = []
    for (const writer of ready) {
      writer.requested = false
      const item = this.#itemOf(writer)
      if (item === undefined) continue
      writers.push(writer)
      items.push(item)
    }
    if (items.length > 0) this.#append(writers, items)
  }

  /** A defect of one run is its own: the others' items are appended all the same. */
  #itemOf(writer: Writer): AppendItem | undefined {
    try {
      return writer.takeItem()
    } catch (thrown) {
      writer.failed(XMachinesError.is(thrown) ? thrown : undecided(writer.run, thrown))
      return undefined
    }
  }

  /** Keeps no item while the store has it: what is in flight is most of what a collection of garbage has to copy. */
  #append(writers: readonly Writer[], items: readonly AppendItem[]): void {
    this.#appends++
    this.#asked(items)
      .then(outcomes => {
        for (let i = 0; i < writers.length; i++) writers[i]!.settled(outcomes[i]!)
      })
      .catch(thrown => {
        const error = asStoreError(thrown)
        for (const writer of writers) writer.failed(error)
      })
      .then(() => {
        this.#appends--
        if (this.#appends === 0 && this.#whenAnswered.length > 0)
          for (const resolve of this.#whenAnswered.splice(0)) resolve()
        // Whoever was answered goes on first, and is in time for the next one.
        if (this.#ready.length > 0) this.#schedule()
      })
  }

  #asked(items: readonly AppendItem[]): Promise<readonly AppendOutcome[]> {
    try {
      if (this.#before !== undefined) return this.#before.then(() => this.#asked(items))
      const { telemetry } = this
      if (telemetry === undefined) return this.#store.append(items)
      return measured(telemetry.append(items.length), this.#store.append(items))
    } catch (thrown) {
      return Promise.reject(thrown)
    }
  }
}

/** The same, told to whoever measures how long it takes. */
async function measured<T>(over: (failed: boolean) => void, asked: Promise<T>): Promise<T> {
  let failed = true
  try {
    const answer = await asked
    failed = false
    return answer
  } finally {
    over(failed)
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
