import { describe, expect, test } from 'vitest'
import { openRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, setup } from 'xstate'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { override } from '../../persistence/store-door.ts'
import { counter, worker } from '../run/machines.ts'
import { settled } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })
const keys = (count: number): string[] => Array.from({ length: count }, (_, i) => `k${i}`)

/** Rings some time after it was wound up. */
const alarm = setup({
  types: {} as { context: { rung: number }; events: { type: 'WIND' } },
  delays: { later: 60_000 },
}).createMachine({
  id: 'alarm',
  context: { rung: 0 },
  initial: 'quiet',
  states: {
    quiet: { on: { WIND: 'wound' } },
    wound: { after: { later: { target: 'quiet', actions: assign({ rung: ({ context }) => context.rung + 1 }) } } },
  },
})

describe('runs in memory', () => {
  test('are never more than `residents`, also where many keys come at once', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ residents: 5 })
    let most = 0
    const look = store.faults.plan('append.before', { times: 0 })
    const append = store.append.bind(store)
    store.append = (items, options) => {
      most = Math.max(most, supervisor.status().residents)
      return append(items, options)
    }
    for (let round = 0; round < 4; round++) await world.send(...keys(40).map(key => [key, add(round)] as const))
    await supervisor.caughtUp()
    expect(most).toBe(5)
    expect(look.fired).toBe(0)
    expect(supervisor.status().residents).toBe(5)
    for (const key of keys(40)) expect(await world.added(key)).toEqual([0, 1, 2, 3])
  })

  test('go when they were used the longest ago', async () => {
    const world = new World()
    const store = faultyStore(world.store)
    const { supervisor } = world.supervise({ store, residents: 3 })
    const come = async (key: string): Promise<void> => {
      await world.send([key, add(1)])
      await supervisor.caughtUp()
    }
    for (const key of ['a', 'b', 'c', 'a', 'd']) await come(key)
    // b went. The others are there: nothing is read for them.
    const reads = store.faults.plan('head.before', { times: 100, when: () => false })
    const loaded: string[] = []
    const head = store.head.bind(store)
    store.head = async (run, options) => {
      const found = await head(run, options)
      loaded.push(found!.key!)
      return found
    }
    for (const key of ['a', 'c', 'd', 'b', 'a']) await come(key)
    expect(loaded).toEqual(['b', 'a'])
    expect(reads.fired).toBe(0)
  })

  test('go after `idle` without a record, and come back where they were', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ idle: 1000, sends: true })
    await world.send(['a', add(1)], ['b', add(1)])
    await supervisor.caughtUp()
    await world.environment.advance(600)
    await world.send(['b', add(2)])
    await supervisor.caughtUp()
    await world.environment.advance(600)
    expect(supervisor.status().residents).toBe(1)
    await world.environment.advance(600)
    expect(supervisor.status().residents).toBe(0)
    await world.send(['a', add(2)], ['b', add(3)])
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.added('b')).toEqual([1, 2, 3])
  })

  test('stay while they have something to do: a dead letter or a result that is not acknowledged', async () => {
    const world = new World()
    world.broker.faults.failSends({ topic: 'r', times: 3 })
    const { supervisor } = world.supervise({ idle: 10, sends: true, restart: { backoff: () => 1000 } })
    await world.send(['a', add(1)])
    await settled()
    await world.environment.advance(2500)
    expect(supervisor.status().residents).toBe(1)
    await world.environment.advance(1500)
    expect(supervisor.status().residents).toBe(0)
    expect(await world.head('a')).toMatchObject({ due: null, beside: { outbox: [] } })
  })

  test('with effects in flight stay, beyond the number if need be', async () => {
    const world = new World()
    const { machine, started, taps } = worker()
    const { supervisor } = world.supervise({ machine, residents: 2, idle: 1000 })
    await world.send(['a', { type: 'JOB' }], ['b', { type: 'JOB' }], ['c', { type: 'JOB' }])
    await supervisor.caughtUp()
    await world.environment.advance(10_000)
    expect(supervisor.status().residents).toBe(3)
    expect(started).toEqual(['job', 'job', 'job'])
    taps.finish!('done')
    await world.environment.advance(10_000)
    expect(supervisor.status().residents).toBe(2)
  })

  test('a record that comes while its run goes out of memory is applied when it is back', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ idle: 1000 })
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const held = store.faults.plan('saveSnapshot.delay')
    await world.environment.advance(1000)
    await held.met
    await world.send(['a', add(2)])
    await settled()
    expect(await world.added('a')).toEqual([1])
    held.release()
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
  })

  test('a handle keeps its run in memory, and its outputs are sent on', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ idle: 1000, sends: true })
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const run = await openRun(counter, { store: world.store, key: 'a', namespace: 't' })
    await world.environment.advance(2000)
    await run.apply(add(2) as never)
    await world.send(['a', add(3)])
    await supervisor.caughtUp()
    expect(await world.topic('r')).toHaveLength(3)
    expect((await world.units('a')).map(({ epoch }) => epoch)).toEqual([1, 1, 1, 1])
    await run.close()
  })

  test('a handle that was opened before the claim ends: the owner has the run', async () => {
    const world = new World()
    const run = await openRun(counter, { store: world.store, key: 'a', namespace: 't' })
    await run.apply(add(1) as never)
    const { supervisor } = world.supervise()
    await world.send(['a', add(2)])
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
    await expect(run.apply(add(3) as never)).rejects.toMatchObject({ code: 'LEASE_HELD' })
  })
})

describe('what is due', () => {
  test('a timer of a run that is not in memory rings in time', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ machine: alarm, idle: 1000 })
    await world.send(['a', { type: 'WIND' }])
    await supervisor.caughtUp()
    await world.environment.advance(30_000)
    expect(supervisor.status().residents).toBe(0)
    expect(await world.head('a')).toMatchObject({ value: 'wound', due: 1_060_000 })
    await world.environment.advance(29_999)
    expect((await world.head('a')).value).toBe('wound')
    await world.environment.advance(1)
    expect(await world.head('a')).toMatchObject({ value: 'quiet', due: null })
    await world.environment.advance(1000)
    expect(supervisor.status().residents).toBe(0)
  })

  test('what fell due while nobody was there rings at the claim, also for very many runs', async () => {
    const world = new World()
    const first = world.supervise({ machine: alarm })
    await world.send(...keys(300).map(key => [key, { type: 'WIND' }] as const))
    await first.supervisor.caughtUp()
    await first.supervisor.close()
    await world.environment.advance(100_000)
    expect((await world.head('k0')).value).toBe('wound')
    const second = world.supervise({ machine: alarm, residents: 10, store: otherProcess(world.store) })
    await second.event('claimed')
    await world.environment.advance(10)
    for (const key of keys(300)) expect(await world.head(key)).toMatchObject({ value: 'quiet', due: null })
    expect(second.supervisor.status().residents).toBeLessThanOrEqual(10)
  })

  test('an effect that a dead process left in flight is started again at the claim', async () => {
    const world = new World()
    const { machine, started, taps } = worker()
    const first = world.supervise({ machine })
    await world.send(['a', { type: 'JOB' }])
    await first.supervisor.caughtUp()
    world.broker.faults.pause(first.consumer).expire()
    const second = world.supervise({
      machine,
      store: otherProcess(world.store),
      environment: world.environment.fork('process-2'),
    })
    await second.event('claimed')
    await settled()
    expect(started).toEqual(['job', 'job'])
    taps.finish!('done')
    await settled()
    expect(await world.head('a')).toMatchObject({ value: 'idle', seq: 2, due: null })
  })

  test('under source time nothing is woken: timers go by the records', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ machine: alarm, time: 'source', idle: 1000 })
    await world.send(['a', { type: 'WIND' }, { timestamp: 5000 }])
    await supervisor.caughtUp()
    await world.environment.advance(200_000)
    expect(await world.head('a')).toMatchObject({ value: 'wound', at: 5000, due: null })
    await world.send(['a', { type: 'WIND' }, { timestamp: 70_000 }])
    await supervisor.caughtUp()
    expect((await world.units('a')).map(({ at, origin }) => [at, origin.kind])).toEqual([
      [5000, 'outside'],
      [5000, 'outside'],
      [65_000, 'timer'],
      [70_000, 'outside'],
    ])
  })

  test('a run whose stored need nobody here can serve is not woken again and again', async () => {
    const world = new World()
    world.broker.faults.failSends({ topic: 'r' })
    const first = world.supervise({ sends: true })
    await world.send(['a', add(1)])
    await settled()
    world.broker.faults.pause(first.consumer).expire()
    const store = faultyStore(otherProcess(world.store))
    const second = world.supervise({ store, residents: 1, idle: 1000 })
    await second.event('claimed')
    await settled()
    let heads = 0
    const head = store.head.bind(store)
    store.head = (run, options) => {
      heads++
      return head(run, options)
    }
    for (let i = 0; i < 10; i++) {
      await world.send([`b${i}`, add(1)])
      await world.environment.advance(2000)
    }
    expect(heads).toBeLessThan(15)
  })
})

test('close lets everything go: the same runs can be opened without a lease', async () => {
  const world = new World()
  const { supervisor } = world.supervise()
  await world.send(...keys(50).map(key => [key, add(1)] as const))
  await supervisor.caughtUp()
  await supervisor.close()
  const run = await openRun(counter, { store: world.store, key: 'k7', namespace: 't' })
  expect(await run.apply(add(2) as never)).toMatchObject({ ok: true, seq: 2 })
  await run.close()
  expect(await world.added('k7')).toEqual([1, 2])
})

test.each([
  ['in memory', Number.POSITIVE_INFINITY, 1],
  ['not in memory', 1000, 0],
])('a run that is %s takes mail of another process within ten seconds', async (_, idle, residents) => {
  const world = new World()
  const { supervisor } = world.supervise({ store: override(world.store, { shared: true }), idle })
  await world.send(['a', add(1)])
  await supervisor.caughtUp()
  await world.environment.advance(5000)
  expect(supervisor.status().residents).toBe(residents)
  for (const seq of [1, 2]) {
    const receiver = (await world.head('a')).run
    await world.store.deliver([{ receiver, sender: 'f'.repeat(40), seq, index: 0, event: add(seq + 1) }])
    await world.environment.advance(10_000)
    expect(await world.added('a')).toEqual([1, 2, 3].slice(0, seq + 1))
  }
  await supervisor.close()
  expect(world.environment.timers).toBe(0)
})
