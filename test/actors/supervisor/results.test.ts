import { describe, expect, test } from 'vitest'
import { type BrokerProducer, type OutgoingRecord, openRun, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, emit, setup } from 'xstate'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { counter } from '../run/machines.ts'
import { settled } from './virtual-environment.ts'
import { headersOf, otherProcess, textOf, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })

/** The ids of all results, in order; with `once`, the first of each. */
async function ids(world: World, once = false): Promise<readonly string[]> {
  const all = (await world.topic('r')).map(record => headersOf(record)['xmachines-id']!)
  return once ? [...new Set(all)] : all
}

/** The ids that a run of `units` units with one output each sends. */
async function idsOf(world: World, key: string, units: number): Promise<readonly string[]> {
  const { run } = await world.head(key)
  return Array.from({ length: units }, (_, i) => `${run}/${i + 1}/0`)
}

describe('outputs go through the durable outbox of their run', () => {
  test('they enter it with their unit, are sent in order, and leave it when they are acknowledged', async () => {
    const world = new World()
    const failure = world.broker.faults.failSends({ topic: 'r' })
    const { supervisor } = world.supervise({ sends: true })
    await world.send(['a', add(1)], ['a', add(2)], ['a', { type: 'BAD_OUTPUT' }], ['a', add(3)])
    await settled()
    expect(await world.head('a')).toMatchObject({ due: 0, beside: { outbox: [1, 2, 3], published: null } })
    expect(await ids(world)).toEqual([])
    // Offsets do not wait for results.
    expect(await world.committed()).toEqual([4])
    const caughtUp = supervisor.caughtUp()
    let done = false
    void caughtUp.then(() => (done = true))
    await settled()
    expect(done).toBe(false)
    await world.environment.advance(100)
    await caughtUp
    expect(await ids(world)).toEqual(await idsOf(world, 'a', 3))
    expect(await world.head('a')).toMatchObject({ due: null, beside: { outbox: [], published: { seq: 3, index: 0 } } })
    expect(supervisor.status().outputsSent).toBe(3)
    failure.assertFired()
  })

  test('the acknowledgement goes along with the next unit, and costs no append of its own', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ sends: true })
    await world.send(['a', add(1)])
    await settled()
    expect(await world.head('a')).toMatchObject({ revision: 2, beside: { outbox: [1] } })
    await world.send(['a', add(2)])
    await settled()
    expect(await world.head('a')).toMatchObject({
      revision: 3,
      beside: { outbox: [2], published: { seq: 1, index: 0 } },
    })
    // Without one, it is written a little later.
    await world.environment.advance(500)
    expect(await world.head('a')).toMatchObject({ revision: 4, due: null, beside: { outbox: [] } })
    await supervisor.caughtUp()
    expect((await world.head('a')).revision).toBe(4)
  })

  test('of a new run too: what its first step emits has seq 0', async () => {
    const greeter = setup({ types: {} as { emitted: { type: 'HELLO'; n: number } } }).createMachine({
      id: 'greeter',
      entry: [emit({ type: 'HELLO', n: 1 }), emit({ type: 'HELLO', n: 2 })],
      on: { ASK: { actions: emit({ type: 'HELLO', n: 3 }) } },
    })
    const world = new World()
    const { supervisor } = world.supervise({ machine: greeter, sends: true })
    await world.send(['a', { type: 'ASK' }])
    await supervisor.caughtUp()
    const { run } = await world.head('a')
    expect(await ids(world)).toEqual([`${run}/0/0`, `${run}/0/1`, `${run}/1/0`])
  })

  test('without `results` nothing enters it; a supervisor that has them starts with what comes then', async () => {
    const world = new World()
    const first = world.supervise()
    await world.send(['a', add(1)])
    await first.supervisor.caughtUp()
    expect((await world.head('a')).beside).toMatchObject({ outbox: [], published: null })
    await first.supervisor.close()
    const second = world.supervise({ sends: true })
    await world.send(['a', add(2)])
    await second.supervisor.caughtUp()
    const { run } = await world.head('a')
    expect(await ids(world)).toEqual([`${run}/2/0`])
  })

  test('what a handle applies is sent as well', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ sends: true })
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const run = await openRun(counter, { store: world.store, key: 'a', namespace: 't' })
    await run.apply(add(2) as never)
    await run.close()
    await supervisor.caughtUp()
    expect(await ids(world)).toEqual(await idsOf(world, 'a', 2))
  })

  test('a topic that is slow is caught up from the history: memory keeps some, the order stays', async () => {
    const world = new World()
    world.broker.faults.failSends({ topic: 'r', times: 3 })
    const { supervisor } = world.supervise({ sends: true })
    for (let i = 0; i < 3; i++) {
      await world.send(...Array.from({ length: 300 }, (_, n) => ['a', add(n)] as const))
      await settled()
    }
    expect((await world.head('a')).beside.outbox).toHaveLength(900)
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    expect(await ids(world)).toEqual(await idsOf(world, 'a', 900))
  })
})

describe('after a kill', () => {
  test('what was not known to be sent is sent again: nothing lost, nothing reordered, repeated ids', async () => {
    const world = new World()
    // Taken by the topic, but its answer is lost; nothing more comes through after it.
    world.broker.faults.failSends({ topic: 'r', applied: true })
    const failure = world.broker.faults.failSends({ topic: 'r', times: 100 })
    const first = world.supervise({ sends: true })
    await world.send(['a', add(1)], ['b', add(1)])
    await settled()
    await world.send(['a', add(2)], ['b', add(2)], ['a', add(3)])
    await settled()
    expect(await world.committed()).toEqual([5])
    world.broker.faults.pause(first.consumer).expire()
    for (let left = 100 - failure.fired; left > 0; left--)
      await world.broker
        .producer({ topic: 'r' })
        .send([])
        .catch(() => {})
    // No record comes: the runs are woken for what they owe.
    const second = world.supervise({ store: otherProcess(world.store), sends: true })
    await second.supervisor.caughtUp()
    for (const key of ['a', 'b']) {
      const { run, seq, beside } = await world.head(key)
      expect(beside).toMatchObject({ outbox: [], published: { seq, index: 0 } })
      const own = (await ids(world, true)).filter(id => id.startsWith(run))
      expect(own).toEqual(await idsOf(world, key, seq))
    }
    expect((await ids(world)).length).toBeGreaterThan(5)
  })

  test('what was known to be sent is not', async () => {
    const world = new World()
    const first = world.supervise({ sends: true })
    await world.send(['a', add(1)], ['a', add(2)])
    await first.supervisor.caughtUp()
    world.broker.faults.pause(first.consumer).expire()
    const second = world.supervise({ store: otherProcess(world.store), sends: true })
    await world.send(['a', add(3)])
    await second.supervisor.caughtUp()
    expect(await ids(world)).toEqual(await idsOf(world, 'a', 3))
  })

  test('a supervisor without `results` leaves the outbox to one that has them', async () => {
    const world = new World()
    world.broker.faults.failSends({ topic: 'r' })
    const first = world.supervise({ sends: true })
    await world.send(['a', add(1)])
    await settled()
    world.broker.faults.pause(first.consumer).expire()
    const second = world.supervise({ store: otherProcess(world.store) })
    await world.send(['a', add(2)])
    await second.supervisor.caughtUp()
    expect(await world.head('a')).toMatchObject({ due: 0, beside: { outbox: [1] } })
    await second.supervisor.close()
    const third = world.supervise({ sends: true })
    await third.supervisor.caughtUp()
    expect(await ids(world)).toEqual(await idsOf(world, 'a', 1))
    expect((await world.head('a')).due).toBe(null)
  })
})

test('a result topic that is gone for good stops the leases', async () => {
  const world = new World()
  const results = world.broker.producer({ topic: 'r' })
  const { supervisor, event } = world.supervise({ results })
  await results.close()
  await world.send(['a', add(1)])
  expect((await event('stopped')).error.cause).toMatchObject({ code: 'BROKER_CLOSED' })
  await expect(supervisor.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' })
  await supervisor.close()
  const second = world.supervise({ sends: true })
  await second.supervisor.caughtUp()
  expect(await ids(world)).toEqual(await idsOf(world, 'a', 1))
})

test('what the result topic refuses for what it is stops its own lease, and no other', async () => {
  const world = new World({ partitions: 2 })
  const inner = world.broker.producer({ topic: 'r' })
  const isLarge = ({ value }: OutgoingRecord): boolean => String(value).includes('"count":999')
  // As Kafka does: what was sent around it arrives.
  const results: BrokerProducer = {
    topic: 'r',
    close: () => inner.close(),
    async send(records) {
      const places = await inner.send(records.filter(record => !isLarge(record)))
      if (records.some(isLarge)) throw new XMachinesError('RECORD_TOO_LARGE', 'It is over the limit.')
      return places
    },
  }
  const { supervisor, event } = world.supervise({ results })
  await event('claimed', 2)
  const at = (partition: number) => ({ partition })
  await world.send(['a', add(999), at(0)], ['b', add(1), at(1)])
  expect(await event('stopped')).toMatchObject({ partition: 0, error: { cause: { code: 'RECORD_TOO_LARGE' } } })
  await world.send(['b', add(2), at(1)])
  await settled()
  expect(supervisor.status().leases.map(({ state }) => state)).toEqual(['stopped', 'running'])
  expect(await ids(world, true)).toEqual(await idsOf(world, 'b', 2))
})

test('a topic that takes nothing for a while is told, by each lease that waits for it', async () => {
  const world = new World({ partitions: 3 })
  const failures = ['r', 'd'].map(topic => world.broker.faults.failSends({ topic, times: 2 }))
  const { supervisor, event, happened } = world.supervise({ sends: true })
  await event('claimed', 3)
  await world.send(
    ['a', add(1), { partition: 0 }],
    ['b', add(1), { partition: 0 }],
    ['c', 'no event', { partition: 1 }],
  )
  await settled()
  await world.environment.advance(1000)
  await supervisor.caughtUp()
  const stalled = happened.flatMap(each => (each.type === 'stalled' ? [[each.partition, each.error.code]] : []))
  expect(stalled.sort()).toEqual([0, 0, 1, 1].map(partition => [partition, 'BROKER_UNAVAILABLE']))
  for (const failure of failures) failure.assertFired()
})

test('results drive other runs: a supervisor reads what another one sends', async () => {
  const world = new World({ partitions: 2 })
  const mirror = setup({
    types: {} as { context: { seen: number[] }; events: { type: 'COUNT'; count: number } },
  }).createMachine({
    id: 'mirror',
    context: { seen: [] },
    on: { COUNT: { actions: assign({ seen: ({ context, event }) => [...context.seen, event.count] }) } },
  })
  const first = world.supervise({ sends: true })
  const second = world.supervise({
    machine: mirror,
    consumer: world.broker.consumer({ topic: 'r', group: 'mirrors' }),
    decode: record => ({ key: textOf(record.key)!, events: JSON.parse(textOf(record.value)!).event }),
  })
  await world.send(['a', add(1)], ['b', add(5)], ['a', add(2)], ['a', add(3)])
  await first.supervisor.caughtUp()
  await second.supervisor.caughtUp()
  const run = await openRun(mirror, { store: world.store, key: 'a', namespace: 'r' })
  expect(run.getSnapshot().context.seen).toEqual([1, 3, 6])
  await run.close()
})
