import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { tally } from '../../processes/tally.ts'

const keys = 600
const rounds = 4

/** With so many runs there are several appends at a time; one of them may be about nothing but an acknowledgement. */
test('a run has one item with the store at a time, with units or without', async () => {
  const store = memoryStore()
  const append = store.append.bind(store)
  const inFlight = new Set<string>()
  const wrong: string[] = []
  store.append = async (items, options) => {
    for (const { run } of items) {
      if (inFlight.has(run)) wrong.push(run)
      inFlight.add(run)
    }
    await sleep(5)
    const outcomes = await append(items, options)
    for (const [index, { run }] of items.entries()) {
      inFlight.delete(run)
      if (outcomes[index]!.status !== 'appended') wrong.push(`${run}: ${outcomes[index]!.status}`)
    }
    return outcomes
  }
  const broker = memoryBroker({ partitions: 1 })
  const events = broker.producer({ topic: 'events' })
  const supervisor = supervise({
    machine: tally,
    store,
    consumer: broker.consumer({ topic: 'events', group: 'g' }),
    results: broker.producer({ topic: 'results' }),
  })
  const flushing: Promise<void>[] = []
  for (let round = 0; round < rounds; round++) {
    for (let key = 0; key < keys; key += 100) {
      const records = Array.from({ length: 100 }, (_, n) => ({
        key: `k${key + n}`,
        value: JSON.stringify({ type: 'ADD', by: `${round}` }),
      }))
      await events.send(records)
      // The marks of what the result topic has acknowledged are written at once, between the units.
      flushing.push(supervisor.caughtUp())
      await sleep(3)
    }
  }
  await Promise.all(flushing)
  expect(wrong).toEqual([])
  expect(supervisor.status().outputsSent).toBe(keys * rounds)
  await supervisor.close()
  await broker.close()
})
