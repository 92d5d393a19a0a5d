import type { OutgoingRecord } from '../contracts/broker.ts'
import type { Refusal, RunHead, Store } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'
import type { Driver } from '../run/loading.ts'
import type { Leased } from '../run/resident-start.ts'
import { runClosed } from '../run/run-errors.ts'
import { Outbox, type OutboxHome } from './outbox.ts'
import type { ParcelOwner, Sender } from './sender.ts'

/** What is counted and told of what runs send out. */
export interface EpochHome extends ParcelOwner {
  readonly store: Store
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  letterOf(refusal: Refusal): OutgoingRecord
  writeSoon(outbox: Outbox): void
  outputsSent(count: number): void
  deadLettered(key: string | undefined, refusal: Refusal): void
  appendFenced(): void
  sendFailed(error: XMachinesError): void
}

/** One claim of a partition, and all runs that are in memory under it, whoever holds them. */
export class Epoch implements Driver, OutboxHome {
  readonly lease: Leased
  readonly store: Store
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  readonly #home: EpochHome
  readonly #outboxes = new Set<Outbox>()
  /** Nothing comes into memory under it any more. */
  #over = false

  constructor(lease: Leased, home: EpochHome) {
    this.lease = lease
    this.#home = home
    this.store = home.store
    this.results = home.results
    this.deadLetters = home.deadLetters
  }

  /**
   * @param parked its history may be unreadable
   * @throws `RUN_CLOSED` once the claim is over: what was being loaded meanwhile must not start anything
   */
  outbox(run: string, key: string | undefined, head: RunHead | undefined, parked = false): Outbox {
    if (this.#over) throw runClosed(run)
    const outbox = new Outbox(run, key, head, parked, this)
    this.#outboxes.add(outbox)
    return outbox
  }

  /** Resolves when all that the runs have to send now is sent, and the store knows. */
  async flush(): Promise<void> {
    await Promise.all([...this.#outboxes].map(outbox => outbox.flush()))
  }

  /** Ends all of its runs, at once. */
  end(error: XMachinesError): void {
    this.#over = true
    for (const outbox of [...this.#outboxes]) outbox.end(error)
  }

  // OutboxHome

  get owner(): ParcelOwner {
    return this.#home
  }
  letterOf(refusal: Refusal): OutgoingRecord {
    return this.#home.letterOf(refusal)
  }
  writeSoon(outbox: Outbox): void {
    this.#home.writeSoon(outbox)
  }
  outputsSent(count: number): void {
    this.#home.outputsSent(count)
  }
  deadLettered(key: string | undefined, refusal: Refusal): void {
    this.#home.deadLettered(key, refusal)
  }
  appendFenced(): void {
    this.#home.appendFenced()
  }
  sendFailed(error: XMachinesError): void {
    this.#home.sendFailed(error)
  }
  gone(outbox: Outbox): void {
    this.#outboxes.delete(outbox)
  }
}
