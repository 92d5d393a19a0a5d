import { Buffer } from 'node:buffer'
import type { BrokerRecord } from '../../../actors/contracts/broker.ts'
import { messageOf, XMachinesError } from '../../../actors/errors.ts'
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
  /** Bytes after which no further batch is decoded: the next fetch begins with it. */
  readonly enough: number
}

/** Records of a fetch, and where the next one begins: behind control records and what compaction took, too. */
export interface DecodedRecords {
  readonly records: BrokerRecord[]
  readonly next: number
  /** What the batches take in memory, without their compression. */
  readonly bytes: number
}

type Headers = BrokerRecord['headers']

const noHeaders: Headers = Object.freeze([])
const utf8 = new TextDecoder()

/**
 * Decodes the record batches (format 2, since Kafka 0.11) of a fetched partition. An incomplete batch at the end, which
 * brokers may send, is left for the next fetch; so is one that cannot be read, where there are others before it.
 *
 * @throws XMachinesError `RECORD_UNDECODABLE` for a batch that is broken or of an older format, `LIBRARY_MISSING` for a codec
 *   that is not there
 */
export async function decodeRecords(bytes: Uint8Array, source: RecordSource): Promise<DecodedRecords> {
  const records: BrokerRecord[] = []
  const reader = new Reader(bytes)
  const transactions = new Transactions(source.aborted)
  let next = source.from
  let size = 0
  while (reader.left >= headerSize && size < source.enough) {
    const batch = readHeader(reader, bytes)
    if (batch === undefined) break
    const before = records.length
    try {
      checkBatch(batch)
      const { isControl, lastOffset, compression, body } = batch
      const hidden = transactions.hides(batch)
      if (!isControl && !hidden && lastOffset >= source.from) {
        const plain = compression === 0 ? body : await decompressed(compression, body, source)
        readRecords(new Reader(plain), batch, source, records)
        size += plain.length
      }
    } catch (error) {
      if (next === source.from) throw undecodable(source, batch.baseOffset, error)
      records.length = before
      break
    }
    next = Math.max(next, batch.lastOffset + 1)
  }
  return { records, next, bytes: size }
}

interface Batch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly magic: number
  readonly checksum: number
  /** What the checksum is of. */
  readonly checked: Uint8Array
  readonly compression: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly logAppendTime: boolean
  readonly baseTimestamp: number
  readonly maxTimestamp: number
  readonly producerId: number
  readonly count: number
  readonly body: Uint8Array
}

/** What the next batch says of itself; `undefined`: it is not whole. The reader is behind it then. */
function readHeader(reader: Reader, bytes: Uint8Array): Batch | undefined {
  const start = reader.at
  const baseOffset = reader.int64()
  // Never before the end of the header, whatever it says: or the same bytes would be read for ever.
  const length = Math.max(headerSize - 12, reader.int32())
  if (reader.left < length) return undefined
  const end = reader.at + length
  reader.at = start + 16
  const magic = reader.int8()
  const checksum = reader.uint32()
  const attributes = reader.int16()
  const lastOffset = baseOffset + reader.int32()
  const baseTimestamp = reader.int64()
  const maxTimestamp = reader.int64()
  const producerId = reader.int64()
  reader.at += 6
  const count = reader.int32()
  const body = bytes.subarray(reader.at, end)
  reader.at = end
  return {
    baseOffset,
    lastOffset,
    magic,
    checksum,
    checked: bytes.subarray(start + checkedFrom, end),
    compression: attributes & 7,
    isTransactional: (attributes & 16) !== 0,
    isControl: (attributes & 32) !== 0,
    logAppendTime: (attributes & 8) !== 0,
    baseTimestamp,
    maxTimestamp,
    producerId,
    count,
    body,
  }
}

function checkBatch({ magic, checked, checksum }: Batch): void {
  if (magic !== 2) throw new RangeError(`it is of message format ${magic}; this needs format 2`)
  if (crc32c(checked) !== checksum) throw new RangeError('it has a wrong checksum')
}

function readRecords(
  reader: Reader,
  batch: Batch,
  { topic, partition, from, slabs }: RecordSource,
  records: BrokerRecord[],
): void {
  for (let i = 0; i < batch.count; i++) {
    const end = reader.ahead(reader.varint())
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
  const headers: [string, Uint8Array | null][] = []
  for (let i = 0; i < count; i++) {
    const name = utf8.decode(reader.bytes(reader.varint()))
    headers.push([name, copied(reader, slabs)])
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

  /** Whether a batch belongs to one. A control batch may end it. */
  hides({ producerId, lastOffset, isTransactional, isControl, body }: Batch): boolean {
    while (this.#aborted.length > 0 && this.#aborted[0]!.firstOffset <= lastOffset) {
      this.#open.add(this.#aborted.shift()!.producerId)
    }
    if (isControl && isAbortMarker(body)) this.#open.delete(producerId)
    return isTransactional && this.#open.has(producerId)
  }
}

/**
 * The key of a control record is its version and its type; type 0 says that the transaction was aborted. A batch whose record
 * compaction has taken may be kept without it, for what it says of its producer.
 */
function isAbortMarker(body: Uint8Array): boolean {
  if (body.length === 0) return false
  const reader = new Reader(body)
  reader.varint()
  reader.at += 1
  reader.varlong()
  reader.varint()
  reader.varint()
  reader.int16()
  return reader.int16() === 0
}

function undecodable({ topic, partition }: RecordSource, offset: number, cause: unknown): XMachinesError {
  if (XMachinesError.is(cause)) return cause
  return new XMachinesError(
    'RECORD_UNDECODABLE',
    `The record batch at offset ${offset} of ${topic}/${partition} cannot be read: ${messageOf(cause)}. Nothing after it can be read; ` +
      'copy the topic to a new one with a current client, or start the group behind it.',
    { details: { topic, partition, offset }, cause },
  )
}
