import { Buffer } from 'node:buffer'
import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Cluster } from '../../../src/transports/kafka/cluster.ts'
import { Fetcher } from '../../../src/transports/kafka/fetcher.ts'
import { KafkaLease } from '../../../src/transports/kafka/lease.ts'
import type { Codec } from '../../../src/transports/kafka/wire/compression.ts'
import { crc32c } from '../../../src/transports/kafka/wire/crc32c.ts'
import { encodeBatch } from '../../../src/transports/kafka/wire/encode-batch.ts'
import { Writer } from '../../../src/transports/kafka/wire/writer.ts'

const snappy = 2

/** A batch of one record, marked as compressed. */
function batch(): Buffer {
  const record = { key: null, value: new Uint8Array(1), timestamp: 0, headers: [] }
  const bytes = Buffer.from(encodeBatch([record], { producerId: 1, producerEpoch: 0, baseSequence: 0 }))
  bytes.writeInt16BE(snappy, 21)
  bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
  return bytes
}

/** What a node answers for partition 0 of `t`, in version 4. */
function answer(): Buffer {
  const records = batch()
  const writer = new Writer().int32(0).int32(1).string('t').int32(1)
  writer.int32(0).int16(0).int64(1).int64(1).int32(0).int32(records.length).bytes(records)
  return writer.take()
}

test('while a codec takes its time, a new leader is not asked for what the old one has given', async () => {
  const asked: number[] = []
  const decoded: (() => void)[] = []
  let leader = 1
  const node = (nodeId: number) => ({
    lookupRequest: (_: number, { protocol }: { protocol: (of: { version: number }) => () => object }) =>
      protocol({ version: 4 }),
    connectionPool: {
      async send({ response }: { response: { decode(bytes: Buffer): Promise<object> } }) {
        asked.push(nodeId)
        return asked.length <= 2 ? response.decode(answer()) : new Promise(() => {})
      },
    },
  })
  const cluster = {
    refreshMetadataIfNecessary: async () => {},
    getNodeIds: () => [1, 2],
    findBroker: async ({ nodeId }: { nodeId: number }) => node(nodeId),
    findTopicPartitionMetadata: () => [{ partitionId: 0, leader }],
  }
  const codec: Codec = { decompress: body => new Promise(resolve => decoded.push(() => resolve(body))) }
  const fetcher = new Fetcher({
    cluster: cluster as unknown as Cluster,
    codecs: () => codec,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
    maxWait: 1,
    maxBytes: 1_000_000,
    maxBytesPerPartition: 1_000_000,
    topicPatience: 1_000,
    check() {},
  })
  const holder = { readAhead: 1_000_000, hungry: () => fetcher.wake(), commit: async () => {}, ended() {} }
  const lease = new KafkaLease('t', 0, 1, holder)
  fetcher.add(lease)
  lease.begin(0)
  const offsets: number[] = []
  const reading = (async () => {
    for await (const { offset } of lease.records) offsets.push(offset)
  })()
  await expect.poll(() => decoded.length).toBe(1)
  leader = 2
  // Another lease wants records.
  fetcher.wake()
  await setImmediate()
  for (const decode of decoded) decode()
  await expect.poll(() => asked.length).toBeGreaterThan(1)
  expect(lease.position).toBe(1)
  await expect.poll(() => offsets).toEqual([0])
  fetcher.close()
  await lease.release()
  await reading
})
