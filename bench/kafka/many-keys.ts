import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { supervise } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { kafkaBroker } from 'xmachines/transports/kafka'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import type { Measure } from '../compare.ts'
import { order } from '../machines.ts'
import { fill, orderRecords } from './topic.ts'
import { watchedStore } from './watched-store.ts'

const topic = 'many-keys'
const partitions = 100
const keys = 50_000
const count = 400_000

/** What memory does while 100 partitions of 50,000 keys go through one worker that keeps 10,000 runs. */
export async function manyKeys(cluster: KafkaCluster): Promise<Measure[]> {
  await fill(cluster, topic, partitions, orderRecords(count, keys))
  const dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
  const broker = kafkaBroker({ brokers: cluster.brokers })
  const marks: { readonly heap: number; readonly rss: number }[] = []
  let durable = 0
  let measuring = Promise.resolve()
  const store = watchedStore(fileStore(dir), () => {
    // By the second mark every key has its run.
    if (++durable % (count / 4) === 0) measuring = measuring.then(async () => void marks.push(await memory()))
  })
  const began = performance.now()
  const supervisor = supervise({ machine: order, store, consumer: broker.consumer({ topic, group: 'g' }) })
  await supervisor.caughtUp()
  const seconds = (performance.now() - began) / 1000
  await measuring
  const { residents } = supervisor.status()
  await supervisor.close()
  await store.close()
  await broker.close()
  rmSync(dir, { recursive: true, force: true })
  const [, half, , end] = marks
  const heaps = marks.map(({ heap }) => Math.round(heap / 1e6)).join(', ')
  const note = `heap ${heaps} MB at each quarter, RSS ${Math.round(end!.rss / 1e6)} MB; ${residents} runs in memory; ${Math.round(count / seconds)} records/s`
  return [
    {
      bench: 'kafka: 100 × 50 k, heap',
      value: rounded(end!.heap / half!.heap),
      unit: '× of half-way',
      atMost: 1.1,
      note,
    },
  ]
}

const rounded = (value: number): number => Math.round(value * 100) / 100

async function memory(): Promise<{ heap: number; rss: number }> {
  const collect = globalThis.gc
  if (collect === undefined) throw new Error('Run with `node --expose-gc`: heaps are compared after a collection.')
  await nextTurn()
  collect()
  const { heapUsed: heap, rss } = process.memoryUsage()
  return { heap, rss }
}
