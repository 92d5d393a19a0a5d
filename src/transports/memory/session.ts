import type { StartFrom } from '../../actors/contracts/broker.ts'
import type { LeaseHolder, MemoryLease } from './lease.ts'

/** What a consumer does with the leases of its session. */
export interface LeaseTaker {
  offer(lease: MemoryLease): void
  /** Takes back a lease; whether nobody had read it yet. */
  withdraw(lease: MemoryLease): boolean
}

/** How a member behaves in its group. */
export interface SessionOptions {
  readonly from: StartFrom
  readonly drainTimeout: number
  readonly sessionTimeout: number
  readonly topics: readonly string[]
  /** What all members of the group must have alike, as text. */
  readonly terms: string
}

/**
 * A consumer's membership in its group: from a join until it leaves or is expired. Whatever passes between group and
 * consumer passes here, so that an interruption holds it back, in order, until the line is mended.
 */
export class Session implements LeaseHolder {
  readonly options: SessionOptions
  /** The leases that are not over, as the consumer knows it. */
  readonly leases = new Set<MemoryLease>()
  readonly #taker: LeaseTaker
  readonly #waiting: (() => void)[] = []
  #cut = false

  constructor(options: SessionOptions, taker: LeaseTaker) {
    this.options = options
    this.#taker = taker
  }

  get cut(): boolean {
    return this.#cut
  }

  pass(message: () => void): void {
    this.#waiting.push(message)
    if (!this.#cut && this.#waiting.length === 1) this.#deliver()
  }

  /** From here on nothing passes. */
  interrupt(): void {
    this.#cut = true
  }

  /** All that was held back passes now. */
  mend(): void {
    this.#cut = false
    this.#deliver()
    for (const lease of this.leases) lease.wake()
  }

  /** What a message causes waits for its turn: a lease is given before it is revoked. */
  #deliver(): void {
    while (!this.#cut && this.#waiting.length > 0) {
      this.#waiting[0]!()
      this.#waiting.shift()
    }
  }

  give(lease: MemoryLease): void {
    this.pass(() => {
      this.leases.add(lease)
      this.#taker.offer(lease)
    })
  }

  revoke(lease: MemoryLease): void {
    this.pass(() => {
      // What nobody has read needs no drain.
      if (this.#taker.withdraw(lease)) void lease.release()
      else lease.revoke()
    })
  }

  lose(lease: MemoryLease, why: string): void {
    this.pass(() => {
      this.#taker.withdraw(lease)
      lease.lose(why)
    })
  }

  ended(lease: MemoryLease): void {
    this.leases.delete(lease)
  }
}
