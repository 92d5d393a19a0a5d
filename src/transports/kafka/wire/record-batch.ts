import { Buffer } from 'node:buffer'
import type { BrokerRecord } from '../../../actors/contracts/broker.ts'
import { XMachinesError } from '../../../actors/errors.ts'
import type { Slabs } from '../../broker/slabs.ts'
import { type Codecs, codecOf } from './compression.ts'
import { crc32c } from './crc32c.ts'
import { Reader } from './reader.ts'

/** What is before the records of a batch, from its offset to their count. */
const headerSize = 61
/** The checksum covers everything behind itself. */
const checkedFrom = 21

/** A transaction that was aborted: its records are to be left out from there to its end. */
export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** Where the records come from, and who gets copies of their bytes. */
export interface RecordSource {
  readonly topic: string
  readonly partition: number
  /** Records before it were seen: a broker sends whole batches. */
  readonly from: number
  readonly aborted: readonly AbortedTransaction[]
  readonly codecs: Codecs
  readonly slabs: Slabs
}

/** Records of a fetch, and where the next one begins: behind control records and what compaction took, too. */
export interface DecodedRecords {
  readonly records: BrokerRecord[]
  readonly next: number
}

type Headers = BrokerRecord['headers']

const noHeaders: Headers = Object.freeze([])
const utf8 = new TextDecoder()

/**
 * Decodes the record batches (format 2, since Kafka 0.11) of a fetched partition. An incomplete batch at the end, which
 * brokers may send, is left for the next fetch.
 *
 * @throws XMachinesError `RECORD_UNDECODABLE` for a wrong checksum or an older format, `LIBRARY_MISSING` for a codec that is not there
 */
export async function decodeRecords(bytes: Uint8Array, source: RecordSource): Promise<DecodedRecords> {
  const records: BrokerRecord[] = []
  const reader = new Reader(bytes)
  const transactions = new Transactions(source.aborted)
  let next = source.from
  while (reader.left >= headerSize) {
    const start = reader.at
    const baseOffset = reader.int64()
    const length = reader.int32()
    if (reader.left < length) break
    const end = reader.at + length
    reader.at = start + 16
    const magic = reader.int8()
    if (magic !== 2) throw undecodable(source, baseOffset, `is of message format ${magic}; this needs format 2`)
    const checksum = reader.uint32()
    if (crc32c(bytes.subarray(start + checkedFrom, end)) !== checksum)
      throw undecodable(source, baseOffset, 'has a wrong checksum')
    const attributes = reader.int16()
    const lastOffset = baseOffset + reader.int32()
    const batch: BatchHeader = {
      baseOffset,
      baseTimestamp: reader.int64(),
      maxTimestamp: reader.int64(),
      logAppendTime: (attributes & 8) !== 0,
    }
    const producerId = reader.int64()
    reader.at += 6
    const count = reader.int32()
    const body = bytes.subarray(reader.at, end)
    reader.at = end
    next = Math.max(next, lastOffset + 1)
    const isControl = (attributes & 32) !== 0
    const hidden = transactions.hides(producerId, lastOffset, (attributes & 16) !== 0, isControl ? body : undefined)
    if (isControl || hidden || lastOffset < source.from) continue
    const plain = (attributes & 7) === 0 ? body : await decompressed(attributes & 7, body, source)
    readRecords(new Reader(plain), count, batch, source, records)
  }
  return { records, next }
}

interface BatchHeader {
  readonly baseOffset: number
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly logAppendTime: boolean
}

function readRecords(
  reader: Reader,
  count: number,
  batch: BatchHeader,
  { topic, partition, from, slabs }: RecordSource,
  records: BrokerRecord[],
): void {
  for (let i = 0; i < count; i++) {
    const end = reader.varint() + reader.at
    reader.at += 1
    const timestampDelta = reader.varlong()
    const offset = batch.baseOffset + reader.varint()
    if (offset < from) {
      reader.at = end
      continue
    }
    const key = copied(reader, slabs)
    const value = copied(reader, slabs)
    records.push({
      topic,
      partition,
      offset,
      key,
      value,
      timestamp: batch.logAppendTime ? batch.maxTimestamp : batch.baseTimestamp + timestampDelta,
      headers: readHeaders(reader, slabs),
    })
    reader.at = end
  }
}

function readHeaders(reader: Reader, slabs: Slabs): Headers {
  const count = reader.varint()
  if (count === 0) return noHeaders
  const headers: [string, Uint8Array][] = []
  for (let i = 0; i < count; i++) {
    const name = utf8.decode(reader.bytes(reader.varint()))
    headers.push([name, copied(reader, slabs) ?? new Uint8Array()])
  }
  return headers
}

/** A copy: what is kept of a response must not keep the whole of it. */
function copied(reader: Reader, slabs: Slabs): Uint8Array | null {
  const length = reader.varint()
  return length < 0 ? null : slabs.copy(reader.bytes(length))
}

async function decompressed(type: number, body: Uint8Array, { codecs }: RecordSource): Promise<Uint8Array> {
  return codecOf(type, codecs).decompress(Buffer.from(body.buffer, body.byteOffset, body.length))
}

/** Which producers are within a transaction that was aborted, from batch to batch. */
class Transactions {
  readonly #aborted: AbortedTransaction[]
  readonly #open = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#aborted = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset)
  }

  /** Whether a batch belongs to one. `control` is the body of a control batch, which ends it. */
  hides(producerId: number, lastOffset: number, transactional: boolean, control: Uint8Array | undefined): boolean {
    while (this.#aborted.length > 0 && this.#aborted[0]!.firstOffset <= lastOffset) {
      this.#open.add(this.#aborted.shift()!.producerId)
    }
    if (control) {
      if (isAbortMarker(control)) this.#open.delete(producerId)
      return true
    }
    return transactional && this.#open.has(producerId)
  }
}

/** The key of a control record is its version and its type; type 0 says that the transaction was aborted. */
function isAbortMarker(body: Uint8Array): boolean {
  const reader = new Reader(body)
  reader.varint()
  reader.at += 1
  reader.varlong()
  reader.varint()
  reader.varint()
  reader.int16()
  return reader.int16() === 0
}

function undecodable({ topic, partition }: RecordSource, offset: number, why: string): XMachinesError {
  return new XMachinesError(
    'RECORD_UNDECODABLE',
    `The record batch at offset ${offset} of ${topic}/${partition} ${why}. Nothing after it can be read; ` +
      'copy the topic to a new one with a current client, or start the group behind it.',
    { details: { topic, partition, offset } },
  )
}
