import type { XMachinesError } from '../../actors/errors.ts'
import type { OffsetToCommit } from './group/membership.ts'
import type { KafkaLease } from './lease.ts'
import type { Asked } from './permission.ts'
import { toldOf, typeOf } from './problems.ts'
import { wait } from './wait.ts'

/** How long a commit is tried while the coordinator is silent, ms. */
const patience = 30_000

/** From one request to the next, ms: on a near coordinator they would follow each other at once, and cost more than the records. */
const pace = 50

export interface CommitterOptions {
  /** `offsets` is asked in the tick in which its answer is sent: leases may end until then. */
  commit(offsets: () => readonly OffsetToCommit[]): Promise<void>
  /** What a commit is of. */
  readonly asked: Asked
  /** What is written beside the offset. */
  metadataOf(lease: KafkaLease): string
}

interface Pending {
  next: number
  readonly since: number
  waiters: { readonly next: number; resolve(): void; reject(error: unknown): void }[]
}

/**
 * Commits for all leases of a member: one request at a time, whatever comes meanwhile goes into the next. That one follows
 * at the {@link pace}, and at once where the group waits for a lease that it wants back.
 */
export class Committer {
  readonly #options: CommitterOptions
  readonly #pending = new Map<KafkaLease, Pending>()
  #isBusy = false
  #sentAt = Number.NEGATIVE_INFINITY
  #urgency = new AbortController()

  constructor(options: CommitterOptions) {
    this.#options = options
  }

  /** Resolves when everything before `next` is committed. */
  commit(lease: KafkaLease, next: number): Promise<void> {
    if (next <= lease.committed) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const pending = this.#pending.get(lease) ?? { next, since: Date.now(), waiters: [] }
      pending.next = Math.max(pending.next, next)
      pending.waiters.push({ next, resolve, reject })
      this.#pending.set(lease, pending)
      if (lease.revoked.aborted) this.#urgency.abort()
      if (!this.#isBusy) void this.#flush()
    })
  }

  /** The lease is over: what was not committed by now is not. */
  ended(lease: KafkaLease): void {
    this.#reject(lease, lease.lost('it was over before the commit was made.'))
  }

  async #flush(): Promise<void> {
    this.#isBusy = true
    // All that is committed in one tick goes into one request.
    await Promise.resolve()
    let tries = 0
    while (this.#pending.size > 0) {
      const early = this.#sentAt + pace - performance.now()
      if (early > 0) await wait(early, this.#urgency.signal)
      this.#urgency = new AbortController()
      this.#sentAt = performance.now()
      let sent: { readonly lease: KafkaLease; readonly next: number }[] = []
      try {
        await this.#options.commit(() => {
          sent = [...this.#pending].map(([lease, { next }]) => ({ lease, next }))
          return sent.map(({ lease, next }) => this.#offsetOf(lease, next))
        })
        tries = 0
        for (const { lease, next } of sent) this.#committed(lease, next)
      } catch (error) {
        tries += 1
        this.#failed(error)
        if (this.#pending.size > 0) await wait(Math.min(1_000, 10 * 2 ** Math.min(tries, 7)))
      }
    }
    this.#isBusy = false
  }

  #offsetOf(lease: KafkaLease, offset: number): OffsetToCommit {
    const { topic, partition } = lease
    return { topic, partition, offset, metadata: this.#options.metadataOf(lease) }
  }

  #committed(lease: KafkaLease, next: number): void {
    lease.committed = Math.max(lease.committed, next)
    const pending = this.#pending.get(lease)
    if (!pending) return
    const settled = pending.waiters.filter(waiter => waiter.next <= next)
    pending.waiters = pending.waiters.filter(waiter => waiter.next > next)
    if (pending.waiters.length === 0) this.#pending.delete(lease)
    for (const { resolve } of settled) resolve()
  }

  #failed(error: unknown): void {
    const told = toldOf(error, 'Committing', this.#options.asked)
    const type = typeOf(error)
    // The next join tells whether the lease goes on.
    const mayGoOn = type === 'REBALANCE_IN_PROGRESS' || type === 'ILLEGAL_GENERATION' || type === 'UNKNOWN_MEMBER_ID'
    for (const [lease, { since }] of [...this.#pending]) {
      if (!told.retryable) this.#reject(lease, told)
      else if (!mayGoOn && Date.now() > since + patience) this.#reject(lease, told)
    }
  }

  #reject(lease: KafkaLease, error: XMachinesError): void {
    const pending = this.#pending.get(lease)
    this.#pending.delete(lease)
    for (const { reject } of pending?.waiters ?? []) reject(error)
  }
}
