import type { OutgoingRecord, PartitionLease } from '../contracts/broker.ts'
import type { Refusal, Store } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'
import { deadLetterOf } from './dead-letter.ts'
import type { EpochHome } from './epoch.ts'
import type { LeaseHappening } from './events.ts'
import type { LeasePlace } from './lease-errors.ts'
import type { LeaseHome } from './lease-home.ts'
import type { Outbox } from './outbox.ts'
import type { Sender } from './sender.ts'
import { UnkeptLetters, type UnkeptLettersHome } from './unkept-letters.ts'

/** What sending needs of its lease. */
export interface LeaseSendingHome extends LeasePlace {
  tell(happening: LeaseHappening): void
  /** Nothing that its runs send can be settled any more. */
  sendFailed(error: XMachinesError): void
}

/** What the runs of a lease send, claim after claim, and the dead letters that no run keeps: addressed, counted, told. */
export class LeaseSending implements EpochHome, UnkeptLettersHome {
  readonly store: Store
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  readonly #broker: PartitionLease
  readonly #supervisor: LeaseHome
  readonly #home: LeaseSendingHome
  readonly #unkept = new UnkeptLetters(this)

  constructor(broker: PartitionLease, supervisor: LeaseHome, home: LeaseSendingHome) {
    this.#broker = broker
    this.#supervisor = supervisor
    this.#home = home
    this.store = supervisor.settings.store
    this.results = supervisor.results
    this.deadLetters = supervisor.deadLetters
  }

  /** Sends the dead letter of a record that no run can keep. Resolves to whether it has arrived. */
  sendDeadLetter(refusal: Refusal): Promise<boolean> {
    return this.#unkept.send(refusal)
  }

  /** Nobody waits any more for what no run keeps. */
  end(): void {
    this.#unkept.end()
  }

  // EpochHome, UnkeptLettersHome

  letterOf(refusal: Refusal): OutgoingRecord {
    return deadLetterOf(refusal, this.#broker)
  }
  writeSoon(outbox: Outbox): void {
    this.#supervisor.writeSoon(outbox)
  }
  outputsSent(count: number): void {
    this.#supervisor.counts.outputsSent += count
  }
  deadLettered(key: string | undefined, { record, error }: Refusal): void {
    this.#supervisor.counts.deadLettered++
    this.#home.tell({ type: 'dead-lettered', key, offset: Number(record.offset), code: error.code })
  }
  appendFenced(): void {
    this.#supervisor.counts.fenced(this.#home)
  }
  sendStalled(error: XMachinesError): void {
    this.#home.tell({ type: 'stalled', error })
  }
  sendFailed(error: XMachinesError): void {
    this.#home.sendFailed(error)
  }
}
