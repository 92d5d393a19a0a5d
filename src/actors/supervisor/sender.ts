import type { BrokerProducer, OutgoingRecord } from '../contracts/broker.ts'
import { asError, type XMachinesError } from '../errors.ts'
import type { Backoff, Pauses } from './backoff.ts'
import { mayPass } from './failures.ts'

/** Whose parcels are sent. */
export interface ParcelOwner {
  /** The topic, or the store that has what is to be sent, fails; it is tried again for ever. */
  sendStalled(error: XMachinesError): void
}

/** Records that are sent together, in order. */
export interface Parcel {
  readonly owner: ParcelOwner
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
}

/** A parcel with what it holds. */
interface Packed {
  readonly parcel: Parcel
  readonly records: readonly OutgoingRecord[]
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
    const packed: Packed[] = []
    let next = from
    for (let count = 0; next < queue.length && count < batchSize; next++) {
      const parcel = queue[next]!
      const records = await this.#recordsOf(parcel)
      if (records === undefined || records.length === 0) continue
      packed.push({ parcel, records })
      count += records.length
    }
    if (packed.length > 0) await this.#deliver(packed)
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
        await this.#pause([parcel], error, attempt)
      }
    }
    return undefined
  }

  async #deliver(packed: readonly Packed[]): Promise<void> {
    const parcels = packed.map(({ parcel }) => parcel)
    const records = packed.flatMap(each => each.records)
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#producer.send(records)
        for (const parcel of parcels) if (!parcel.isOver()) parcel.sent()
        return
      } catch (thrown) {
        const error = asError(thrown, 'BROKER_UNAVAILABLE')
        if (!mayPass(thrown)) return this.#refused(packed, error)
        await this.#pause(parcels, error, attempt)
        if (parcels.every(parcel => parcel.isOver())) return
      }
    }
  }

  /** The topic may have refused one of them for what it is: each fails, or arrives, by itself. */
  async #refused(packed: readonly Packed[], error: XMachinesError): Promise<void> {
    if (packed.length === 1) return packed[0]!.parcel.failed(error)
    for (const each of packed) if (!each.parcel.isOver()) await this.#deliver([each])
  }

  #pause(parcels: readonly Parcel[], error: XMachinesError, attempt: number): Promise<void> {
    const waiting = parcels.filter(parcel => !parcel.isOver())
    for (const owner of new Set(waiting.map(parcel => parcel.owner))) owner.sendStalled(error)
    return this.#home.pauses.wait(this.#home.backoff(attempt))
  }
}
