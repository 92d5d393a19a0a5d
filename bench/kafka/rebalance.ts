import { setTimeout as wait } from 'node:timers/promises'
import { type Supervisor, supervise } from 'xmachines'
import { postgresStore } from 'xmachines/persistence/postgres'
import { kafkaBroker } from 'xmachines/transports/kafka'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import { PostgresServer } from '../../test/servers/postgres.ts'
import type { Measure } from '../compare.ts'
import { order } from '../machines.ts'
import { fill, orderRecords } from './topic.ts'
import { watchedStore } from './watched-store.ts'

const topic = 'rebalanced'
const partitions = 24
const keys = 1000
/** Records every 50 ms. */
const batch = 100
/** How long each part is looked at, ms. */
const look = 6000

/** A second worker joins and leaves again, under 2,000 records a second and with 1,000 runs in memory: how long partitions stand. */
export async function rebalance(cluster: KafkaCluster): Promise<Measure[]> {
  await fill(cluster, topic, partitions, orderRecords(10_000, keys))
  const server = await PostgresServer.start()
  const broker = kafkaBroker({ brokers: cluster.brokers })
  const stands = new Stands()
  const start = (): Supervisor =>
    supervise({
      machine: order,
      store: watchedStore(postgresStore({ connectionString: server.url() }), source => stands.moved(source)),
      consumer: broker.consumer({ topic, group: 'g' }),
    })
  const traffic = new AbortController()
  try {
    const first = start()
    await first.caughtUp()
    const sending = send(broker.producer({ topic }), traffic.signal)
    await wait(1000)
    stands.look()
    await wait(look)
    const usual = stands.longest(() => true)

    const residents = first.status().residents
    stands.look()
    const second = start()
    const began = performance.now()
    await shared(second)
    const took = Math.round(performance.now() - began)
    const moved = new Set(second.status().leases.map(({ partition }) => partition))
    await wait(look)
    const joined = {
      kept: stands.longest(partition => !moved.has(partition)),
      moved: stands.longest(partition => moved.has(partition)),
    }

    stands.look()
    const { duplicates } = second.status()
    await second.close()
    await wait(look)
    const left = {
      kept: stands.longest(partition => !moved.has(partition)),
      moved: stands.longest(partition => moved.has(partition)),
    }
    traffic.abort()
    await sending
    const again = first.status().duplicates + duplicates
    await first.close()

    const note = `${usual} ms is the longest without a rebalance; ${moved.size} of ${partitions} partitions moved within ${took} ms; ${residents} runs in memory`
    const pause = (name: string, value: number, atMost: number): Measure => ({
      bench: `kafka: rebalance, ${name}`,
      value,
      unit: 'ms',
      atMost,
      note,
    })
    return [
      pause('join, kept', joined.kept, 250),
      pause('join, moved', joined.moved, 2000),
      pause('leave, kept', left.kept, 250),
      pause('leave, moved', left.moved, 2000),
      { bench: 'kafka: rebalance, again', value: again, unit: 'records', atMost: 0 },
    ]
  } finally {
    await broker.close()
    await server.stop()
  }
}

/** Resolves when a worker that has joined has its half. */
async function shared(worker: Supervisor): Promise<void> {
  let claimed = 0
  for await (const event of worker.events.values({ preventCancel: true }))
    if (event.type === 'claimed' && ++claimed === partitions / 2) return
}

async function send(
  producer: ReturnType<ReturnType<typeof kafkaBroker>['producer']>,
  signal: AbortSignal,
): Promise<void> {
  for (let round = 0; !signal.aborted; round++) {
    const records = Array.from({ length: batch }, (_, i) => ({
      key: `o-${(round * batch + i) % keys}`,
      value: '{"type":"ADD","sku":"tea","price":5}',
    }))
    await producer.send(records)
    await wait(50, undefined, { signal }).catch(() => {})
  }
}

/** How long each partition went without a record that became durable. */
class Stands {
  readonly #last = new Map<number, number>()
  readonly #longest = new Map<number, number>()

  /** From now on. */
  look(): void {
    this.#longest.clear()
  }

  moved(source: string): void {
    const partition = Number(source.slice(source.lastIndexOf('/') + 1))
    const now = performance.now()
    const stood = now - (this.#last.get(partition) ?? now)
    this.#last.set(partition, now)
    if (stood > (this.#longest.get(partition) ?? 0)) this.#longest.set(partition, stood)
  }

  /** ms, among those partitions. */
  longest(of: (partition: number) => boolean): number {
    return Math.round(Math.max(...[...this.#longest].map(([partition, stood]) => (of(partition) ? stood : 0))))
  }
}
