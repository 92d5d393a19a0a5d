import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { supervise } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { type Actor, createActor } from 'xstate'
import { type KafkaCluster, startKafka } from '../test/kafka/launcher/index.ts'
import { type Comparison, compare } from './compare.ts'
import { order, orderEvents } from './machines.ts'

const keys = 1000
const count = 200_000
const topic = 'orders'

/** Records of a real topic through the supervisor into runs on a file store, against a loop by hand with nothing durable. */
export async function kafka(): Promise<Comparison[]> {
  const cluster = await startKafka()
  try {
    await fill(cluster)
    return [await supervised(cluster)]
  } finally {
    await cluster.stop()
  }
}

async function fill(cluster: KafkaCluster): Promise<void> {
  await cluster.createTopic(topic, { partitions: 8 })
  const broker = kafkaBroker({ brokers: cluster.brokers })
  const producer = broker.producer({ topic })
  const events = orderEvents(count)
  for (let i = 0; i < count; i += 5000) {
    const some = events.slice(i, i + 5000)
    await producer.send(some.map((event, at) => ({ key: `o-${(i + at) % keys}`, value: JSON.stringify(event) })))
  }
  await broker.close()
}

function supervised(cluster: KafkaCluster): Promise<Comparison> {
  let dir = ''
  return compare(
    'kafka: 1,000 keys, file',
    0.6,
    { name: 'kafkajs eachBatch with actor.send', run: () => byHand(cluster) },
    {
      name: 'supervise',
      prepare() {
        dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
      },
      async run() {
        const broker = kafkaBroker({ brokers: cluster.brokers })
        const store = fileStore(dir)
        const consumer = broker.consumer({ topic, group: `g-${randomUUID()}` })
        const supervisor = supervise({ machine: order, store, consumer, time: 'source' })
        await supervisor.caughtUp()
        await supervisor.close()
        await store.close()
        await broker.close()
        return count
      },
      after() {
        rmSync(dir, { recursive: true, force: true })
      },
    },
    3,
  )
}

/** What people write: offsets are committed by kafkajs, and everything else is gone with the process. */
async function byHand(cluster: KafkaCluster): Promise<number> {
  const client = new Kafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING })
  const consumer = client.consumer({ groupId: `hand-${randomUUID()}`, maxWaitTimeInMs: 250 })
  const actors = new Map<string, Actor<typeof order>>()
  let seen = 0
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        partitionsConsumedConcurrently: 8,
        async eachBatch({ batch, resolveOffset, heartbeat }) {
          for (const { key, value, offset } of batch.messages) {
            const name = String(key)
            let actor = actors.get(name)
            if (actor === undefined) {
              actor = createActor(order)
              actor.subscribe(() => {})
              actor.start()
              actors.set(name, actor)
            }
            actor.send(JSON.parse(String(value)))
            resolveOffset(offset)
            seen += 1
          }
          await heartbeat()
          if (seen === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return count
}
