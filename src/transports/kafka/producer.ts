import type { BrokerProducer, OutgoingRecord } from '../../actors/contracts/broker.ts'
import type { AbortOptions } from '../../actors/contracts/store.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { checkBytes } from '../broker/given-bytes.ts'
import { mirrored } from '../broker/mirrored.ts'
import { partitionOf } from '../broker/murmur2.ts'
import { abandonable } from './lease.ts'
import { toldOf } from './problems.ts'
import type { PlacedRecord, Sender } from './sender.ts'

const encoder = new TextEncoder()

/** Sends to one topic, through the connections and the batches that all producers of a broker share. */
export class KafkaProducer implements BrokerProducer {
  readonly topic: string
  readonly #sender: (topic: string) => Promise<Sender>
  readonly #checkOpen: () => void
  /** Sends that wait for the topic to be known keep their order. */
  #turn: Promise<unknown> = Promise.resolve()
  #next = 0
  #closed = false

  constructor(topic: string, sender: (topic: string) => Promise<Sender>, checkOpen: () => void) {
    this.topic = topic
    this.#sender = sender
    this.#checkOpen = checkOpen
  }

  async send(
    records: readonly OutgoingRecord[],
    { signal }: AbortOptions = {},
  ): Promise<readonly { readonly partition: number; readonly offset: number }[]> {
    if (signal?.aborted) throw aborted(signal)
    this.#checkOpen()
    if (this.#closed) throw new XMachinesError('BROKER_CLOSED', 'The producer is closed. Make a new one.')
    if (records.length === 0) return []
    // Encoded before anything is awaited: the sender's bytes stay the sender's.
    const now = Date.now()
    const encoded = records.map(record => encode(record, now))
    const turn = this.#turn.then(() => this.#hand(records, encoded))
    this.#turn = turn.catch(() => {})
    const sent = turn.then(({ places }) => places)
    return signal ? abandonable(sent, signal) : sent
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
  }

  /** Resolves when the records are in their queues; `places` is for the caller alone to wait for. */
  async #hand(records: readonly OutgoingRecord[], encoded: readonly Omit<PlacedRecord, 'partition'>[]) {
    const sender = await this.#sender(this.topic)
    try {
      const count = await sender.partitionsOf(this.topic)
      const placed = encoded.map((record, at): PlacedRecord => {
        const sent = records[at]!
        const partition = sent.partition ?? mirrored(sent, count) ?? this.#choose(record.key, count)
        if (!Number.isInteger(partition) || partition < 0 || partition >= count)
          throw noPartition(this.topic, partition, count)
        return { ...record, partition }
      })
      await sender.room()
      return { places: sender.send(this.topic, placed) }
    } catch (error) {
      throw toldOf(error, `Sending to ${this.topic}`, { topic: this.topic, writes: true })
    }
  }

  #choose(key: Uint8Array | null, count: number): number {
    return key ? partitionOf(key, count) : this.#next++ % count
  }
}

function encode(
  { key, value, timestamp, headers, smaller }: OutgoingRecord,
  now: number,
): Omit<PlacedRecord, 'partition'> {
  if (timestamp !== undefined && !(Number.isInteger(timestamp) && Math.abs(timestamp) < 2 ** 63))
    throw new TypeError(`Expected timestamp to be a whole number of milliseconds, got ${timestamp}.`)
  const pairs = headers === undefined ? [] : Array.isArray(headers) ? headers : Object.entries(headers)
  return {
    key: key === undefined || key === null ? null : bytesOf(key),
    value: value === null ? null : bytesOf(value),
    timestamp: timestamp ?? now,
    headers: pairs.map(
      ([name, bytes]: readonly [string, Uint8Array | string | null]) =>
        [encoder.encode(name), bytes === null ? null : bytesOf(bytes)] as const,
    ),
    ...(smaller && { smaller: encode(smaller, now) }),
  }
}

function bytesOf(value: Uint8Array | string): Uint8Array {
  checkBytes(value)
  // A `slice` of a `Buffer` would be a view.
  return typeof value === 'string' ? encoder.encode(value) : new Uint8Array(value)
}

function noPartition(topic: string, partition: number, partitions: number): XMachinesError {
  return new XMachinesError(
    'PARTITION_INVALID',
    `Topic ${topic} has ${partitions} partitions, counted from 0: there is no partition ${partition}.`,
    { details: { topic, partition, partitions } },
  )
}
