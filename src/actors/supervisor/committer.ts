import type { PartitionLease } from '../contracts/broker.ts'
import { asError, type XMachinesError } from '../errors.ts'
import type { Backoff, Pauses } from './backoff.ts'
import { mayPass } from './failures.ts'

/** What a committer tells. */
export interface CommitterHome {
  readonly pauses: Pauses
  readonly backoff: Backoff
  /** The broker has taken a commit. */
  committed(): void
  /** It cannot take any; tries go on where `stalled`. */
  commitFailed(error: XMachinesError, stalled: boolean): void
}

/** Commits of one lease: one at a time, each the newest offset there is. */
export class Committer {
  readonly #lease: PartitionLease
  readonly #home: CommitterHome
  #wanted: number | undefined
  #committed: number | undefined
  #running: Promise<void> | undefined
  #over = false

  constructor(lease: PartitionLease, home: CommitterHome) {
    this.#lease = lease
    this.#home = home
  }

  /** The last offset that the broker has taken from here. */
  get committed(): number | undefined {
    return this.#committed
  }

  /** Says that all records before `offset` are settled; it is committed soon. */
  advance(offset: number): void {
    this.#wanted = offset
    this.#running ??= this.#run()
  }

  /** Resolves when what was advanced to is committed, or cannot be. */
  async flush(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  /** Nothing is committed any more. */
  end(): void {
    this.#over = true
  }

  async #run(): Promise<void> {
    // What settles in the same turn goes together.
    await undefined
    for (let attempt = 1; !this.#over && this.#wanted !== this.#committed; ) {
      const next = this.#wanted!
      try {
        await this.#lease.commit(next)
        this.#committed = next
        attempt = 1
        if (!this.#over) this.#home.committed()
      } catch (thrown) {
        if (this.#over) break
        const error = asError(thrown, 'BROKER_UNAVAILABLE')
        const stalled = mayPass(error) && error.code !== 'LEASE_LOST'
        this.#home.commitFailed(error, stalled)
        if (!stalled) this.#over = true
        else await this.#home.pauses.wait(this.#home.backoff(attempt++))
      }
    }
    this.#running = undefined
  }
}
