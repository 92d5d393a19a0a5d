import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrokerConsumer, type Store, supervise } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { postgresStore } from 'xmachines/persistence/postgres'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { memoryBroker } from 'xmachines/transports/memory'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import { PostgresServer } from '../../test/servers/postgres.ts'
import { type Comparison, compare } from '../compare.ts'
import { order } from '../machines.ts'
import { byHand } from './by-hand.ts'
import { fill, orderRecords } from './topic.ts'

const keys = 1000
const partitions = 8

/** Records of a real topic through the supervisor into runs on a file store, against a loop by hand with nothing durable. */
export async function throughput(cluster: KafkaCluster): Promise<Comparison[]> {
  const topic = 'orders'
  const count = 200_000
  await fill(cluster, topic, partitions, orderRecords(count, keys))
  let dir = ''
  const result = await compare(
    'kafka: 1,000 keys, file',
    0.6,
    { name: 'kafkajs eachBatch with actor.send', run: () => byHand(cluster, topic, count) },
    {
      name: 'supervise',
      prepare() {
        dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
      },
      async run() {
        const store = fileStore(dir)
        await throughKafka(cluster, topic, store)
        await store.close()
        return count
      },
      after() {
        rmSync(dir, { recursive: true, force: true })
      },
    },
    7,
  )
  return [result]
}

/** What the broker costs: the same records into the same PostgreSQL, from Kafka and from the memory broker. */
export async function onPostgres(cluster: KafkaCluster): Promise<Comparison[]> {
  const topic = 'orders-postgres'
  const records = orderRecords(50_000, keys)
  await fill(cluster, topic, partitions, records)
  const server = await PostgresServer.start()
  const connectionString = server.url()
  let round = 0
  let store: Store
  let broker = memoryBroker()
  const open = (): void => {
    store = postgresStore({ connectionString, schema: `round_${round++}` })
  }
  try {
    const result = await compare(
      'kafka: 1,000 keys, PostgreSQL',
      0.7,
      {
        name: 'supervise, memory broker',
        async prepare() {
          open()
          broker = memoryBroker({ partitions })
          const producer = broker.producer({ topic })
          for (let i = 0; i < records.length; i += 5000) await producer.send(records.slice(i, i + 5000))
        },
        async run() {
          await drive(store, broker.consumer({ topic, group: 'g' }))
          return records.length
        },
        after: () => store.close(),
      },
      {
        name: 'supervise, Kafka',
        prepare: open,
        async run() {
          await throughKafka(cluster, topic, store)
          return records.length
        },
        after: () => store.close(),
      },
      3,
    )
    return [result]
  } finally {
    await server.stop()
  }
}

async function throughKafka(cluster: KafkaCluster, topic: string, store: Store): Promise<void> {
  const broker = kafkaBroker({ brokers: cluster.brokers })
  await drive(store, broker.consumer({ topic, group: `g-${randomUUID()}` }))
  await broker.close()
}

async function drive(store: Store, consumer: BrokerConsumer): Promise<void> {
  const supervisor = supervise({ machine: order, store, consumer, time: 'source' })
  await supervisor.caughtUp()
  await supervisor.close()
}
