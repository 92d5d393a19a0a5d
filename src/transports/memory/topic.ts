import type { BrokerRecord, OutgoingRecord, StartFrom } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { checkBytes } from '../broker/given-bytes.ts'
import { mirrored } from '../broker/mirrored.ts'
import { partitionOf } from '../broker/murmur2.ts'
import { Slabs } from '../broker/slabs.ts'

type Headers = BrokerRecord['headers']
type Stored = Pick<BrokerRecord, 'key' | 'value' | 'timestamp' | 'headers'>

const noHeaders: Headers = Object.freeze([])

/** The records of one partition. Nothing in here is ever handed out: readers get copies. */
export class PartitionLog {
  readonly topic: string
  readonly partition: number
  #records: Stored[] = []
  #start = 0
  readonly #watchers = new Set<() => void>()

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  /** The offset of the first record that is kept. */
  get start(): number {
    return this.#start
  }

  /** The offset that the next record gets. */
  get end(): number {
    return this.#start + this.#records.length
  }

  /** Whether a reader may stand at `offset`. */
  has(offset: number): boolean {
    return offset >= this.#start && offset <= this.end
  }

  append(record: Stored): number {
    const offset = this.end
    this.#records.push(record)
    for (const watch of this.#watchers) watch()
    return offset
  }

  /** Up to `limit` records from `offset` on, copied into the reader's `slabs`; throws `OFFSET_OUT_OF_RANGE`. */
  read(offset: number, limit: number, slabs: Slabs): readonly BrokerRecord[] {
    if (!this.has(offset)) throw this.outOfRange(offset)
    const { topic, partition } = this
    const first = offset - this.#start
    const count = Math.min(limit, this.#records.length - first)
    if (count === 0) return []
    const batch: BrokerRecord[] = new Array(count)
    for (let i = 0; i < count; i++) {
      const { key, value, timestamp, headers } = this.#records[first + i]!
      batch[i] = {
        topic,
        partition,
        offset: offset + i,
        key: key && slabs.copy(key),
        value: value && slabs.copy(value),
        timestamp,
        headers: headers === noHeaders ? noHeaders : headers.map(([name, bytes]) => [name, bytes && slabs.copy(bytes)]),
      }
    }
    return batch
  }

  /** Forgets what lies before `offset`. */
  trim(offset: number): void {
    if (!this.has(offset)) throw this.outOfRange(offset)
    this.#records = this.#records.slice(offset - this.#start)
    this.#start = offset
    for (const watch of this.#watchers) watch()
  }

  /** Where a group starts that has committed nothing. */
  startOf(from: StartFrom): number {
    if (from === 'earliest') return this.#start
    if (from === 'latest') return this.end
    if ('offset' in from) return from.offset
    const found = this.#records.findIndex(({ timestamp }) => timestamp >= from.timestamp)
    return found < 0 ? this.end : this.#start + found
  }

  /** Calls `watch` after every change, until the answer is called. */
  watch(watch: () => void): () => void {
    this.#watchers.add(watch)
    return () => this.#watchers.delete(watch)
  }

  outOfRange(offset: number): XMachinesError {
    const { topic, partition, start, end } = this
    return new XMachinesError(
      'OFFSET_OUT_OF_RANGE',
      `Offset ${offset} of ${topic}/${partition} is outside of what is kept, ${start} to ${end}. ` +
        'Start the group at an explicit `from`, or commit an offset that exists.',
      { details: { topic, partition, offset, start, end } },
    )
  }
}

/** A topic: its partitions, and the choice among them. */
export class Topic {
  readonly name: string
  readonly partitions: readonly PartitionLog[]
  readonly #clock: () => number
  readonly #slabs = new Slabs()
  #turn = 0

  constructor(name: string, partitions: number, clock: () => number) {
    this.name = name
    this.partitions = Array.from({ length: partitions }, (_, partition) => new PartitionLog(name, partition))
    this.#clock = clock
  }

  /** The log of `partition`; throws `PARTITION_INVALID` where there is none. */
  at(partition: number): PartitionLog {
    const log = this.partitions[partition]
    if (log) return log
    const { name: topic, partitions } = this
    throw new XMachinesError(
      'PARTITION_INVALID',
      `Topic ${topic} has ${partitions.length} partitions, counted from 0: there is no partition ${partition}.`,
      { details: { topic, partition, partitions: partitions.length } },
    )
  }

  /** Appends all of `records`, or none. */
  append(records: readonly OutgoingRecord[]): { readonly partition: number; readonly offset: number }[] {
    const placed = records.map(record => {
      const stored = this.#store(record)
      const partition = record.partition ?? mirrored(record, this.partitions.length)
      return { stored, log: partition === undefined ? this.#choose(stored.key) : this.at(partition) }
    })
    return placed.map(({ stored, log }) => ({ partition: log.partition, offset: log.append(stored) }))
  }

  #store({ key, value, timestamp, headers }: OutgoingRecord): Stored {
    return {
      key: key === undefined || key === null ? null : this.#bytes(key),
      value: value === null ? null : this.#bytes(value),
      timestamp: timestamp ?? this.#clock(),
      headers: headers ? this.#headers(headers) : noHeaders,
    }
  }

  #headers(headers: NonNullable<OutgoingRecord['headers']>): Headers {
    const pairs = isPairs(headers) ? headers : Object.entries(headers)
    return pairs.map(([name, value]) => [name, value === null ? null : this.#bytes(value)])
  }

  #bytes(value: Uint8Array | string): Uint8Array {
    checkBytes(value)
    return typeof value === 'string' ? this.#slabs.encode(value) : this.#slabs.copy(value)
  }

  #choose(key: Uint8Array | null): PartitionLog {
    const count = this.partitions.length
    return this.partitions[key ? partitionOf(key, count) : this.#turn++ % count]!
  }
}

function isPairs(
  headers: NonNullable<OutgoingRecord['headers']>,
): headers is readonly (readonly [string, Uint8Array | string | null])[] {
  return Array.isArray(headers)
}
