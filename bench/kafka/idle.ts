import { setTimeout as wait } from 'node:timers/promises'
import { supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { kafkaBroker } from 'xmachines/transports/kafka'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import type { Measure } from '../compare.ts'
import { order } from '../machines.ts'
import { fill, orderRecords } from './topic.ts'

const topic = 'quiet'
const seconds = 20

/** What a worker burns that has 1,000 runs in memory, 12 partitions, and nothing to do. */
export async function idle(cluster: KafkaCluster): Promise<Measure[]> {
  await fill(cluster, topic, 12, orderRecords(10_000, 1000))
  const broker = kafkaBroker({ brokers: cluster.brokers })
  const consumer = broker.consumer({ topic, group: 'g' })
  const supervisor = supervise({ machine: order, store: memoryStore(), consumer })
  await supervisor.caughtUp()
  await wait(2000)
  const before = process.cpuUsage()
  await wait(seconds * 1000)
  const { user, system } = process.cpuUsage(before)
  await supervisor.close()
  await broker.close()
  const share = Math.round(((user + system) / 1e6 / seconds) * 10_000) / 100
  return [{ bench: 'kafka: idle', value: share, unit: '% of a core', atMost: 1 }]
}
