import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import type { Measure } from '../compare.ts'
import { fill, orderRecords } from './topic.ts'

const topic = 'quiet'
const seconds = 20

/** A worker as a user has it, in a process of its own: it prints the seconds of a core that it took while nothing happened. */
const worker = `
  import { setTimeout as wait } from 'node:timers/promises'
  import { supervise } from 'xmachines'
  import { memoryStore } from 'xmachines/persistence/memory'
  import { kafkaBroker } from 'xmachines/transports/kafka'
  import { setup } from 'xstate'
  const [brokers, topic, seconds] = process.argv.slice(1)
  const machine = setup({}).createMachine({ id: 'order' })
  const broker = kafkaBroker({ brokers: brokers.split(',') })
  const supervisor = supervise({ machine, store: memoryStore(), consumer: broker.consumer({ topic, group: 'g' }) })
  await supervisor.caughtUp()
  await wait(2000)
  const before = process.cpuUsage()
  await wait(seconds * 1000)
  const { user, system } = process.cpuUsage(before)
  console.log((user + system) / 1e6)
  await supervisor.close()
  await broker.close()
`

/** What a worker burns that has 1,000 runs in memory, 12 partitions, and nothing to do. */
export async function idle(cluster: KafkaCluster): Promise<Measure[]> {
  await fill(cluster, topic, 12, orderRecords(10_000, 1000))
  const args = ['--input-type=module', '-e', worker, cluster.brokers.join(','), topic, String(seconds)]
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const share = Math.round((Number(stdout) / seconds) * 10_000) / 100
  return [{ bench: 'kafka: idle', value: share, unit: '% of a core', atMost: 1 }]
}
