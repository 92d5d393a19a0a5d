/** api.md §3: runs driven by the records of a broker. */
import { deepEqual, equal } from 'node:assert/strict'
import { openRun, replay, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import orderDefinition from './order.ts'

const store = memoryStore()
const broker = memoryBroker({ partitions: 8 })
const producer = broker.producer({ topic: 'orders' })
const keys = Array.from({ length: 20 }, (_, index) => `o-${index}`)
await producer.send(
  keys.flatMap(key => [
    { key, value: JSON.stringify({ type: 'ADD', sku: 'tea', price: 4 }) },
    { key, value: JSON.stringify([{ type: 'ADD', sku: 'jam', price: 5 }, { type: 'PLACE' }]) },
  ]),
)
await producer.send([
  { key: 'o-0', value: 'not JSON' },
  { key: 'o-0', value: JSON.stringify({ type: 'REMOVE' }) },
])

const start = () =>
  supervise({
    machine: orderDefinition,
    store,
    consumer: broker.consumer({ topic: 'orders', group: 'order-runs' }),
    results: broker.producer({ topic: 'order-results' }),
    deadLetters: broker.producer({ topic: 'orders.dlq' }),
    input: () => ({}),
  })

// Two members share the partitions; both together settle everything.
{
  await using one = start()
  await using two = start()
  const happened = one.events.getReader()
  await Promise.all([one.caughtUp(), two.caughtUp()])
  equal((await happened.read()).value?.type, 'claimed')
  deepEqual(one.status().state, 'running')
  equal(one.status().deadLettered + two.status().deadLettered, 2)
}

// What came of it: every run in the store, under the topic's name.
for (const key of keys) {
  const run = await openRun(orderDefinition, { store, key, namespace: 'orders', create: false })
  equal(run.getSnapshot().value, 'charged')
  let units = 0
  for await (const step of replay(orderDefinition, store.read(run.id), { verify: true })) {
    equal(step.divergence, undefined)
    units = step.seq
  }
  equal(units, 3)
  await run.close()
}

// One record for each output, with an id that repeats; refused records with the reason.
const results = await records('order-results', keys.length * 2)
deepEqual(new Set(results.map(({ key }) => key)), new Set(keys))
deepEqual(
  new Set(results.map(({ value }) => (value as { event: { type: string } }).event.type)),
  new Set(['PLACED', 'CHARGED']),
)
equal((await records('orders.dlq', 2)).length, 2)

// Started again, nothing is applied twice; what comes then is.
{
  await using again = start()
  await producer.send([{ key: 'o-20', value: JSON.stringify({ type: 'ADD', sku: 'tea', price: 4 }) }])
  await again.caughtUp()
}
const late = await openRun(orderDefinition, { store, key: 'o-20', namespace: 'orders', create: false })
equal(late.getSnapshot().context.lines.length, 1)
await late.close()
await broker.close()

async function records(topic: string, count: number): Promise<{ key: string; value: unknown }[]> {
  const found: { key: string; value: unknown }[] = []
  const consumer = broker.consumer({ topic, group: `check-${topic}` })
  for await (const lease of consumer.leases) {
    const read = (async () => {
      for await (const { key, value } of lease.records) {
        const text = new TextDecoder().decode(value!)
        found.push({ key: new TextDecoder().decode(key!), value: topic.endsWith('.dlq') ? text : JSON.parse(text) })
        if (found.length === count) void consumer.close()
      }
      await lease.release()
    })()
    void read
  }
  return found
}
