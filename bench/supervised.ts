import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { supervise } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryBroker } from 'xmachines/transports/memory'
import { type Comparison, compare } from './compare.ts'
import { order, orderEvents } from './machines.ts'
import { OrderActors } from './order-actors.ts'

const keys = 1000
const records = orderEvents(100_000).map((event, i) => ({
  key: `o-${i % keys}`,
  value: JSON.stringify(event),
  timestamp: 1_700_000_000_000 + i,
}))

/** Records from a memory broker through the supervisor into runs on a file store, against a loop by hand with nothing durable. */
export async function supervised(): Promise<Comparison[]> {
  let broker = memoryBroker()
  let dir = ''
  const result = await compare(
    'supervised: 1,000 keys, file',
    0.5,
    {
      name: 'a loop with actor.send',
      run() {
        const actors = new OrderActors()
        for (const { key, value } of records) actors.send(key, JSON.parse(value))
        return records.length
      },
    },
    {
      name: 'supervise',
      async prepare() {
        dir = mkdtempSync(join(tmpdir(), 'xmachines-bench-'))
        broker = memoryBroker({ partitions: 8 })
        const producer = broker.producer({ topic: 'orders' })
        for (let i = 0; i < records.length; i += 5000) await producer.send(records.slice(i, i + 5000))
      },
      async run() {
        const store = fileStore(dir)
        const supervisor = supervise({
          machine: order,
          store,
          consumer: broker.consumer({ topic: 'orders', group: 'g' }),
          time: 'source',
        })
        await supervisor.caughtUp()
        await supervisor.close()
        await store.close()
        return records.length
      },
      async after() {
        await broker.close()
        rmSync(dir, { recursive: true, force: true })
      },
    },
    5,
  )
  return [result]
}
