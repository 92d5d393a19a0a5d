import { expect, test } from 'vitest'
import { supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { counter } from '../run/machines.ts'

test('smoke', async () => {
  const broker = memoryBroker({ partitions: 4 })
  const store = memoryStore()
  const producer = broker.producer({ topic: 't' })
  await producer.send(Array.from({ length: 1000 }, (_, i) => ({ key: `k${i % 10}`, value: JSON.stringify({ type: 'ADD', by: 1 }) })))
  const supervisor = supervise({ machine: counter, store, consumer: broker.consumer({ topic: 't', group: 'g' }), results: broker.producer({ topic: 'r' }) })
  await supervisor.caughtUp()
  console.log(supervisor.status())
  await supervisor.close()
  for await (const head of store.list()) expect(head.seq).toBe(100)
  for await (const e of supervisor.events) console.log(e)
})
