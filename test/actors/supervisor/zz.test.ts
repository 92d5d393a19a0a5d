import { test } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { settled } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })
test('y', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const { supervisor, happened } = world.supervise({ restart: { backoff: attempt => 10 ** attempt } })
  await world.send(...Array.from({ length: 20 }, (_, i) => [`k${i}`, add(0)] as const))
  await supervisor.caughtUp()
  store.faults.plan('append.before', { times: 3 })
  await world.send(...Array.from({ length: 20 }, (_, i) => [`k${i}`, add(1)] as const))
  const start = world.environment.now()
  await world.environment.advance(10_000)
  console.log(
    happened.map(e => [e.type, e.at - start]),
    JSON.stringify(supervisor.status()),
    world.environment.timers,
  )
})
