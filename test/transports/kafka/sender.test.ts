import { Buffer } from 'node:buffer'
import { expect, test } from 'vitest'
import type { Client } from '../../../src/transports/kafka/client.ts'
import type { Cluster } from '../../../src/transports/kafka/cluster.ts'
import { Sender } from '../../../src/transports/kafka/sender.ts'
import { Reader } from '../../../src/transports/kafka/wire/reader.ts'
import { Writer } from '../../../src/transports/kafka/wire/writer.ts'

/** What became of a batch: taken, refused by number, or taken while the connection broke before the answer. */
type Fate = 'taken' | 'lost' | number

const notEnoughReplicas = 19
const unknownProducer = 59

/** A node that leads everything and tells batches apart as Kafka does, and a sender to it. */
function world(fateOf: (topic: string) => Fate) {
  const logs = new Map<string, number>()
  const batches = new Map<string, number>()
  let producers = 0

  function answer(request: Buffer): Buffer {
    const reader = new Reader(request)
    reader.nullableString()
    reader.at += 6
    const writer = new Writer()
    let isLost = false
    reader.array(() => {
      const topic = reader.string()
      const [bytes] = reader.array(() => {
        reader.int32()
        return Buffer.from(reader.bytes(reader.int32()))
      })
      const fate = fateOf(topic)
      isLost ||= fate === 'lost'
      const offset = logs.get(topic) ?? 0
      const name = `${topic} ${bytes!.readBigInt64BE(43)} ${bytes!.readInt32BE(53)}`
      const taken = batches.get(name) ?? offset
      if (typeof fate === 'string' && !batches.has(name)) {
        batches.set(name, offset)
        logs.set(topic, offset + bytes!.readInt32BE(57))
      }
      writer.array([topic], () =>
        writer.string(topic).array([0], partition =>
          writer
            .int32(partition)
            .int16(typeof fate === 'number' ? fate : 0)
            .int64(taken)
            .int64(-1)
            .int64(0),
        ),
      )
    })
    if (isLost) throw new Error('read ECONNRESET')
    return writer.int32(0).take()
  }

  const node = {
    nodeId: 1,
    initProducerId: async () => ({ producerId: ++producers, producerEpoch: 0 }),
    lookupRequest: (_: number, { protocol }: { protocol: (of: { version: number }) => () => object }) =>
      protocol({ version: 7 }),
    connectionPool: {
      async send({ request, response }: { request: Encoder; response: Decoder }) {
        return response.decode(answer((await request.encode()).buffer))
      },
    },
  }
  const cluster = {
    connect: async () => {},
    disconnect: async () => {},
    addMultipleTargetTopics: async () => {},
    refreshMetadata: async () => {},
    refreshMetadataIfNecessary: async () => {},
    getNodeIds: () => [1],
    findBroker: async () => node,
    findTopicPartitionMetadata: () => [{ partitionId: 0, leader: 1 }],
  }
  const logger = { debug() {}, info() {}, warn() {}, error() {} }
  const client = { tuning: { logger, deliveryTimeout: 60_000, maxBatchBytes: 1_000 }, check: async () => {} }
  const sender = new Sender(cluster as unknown as Cluster, client as unknown as Client)
  const record = { partition: 0, key: null, value: new Uint8Array(1), timestamp: 0, headers: [] }
  return { sender, logs, send: (topic: string) => sender.send(topic, [record]) }
}

interface Encoder {
  encode(): Promise<{ readonly buffer: Buffer }>
}

interface Decoder {
  decode(bytes: Buffer): Promise<object>
}

test('a topic that takes nothing for now holds up no other topic of its node', async () => {
  const { sender, send } = world(topic => (topic === 'waits' ? notEnoughReplicas : 'taken'))
  const waits = send('waits')
  for (let offset = 0; offset < 100; offset++) expect(await send('takes')).toEqual([{ partition: 0, offset }])
  await sender.close()
  await expect(waits).rejects.toMatchObject({ code: 'BROKER_CLOSED' })
})

test('a producer that is unknown in one partition doubles nothing in another one', async () => {
  const fates: Record<string, Fate[]> = { forgets: ['taken', unknownProducer, 'taken'], takes: ['lost', 'taken'] }
  const { sender, send, logs } = world(topic => fates[topic]!.shift()!)
  await send('forgets')
  const answers = await Promise.all([send('takes'), send('forgets')])
  expect(answers.map(([place]) => place!.offset)).toEqual([0, 1])
  expect(Object.fromEntries(logs)).toEqual({ forgets: 2, takes: 1 })
  await sender.close()
})
