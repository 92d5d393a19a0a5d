import type { WireRequest } from '../cluster.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

/** Batches for one node, at most one a partition. */
export interface ProduceQuery {
  readonly topic: string
  readonly batches: readonly { readonly partition: number; readonly bytes: Uint8Array }[]
  /** How long the node may wait for its replicas, ms. */
  readonly timeout: number
}

/** What became of one batch. */
export interface ProducedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly baseOffset: number
}

/** Kafka's Produce, versions 3 to 7, acknowledged by all replicas in sync. */
export const produceRequest: WireRequest<ProduceQuery, readonly ProducedPartition[]> = {
  apiKey: 0,
  apiName: 'Produce',
  versions: [3, 4, 5, 6, 7],
  timeout: ({ timeout }) => timeout + 5_000,

  encode({ topic, batches, timeout }) {
    const size = batches.reduce((sum, { bytes }) => sum + bytes.length + 8, 64 + topic.length * 3)
    const writer = new Writer(size).nullableString(null).int16(-1).int32(timeout)
    writer.array([topic], name =>
      writer
        .string(name)
        .array(batches, ({ partition, bytes }) => writer.int32(partition).int32(bytes.length).bytes(bytes)),
    )
    return writer.take()
  },

  decode(bytes, version) {
    const reader = new Reader(bytes)
    return reader
      .array(() => {
        reader.string()
        return reader.array(() => {
          const partition = reader.int32()
          const errorCode = reader.int16()
          const baseOffset = reader.int64()
          reader.int64()
          if (version >= 5) reader.int64()
          return { partition, errorCode, baseOffset }
        })
      })
      .flat()
  },
}
