import type { LeaseKey, LeaseRow, Store } from '../contracts/store.ts'
import { copier } from './target-leases.ts'

/** The group that a fence claims for: no supervisor's own, so that one that is fenced does not claim again. */
const fence = 'xmachines copy --source fence'

/** After so many partitions in a row that nobody has ever claimed there are no more of a namespace. */
const block = 64

/**
 * Takes the partitions of a source away from whoever runs them. Nobody can be kept from claiming one again: a rebalance
 * does. So what was fenced is looked at again after it was copied, until nobody was there in between.
 */
export class SourceFence {
  readonly #store: Store
  readonly #signal: AbortSignal | undefined
  /** Partition → the epoch under which it is fenced. Grows with the partitions, not with the runs. */
  readonly #epochs = new Map<string, number>()
  #moved = false

  constructor(store: Store, signal?: AbortSignal) {
    this.#store = store
    this.#signal = signal
  }

  /**
   * Claims every partition that is not fenced, whoever owns it, or nobody: then runs are written to without a lease.
   *
   * @returns whether somebody may have written to one since it was called before
   */
  async close(): Promise<boolean> {
    this.#moved = false
    for (const [namespace, known] of await this.#partitions()) {
      let next = Number.NEGATIVE_INFINITY
      for (const start of [...new Set([0, ...known])].sort((a, b) => a - b)) {
        if (start >= next) next = await this.#fenceFrom(start, namespace, known)
      }
    }
    return this.#moved
  }

  /** Namespace → its partitions that have runs. */
  async #partitions(): Promise<Map<string, Set<number>>> {
    const partitions = new Map<string, Set<number>>()
    for await (const { lease } of this.#store.list({ signal: this.#signal })) {
      if (lease === undefined) continue
      const known = partitions.get(lease.namespace) ?? new Set()
      partitions.set(lease.namespace, known.add(lease.partition))
    }
    return partitions
  }

  /** Also partitions without runs: whoever has claimed one may create its first run any time. @returns the first that was not looked at */
  async #fenceFrom(start: number, namespace: string, known: ReadonlySet<number>): Promise<number> {
    for (let first = start; ; first += block) {
      const partitions = Array.from({ length: block }, (_, index) => first + index)
      const found = await Promise.all(
        partitions.map(partition => this.#fence({ namespace, partition }, known.has(partition))),
      )
      if (!found.includes(true)) return first + block
    }
  }

  /** @returns whether there is such a partition */
  async #fence(key: LeaseKey, isKnown: boolean): Promise<boolean> {
    const signal = this.#signal
    const row = await this.#store.lease(key, { signal })
    if (row === undefined && !isKnown) return false
    const name = JSON.stringify([key.namespace, key.partition])
    const held = isFenced(row) ? row : await this.#store.claim({ ...key, owner: copier, group: fence }, { signal })
    // Of another epoch, it was somebody's, though another copy may have fenced it since.
    if (this.#epochs.get(name) !== held.epoch) this.#moved = true
    this.#epochs.set(name, held.epoch)
    return true
  }
}

function isFenced(row: LeaseRow | undefined): row is LeaseRow {
  return row?.owner === copier && row.group === fence
}
