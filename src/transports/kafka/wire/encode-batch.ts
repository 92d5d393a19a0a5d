import type { Buffer } from 'node:buffer'
import { crc32c } from './crc32c.ts'
import { sizeOfVarint, sizeOfVarlong, Writer } from './writer.ts'

/** A record as it is put into a batch. */
export interface EncodableRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly timestamp: number
  readonly headers: readonly (readonly [name: Uint8Array, value: Uint8Array | null])[]
}

/** Who sends a batch: what lets the broker recognise one that is sent twice. */
export interface BatchProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
}

/** One record batch of format 2, uncompressed. */
export function encodeBatch(records: readonly EncodableRecord[], producer: BatchProducer): Buffer {
  const base = records[0]!.timestamp
  let latest = base
  let size = 61
  const sizes = records.map((record, delta) => {
    if (record.timestamp > latest) latest = record.timestamp
    const own = sizeOf(record, delta, record.timestamp - base)
    size += own + sizeOfVarint(own)
    return own
  })
  const writer = new Writer(size)
    .int64(0)
    .int32(size - 12)
    .int32(-1)
    .int8(2)
    .int32(0)
    .int16(0)
    .int32(records.length - 1)
    .int64(base)
    .int64(latest)
    .int64(producer.producerId)
    .int16(producer.producerEpoch)
    .int32(producer.baseSequence)
    .int32(records.length)
  records.forEach((record, delta) => {
    writer
      .varint(sizes[delta]!)
      .int8(0)
      .varlong(record.timestamp - base)
      .varint(delta)
    writer.varBytes(record.key).varBytes(record.value).varint(record.headers.length)
    for (const [name, value] of record.headers) writer.varBytes(name).varBytes(value)
  })
  const batch = writer.take()
  return sealed(batch)
}

/** How many bytes a record takes within a batch, at most. */
export function mostBytesOf({ key, value, headers }: EncodableRecord): number {
  const ofHeaders = headers.reduce((sum, [name, bytes]) => sum + 10 + name.length + (bytes?.length ?? 0), 0)
  return 32 + (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders
}

function sealed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

function sizeOf({ key, value, headers }: EncodableRecord, delta: number, time: number): number {
  let size = 1 + sizeOfVarlong(time) + sizeOfVarint(delta) + sizeOfBytes(key) + sizeOfBytes(value)
  size += sizeOfVarint(headers.length)
  for (const [name, bytes] of headers) size += sizeOfBytes(name) + sizeOfBytes(bytes)
  return size
}

function sizeOfBytes(bytes: Uint8Array | null): number {
  return bytes === null ? 1 : sizeOfVarint(bytes.length) + bytes.length
}
