import type { BrokerRecord } from '../contracts/broker.ts'

/** A record that is in hand. */
export interface UnsettledRecord {
  /** When it was handed over, ms since 1970. */
  readonly begun: number
  /** The record's own time. */
  readonly timestamp: number
}

/**
 * Which records of a lease are settled. Each record gets a place when it is handed over; records settle in any order, and
 * what counts is up to which offset all are.
 */
export class OffsetWindow {
  readonly size: number
  /** By place: the offset, the record's time, when it was handed over, and whether it is settled. */
  readonly #offsets: Float64Array
  readonly #timestamps: Float64Array
  readonly #begun: Float64Array
  readonly #settled: Uint8Array
  /** The oldest place that is not settled, and the next one to be given out. */
  #first = 0
  #next = 0
  #open = 0
  #dropped = 0
  #waiting: (() => void)[] = []
  #position: number | undefined
  #settledTo: number | undefined

  /** @param size how many places may be between the oldest unsettled one and the next */
  constructor(size: number) {
    this.size = size
    this.#offsets = new Float64Array(size)
    this.#timestamps = new Float64Array(size)
    this.#begun = new Float64Array(size)
    this.#settled = new Uint8Array(size)
  }

  /** No further record may be handed over. */
  get full(): boolean {
    return this.#next - this.#first >= this.size
  }

  /** Records that are not settled. */
  get open(): number {
    return this.#open
  }

  /** The oldest record that is not settled; `undefined` where all are. */
  get oldest(): UnsettledRecord | undefined {
    if (this.#first === this.#next) return undefined
    const slot = this.#first % this.size
    return { begun: this.#begun[slot]!, timestamp: this.#timestamps[slot]! }
  }

  /** The offset after the last record that was handed over. */
  get position(): number | undefined {
    return this.#position
  }

  /** All records before this offset are settled. Never goes back, also where records are delivered again. */
  get settledTo(): number | undefined {
    return this.#settledTo
  }

  /** Takes a record in, at the time `now`; answers its place. Only while it is not {@link full}. */
  begin({ offset, timestamp }: Pick<BrokerRecord, 'offset' | 'timestamp'>, now: number): number {
    const place = this.#next++
    const slot = place % this.size
    this.#offsets[slot] = offset
    this.#timestamps[slot] = timestamp
    this.#begun[slot] = now
    this.#settled[slot] = 0
    this.#open++
    this.#position = offset + 1
    return place
  }

  /** The record of this place is settled. Answers whether {@link settledTo} or {@link full} may have changed. */
  settle(place: number): boolean {
    this.#settled[place % this.size] = 1
    this.#open--
    if (this.#waiting.length > 0) this.#check()
    if (place !== this.#first) return false
    let last = place
    while (++this.#first < this.#next && this.#settled[this.#first % this.size] === 1) last = this.#first
    const settledTo = this.#offsets[last % this.size]! + 1
    if (this.#settledTo === undefined || settledTo > this.#settledTo) this.#settledTo = settledTo
    return true
  }

  /** Records that will not be settled under this lease: their places stay open, and nobody waits for them. */
  drop(count: number): void {
    this.#dropped += count
    this.#check()
  }

  /** Resolves when all records are settled or dropped. */
  allSettled(): Promise<void> {
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      this.#check()
    })
  }

  #check(): void {
    if (this.#open <= this.#dropped) for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
