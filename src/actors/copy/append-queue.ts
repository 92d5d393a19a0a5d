import type { AppendItem, AppendOutcome, Store } from '../contracts/store.ts'
import { weightOf } from './weight.ts'

/** How much one append takes. */
const mostItems = 1024
const mostUnits = 8192
const mostWeight = 4 * 1024 * 1024

/** Gathers the items of many runs, so that a flush serves them all. */
export class AppendQueue {
  readonly #store: Store
  #items: AppendItem[] = []
  #units = 0
  #weight = 0
  #settlers: ((outcome: AppendOutcome) => void)[] = []
  readonly #runs = new Set<string>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Whether nothing waits. */
  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  /** Whether something of the run still waits. */
  has(run: string): boolean {
    return this.#runs.has(run)
  }

  /** Adds an item; `settle` is told what became of it. */
  async add(item: AppendItem, settle: (outcome: AppendOutcome) => void): Promise<void> {
    this.#items.push(item)
    this.#settlers.push(settle)
    this.#runs.add(item.run)
    this.#units += item.units.length
    // A creation may be long, and an inbox.
    this.#weight += weightOf(item)
    if (this.#items.length >= mostItems || this.#units >= mostUnits || this.#weight >= mostWeight) await this.flush()
  }

  /** Appends what waits. */
  async flush(): Promise<void> {
    const [items, settlers] = [this.#items, this.#settlers]
    this.#items = []
    this.#settlers = []
    this.#units = 0
    this.#weight = 0
    this.#runs.clear()
    if (items.length === 0) return
    const outcomes = await this.#store.append(items)
    for (let index = 0; index < outcomes.length; index++) settlers[index]!(outcomes[index]!)
  }
}
