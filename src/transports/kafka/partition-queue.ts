import { XMachinesError } from '../../actors/errors.ts'
import type { Place } from './cluster.ts'
import { type EncodableRecord, encodeBatch, mostBytesOf } from './wire/encode-batch.ts'

/** Who the brokers take this producer for. */
export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
}

/** A batch, as it is sent, once or more than once. */
export interface Batch extends Place {
  readonly bytes: Uint8Array
}

/** A record that waits to be sent. */
export interface QueuedRecord extends EncodableRecord {
  /** What is sent in its place where it is too large. */
  readonly smaller?: QueuedRecord
}

interface Entry {
  readonly record: QueuedRecord
  readonly size: number
  /** ms since 1970: when it is given up. */
  readonly until: number
  resolve(offset: number): void
  reject(error: XMachinesError): void
}

/** What waits to be sent to one partition, in order; the first of it may be on its way. */
export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  readonly #maxBytes: number
  readonly #changed: (bytes: number) => void
  /** Its batch is with a node, or waits for another try. */
  isBusy = false
  /** Tries that have failed, one after the other. */
  failures = 0
  #entries: Entry[] = []
  #batch: (Batch & { readonly count: number }) | undefined
  #identity: ProducerIdentity | undefined
  #sequence = 0
  /** Less than all of what fits, after a batch was too large. */
  #mostRecords = Number.POSITIVE_INFINITY

  constructor({ topic, partition }: Place, maxBytes: number, changed: (bytes: number) => void) {
    this.topic = topic
    this.partition = partition
    this.#maxBytes = maxBytes
    this.#changed = changed
  }

  get hasMore(): boolean {
    return this.#entries.length > 0
  }

  /** Queues a record in this tick; resolves with its offset. */
  push(record: QueuedRecord, until: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const size = mostBytesOf(record)
      this.#entries.push({ record, size, until, resolve, reject })
      this.#changed(size)
    })
  }

  /** The batch that was not acknowledged yet, as it was, or the next one. @param identity whose, where the queue has none yet */
  next(identity: ProducerIdentity): Batch | undefined {
    if (this.#batch || this.#entries.length === 0) return this.#batch
    this.#identity ??= identity
    let size = 0
    let count = 0
    while (count < this.#entries.length && count < this.#mostRecords) {
      size += this.#entries[count]!.size
      if (count > 0 && size > this.#maxBytes) break
      count += 1
    }
    const { topic, partition } = this
    const records = this.#entries.slice(0, count).map(({ record }) => record)
    const bytes = encodeBatch(records, { ...this.#identity, baseSequence: this.#sequence })
    this.#batch = { topic, partition, bytes, count }
    return this.#batch
  }

  /** What is sent from here on is sent under another identity. */
  renew(): void {
    this.#identity = undefined
    this.#sequence = 0
    this.#batch = undefined
  }

  /** The batch is in the log. */
  acknowledged(baseOffset: number): void {
    const { count } = this.#batch!
    const entries = this.#take(count)
    this.failures = 0
    this.#mostRecords *= 2
    // Sequences of 31 bits begin anew, as the brokers count them.
    this.#sequence = (this.#sequence + count) % 2 ** 31
    entries.forEach(({ resolve }, at) => {
      resolve(baseOffset < 0 ? baseOffset : baseOffset + at)
    })
  }

  /** The batch is over the topic's limit: half of it is next, or, of a single record, what is smaller; without such, it is refused. */
  tooLarge(): void {
    const { bytes } = this.#batch!
    if (this.#divide()) return
    const { topic, partition } = this
    const [first] = this.#entries
    const { smaller } = first!.record
    if (smaller !== undefined) {
      const size = mostBytesOf(smaller)
      this.#changed(size - first!.size)
      this.#entries[0] = { ...first!, record: smaller, size }
      return
    }
    const [entry] = this.#take(1)
    entry!.reject(
      new XMachinesError(
        'RECORD_TOO_LARGE',
        `A record of ${bytes.length} bytes is over what ${topic} takes. Send less in one record, or raise the topic's max.message.bytes.`,
        { details: { topic, partition, bytes: bytes.length } },
      ),
    )
  }

  /** The topic does not take some record of the batch: half of it is next; a single record is refused. */
  recordRefused(error: XMachinesError): void {
    if (!this.#divide()) this.#take(1)[0]!.reject(error)
  }

  /** The batch will never be taken. */
  refused(error: XMachinesError): void {
    for (const { reject } of this.#take(this.#batch?.count ?? 0)) reject(error)
  }

  /** Gives up what has waited too long; whether something was on its way. */
  rejectLate(now: number, error: XMachinesError): boolean {
    const first = this.#entries[0]
    return first !== undefined && first.until <= now && this.rejectAll(error)
  }

  /** Gives up everything, since nothing may overtake; whether something was on its way. */
  rejectAll(error: XMachinesError): boolean {
    const wasSent = this.#batch !== undefined
    for (const { reject } of this.#take(this.#entries.length)) reject(error)
    return wasSent
  }

  /** The batch is to be made anew of half as many records; not where it has one. */
  #divide(): boolean {
    const { count } = this.#batch!
    this.#batch = undefined
    if (count > 1) this.#mostRecords = Math.ceil(count / 2)
    return count > 1
  }

  #take(count: number): Entry[] {
    this.#batch = undefined
    const taken = this.#entries.splice(0, count)
    this.#changed(-taken.reduce((sum, { size }) => sum + size, 0))
    return taken
  }
}
