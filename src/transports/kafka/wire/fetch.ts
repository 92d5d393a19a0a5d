import type { WireRequest } from '../cluster.ts'
import { Reader } from './reader.ts'
import type { AbortedTransaction } from './record-batch.ts'
import { Writer } from './writer.ts'

/** What is asked of one node. */
export interface FetchQuery {
  readonly topics: readonly {
    readonly topic: string
    readonly partitions: readonly { readonly partition: number; readonly offset: number }[]
  }[]
  /** How long the node may wait for a first byte, ms. */
  readonly maxWait: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
}

/** What a node answers for one partition. */
export interface FetchedPartition {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStart: number
  readonly aborted: readonly AbortedTransaction[]
  readonly records: Uint8Array
}

/** Kafka's Fetch, versions 4 to 11, of committed records, without a fetch session. */
export const fetchRequest: WireRequest<FetchQuery, readonly FetchedPartition[]> = {
  apiKey: 1,
  apiName: 'Fetch',
  versions: [4, 5, 6, 7, 8, 9, 10, 11],
  timeout: ({ maxWait }) => maxWait + 30_000,

  encode({ topics, maxWait, maxBytes, maxBytesPerPartition }, version) {
    const writer = new Writer().int32(-1).int32(maxWait).int32(1).int32(maxBytes).int8(1)
    if (version >= 7) writer.int32(0).int32(-1)
    writer.array(topics, ({ topic, partitions }) => {
      writer.string(topic).array(partitions, ({ partition, offset }) => {
        writer.int32(partition)
        if (version >= 9) writer.int32(-1)
        writer.int64(offset)
        if (version >= 5) writer.int64(-1)
        writer.int32(maxBytesPerPartition)
      })
    })
    if (version >= 7) writer.int32(0)
    if (version >= 11) writer.string('')
    return writer.take()
  },

  decode(bytes, version) {
    const reader = new Reader(bytes)
    reader.int32()
    if (version >= 7) reader.at += 6
    return reader
      .array(() => {
        const topic = reader.string()
        return reader.array(() => readPartition(reader, topic, version))
      })
      .flat()
  },
}

function readPartition(reader: Reader, topic: string, version: number): FetchedPartition {
  const partition = reader.int32()
  const errorCode = reader.int16()
  const highWatermark = reader.int64()
  reader.int64()
  const logStart = version >= 5 ? reader.int64() : -1
  const aborted = reader.array(() => ({ producerId: reader.int64(), firstOffset: reader.int64() }))
  if (version >= 11) reader.int32()
  const records = reader.bytes(Math.max(0, reader.int32()))
  return { topic, partition, errorCode, highWatermark, logStart, aborted, records }
}
