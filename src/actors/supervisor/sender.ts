import type { BrokerProducer, OutgoingRecord } from '../contracts/broker.ts'
import type { XMachinesError } from '../errors.ts'
import type { Backoff, Pauses } from './backoff.ts'
import { asError, mayPass } from './failures.ts'

/** Records that are sent together, in order. */
export interface Parcel {
  /** Nobody waits for it any more: it is not sent. */
  isOver(): boolean
  /** What is to be sent. Asked again where the sending failed. */
  records(): readonly OutgoingRecord[] | Promise<readonly OutgoingRecord[]>
  /** All of it is acknowledged. */
  sent(): void
  /** What is to be sent cannot be had, for good. It is over then. */
  unreadable(error: XMachinesError): void
  /** The topic takes nothing, for good. It is over then. */
  failed(error: XMachinesError): void
}

/** What a sender needs. */
export interface SenderHome {
  readonly pauses: Pauses
  readonly backoff: Backoff
  /** The broker does not take it now; it is tried again. */
  stalled(error: XMachinesError): void
}

/** Records of one send. */
const batchSize = 1000

/**
 * Sends parcels in the order in which they came: those that wait go together, one send at a time, each until it is
 * acknowledged. So whatever a run sends arrives in order, at least once.
 */
export class Sender {
  readonly #producer: BrokerProducer
  readonly #home: SenderHome
  #queue: Parcel[] = []
  #running = false

  constructor(producer: BrokerProducer, home: SenderHome) {
    this.#producer = producer
    this.#home = home
  }

  push(parcel: Parcel): void {
    this.#queue.push(parcel)
    if (this.#running) return
    this.#running = true
    void this.#run()
  }

  async #run(): Promise<void> {
    // What comes in the same turn goes together.
    await undefined
    while (this.#queue.length > 0) {
      const queue = this.#queue
      this.#queue = []
      for (let at = 0; at < queue.length; ) at = await this.#send(queue, at)
    }
    this.#running = false
  }

  /** Sends some of `queue` from `from` on; answers where to go on. */
  async #send(queue: readonly Parcel[], from: number): Promise<number> {
    const parcels: Parcel[] = []
    const records: OutgoingRecord[] = []
    let next = from
    for (; next < queue.length && records.length < batchSize; next++) {
      const parcel = queue[next]!
      const made = await this.#recordsOf(parcel)
      if (made === undefined) continue
      parcels.push(parcel)
      for (const record of made) records.push(record)
    }
    if (records.length > 0) await this.#deliver(parcels, records)
    return next
  }

  /** `undefined`: it is over. */
  async #recordsOf(parcel: Parcel): Promise<readonly OutgoingRecord[] | undefined> {
    for (let attempt = 1; !parcel.isOver(); attempt++) {
      try {
        return await parcel.records()
      } catch (thrown) {
        const error = asError(thrown, 'STORE_UNAVAILABLE')
        if (!mayPass(thrown)) {
          parcel.unreadable(error)
          return undefined
        }
        await this.#pause(error, attempt)
      }
    }
    return undefined
  }

  async #deliver(parcels: readonly Parcel[], records: readonly OutgoingRecord[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#producer.send(records)
        for (const parcel of parcels) if (!parcel.isOver()) parcel.sent()
        return
      } catch (thrown) {
        const error = asError(thrown, 'BROKER_UNAVAILABLE')
        if (!mayPass(thrown)) {
          for (const parcel of parcels) parcel.failed(error)
          return
        }
        await this.#pause(error, attempt)
        if (parcels.every(parcel => parcel.isOver())) return
      }
    }
  }

  #pause(error: XMachinesError, attempt: number): Promise<void> {
    this.#home.stalled(error)
    return this.#home.pauses.wait(this.#home.backoff(attempt))
  }
}
