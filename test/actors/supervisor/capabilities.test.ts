import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openRun, type Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { counter } from '../run/machines.ts'
import { settled } from './virtual-environment.ts'
import { headersOf, otherProcess, textOf, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })

test('K1: the core knows brokers by their interfaces only, and a run cannot tell what drives it', async () => {
  const files = readdirSync('src/actors', { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts'))
  expect(files.length).toBeGreaterThan(50)
  for (const path of files)
    expect(readFileSync(join('src/actors', path), 'utf8'), path).not.toMatch(
      /from '[^']*(transports|persistence|node:)/,
    )

  const world = new World()
  world.supervise()
  await world.send(['a', add(1)], ['a', add(2)])
  await settled()
  const byHand = memoryStore()
  const run = await openRun(counter, { store: byHand, key: 'a', namespace: 't' })
  await run.apply(add(1) as never)
  await run.apply(add(2) as never)
  const head = await world.head('a')
  expect(head.run).toBe(run.id)
  const what = ({
    seq,
    events,
    origin,
    outputs,
  }: {
    seq: number
    events: unknown
    origin: unknown
    outputs: unknown
  }) => ({
    seq,
    events,
    origin,
    outputs,
  })
  const units: unknown[] = []
  for await (const unit of byHand.read(run.id)) units.push(what(unit))
  expect((await world.units('a')).map(what)).toEqual(units)
})

test('K2: a record makes the run of its key, or goes on with it', async () => {
  const world = new World({ partitions: 3 })
  const first = world.supervise()
  await world.send(['a', add(1)], ['b', add(2)])
  await first.supervisor.caughtUp()
  await first.supervisor.close()
  const { run } = await world.head('a')
  const second = world.supervise()
  await world.send(['a', add(3)], ['c', add(4)])
  await second.supervisor.caughtUp()
  expect(await world.head('a')).toMatchObject({ run, seq: 2, namespace: 't', key: 'a' })
  expect(await world.added('a')).toEqual([1, 3])
  expect((await world.head('b')).seq).toBe(1)
  expect((await world.head('c')).seq).toBe(1)
})

test('K3: every run gets its records in the order of the partition, batches whole', async () => {
  const world = new World({ partitions: 2 })
  const { supervisor } = world.supervise()
  for (let i = 0; i < 40; i++) await world.send([`k${i % 4}`, i % 8 === 3 ? [add(i), add(-i)] : add(i)])
  await supervisor.caughtUp()
  for (let k = 0; k < 4; k++) {
    const expected = Array.from({ length: 10 }, (_, n) => 4 * n + k).flatMap(i => (i % 8 === 3 ? [i, -i] : [i]))
    expect(await world.added(`k${k}`)).toEqual(expected)
    expect((await world.head(`k${k}`)).seq).toBe(10)
  }
})

test('K3: a record without a time has the last one of its run, under source time; a run that begins with it, 0', async () => {
  const world = new World()
  const { supervisor } = world.supervise({ time: 'source' })
  const stamps = { a: [-1, 5, -1], b: [7, Number.NaN, 9] }
  for (const [key, times] of Object.entries(stamps))
    await world.send(...times.map(timestamp => [key, add(1), { timestamp }] as const))
  await supervisor.caughtUp()
  expect((await world.units('a')).map(({ at }) => at)).toEqual([0, 0, 5, 5])
  expect((await world.units('b')).map(({ at }) => at)).toEqual([7, 7, 7, 9])
  expect(supervisor.status().deadLettered).toBe(0)
})

test("K3: ordering 'partition' hands over nothing before what came before it is settled", async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const held = store.faults.plan('append.late', { when: hasUnitOf('a') })
  const { supervisor } = world.supervise({ ordering: 'partition' })
  await world.send(['a', add(1)], ['b', add(2)])
  await held.met
  await settled()
  expect(supervisor.status().leases[0]).toMatchObject({ position: 1, unsettled: 1 })
  expect(await store.find('t', 'b')).toBeUndefined()
  held.release()
  await supervisor.caughtUp()
  expect(await world.added('b')).toEqual([2])
})

test('K4: outputs go to the result topic, refused records to the dead letters', async () => {
  const world = new World()
  const { supervisor } = world.supervise({ sends: true })
  await world.send(['a', add(1)], ['a', { type: 'THROW' }], ['a', { type: 'TELL' }])
  await supervisor.caughtUp()
  const { run } = await world.head('a')
  const results = await world.topic('r')
  expect(results.map(record => [textOf(record.key), JSON.parse(textOf(record.value)!), headersOf(record)])).toEqual([
    [
      'a',
      { runId: run, seq: 1, index: 0, at: 1_000_000, event: { type: 'COUNT', count: 1 } },
      { 'xmachines-id': `${run}/1/0`, 'xmachines-timestamp': '1000000' },
    ],
    [
      'a',
      { runId: run, seq: 2, index: 0, at: 1_000_000, event: { type: 'COUNT', count: 1 } },
      { 'xmachines-id': `${run}/2/0`, 'xmachines-timestamp': '1000000' },
    ],
    [
      'a',
      { runId: run, seq: 2, index: 1, at: 1_000_000, event: { type: 'COUNT', count: -1 } },
      { 'xmachines-id': `${run}/2/1`, 'xmachines-timestamp': '1000000' },
    ],
  ])
  const [letter] = await world.topic('d')
  expect(textOf(letter!.value)).toBe('{"type":"THROW"}')
  expect(headersOf(letter!)['xmachines-error-code']).toBe('STEP_FAILED')
})

test('K5: a run that stands still stops the fetching of its partition, and of no other', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store, partitions: 2 })
  // Keys of both partitions, as the producer places them.
  const stuck = 'a'
  const [slow, other] = await placesOf(world, stuck)
  const { supervisor, consumer } = world.supervise({ window: 10 })
  await world.send([stuck, add(0)], [other, add(0)])
  await supervisor.caughtUp()
  const held = store.faults.plan('append.late', { when: hasUnitOf(stuck, world.store), times: 1 })
  await world.send(...Array.from({ length: 1200 }, (_, i) => [stuck, add(i)] as const))
  await held.met
  await settled()
  const lease = supervisor.status().leases.find(({ partition }) => partition === slow)!
  expect(lease).toMatchObject({ unsettled: 10, position: 11 })
  expect((await consumer.endOffsets('t')).get(slow)).toBe(1201)
  // A store has one journal in a process, so the other partition is seen from another one.
  held.release()
  await supervisor.caughtUp()
  expect((await world.head(stuck)).seq).toBe(1201)
  expect((await world.head(other)).seq).toBe(1)
})

test('K5: many leases have less in hand each', async () => {
  const store = faultyStore(memoryStore())
  const partitions = 10
  const world = new World({ store, partitions })
  const { supervisor, event } = world.supervise()
  await event('claimed', partitions)
  const held = store.faults.plan('append.late', { times: Number.POSITIVE_INFINITY })
  const records = Array.from({ length: 5000 * partitions }, (_, i) => [`k${i % 3000}`, add(i)] as const)
  await world.send(...records)
  await held.met
  await settled()
  const inHand = supervisor.status().leases.map(({ unsettled }) => unsettled)
  expect(inHand.sort()).toEqual([3276, 3640, ...Array(8).fill(4096)])
  held.release()
})

test('K6: one worker holds a partition, and the store lets nobody else write to its runs', async () => {
  const world = new World({ partitions: 4 })
  const first = world.supervise()
  const second = world.supervise({ store: otherProcess(world.store), environment: world.environment.fork('process-2') })
  await second.event('claimed', 2)
  await world.send(...Array.from({ length: 40 }, (_, i) => [`k${i}`, add(i)] as const))
  await Promise.all([first.supervisor.caughtUp(), second.supervisor.caughtUp()])
  const held = [first, second].map(({ supervisor }) => supervisor.status().leases.map(({ partition }) => partition))
  expect(held.map(({ length }) => length)).toEqual([2, 2])
  expect(held.flat().sort()).toEqual([0, 1, 2, 3])
  // Nobody else: a handle in a third process is refused.
  const run = await openRun(counter, { store: otherProcess(world.store), key: 'k0', namespace: 't' })
  await expect(run.apply(add(1) as never)).rejects.toMatchObject({ code: 'LEASE_HELD' })
})

test('K6: a handle in the owner’s process writes through the owner, and ends with it', async () => {
  const world = new World()
  const { supervisor } = world.supervise()
  await world.send(['a', add(1)])
  await supervisor.caughtUp()
  const run = await openRun(counter, { store: world.store, key: 'a', namespace: 't' })
  expect(await run.apply(add(2) as never)).toMatchObject({ ok: true, seq: 2 })
  await world.send(['a', add(3)])
  await supervisor.caughtUp()
  expect(await world.added('a')).toEqual([1, 2, 3])
  await supervisor.close()
  await expect(run.apply(add(4) as never)).rejects.toMatchObject({ code: 'LEASE_LOST' })
})

test('K7: an offset is committed when its record is durable, and not before', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const { supervisor } = world.supervise()
  await world.send(['a', add(1)])
  await supervisor.caughtUp()
  const held = store.faults.plan('append.delay')
  await world.send(['a', add(2)], ['b', add(3)])
  await held.met
  await settled()
  expect(await world.committed()).toEqual([1])
  held.release()
  await supervisor.caughtUp()
  expect(await world.committed()).toEqual([3])
  store.faults.assertAllFired()
})

test('K7: what was not committed at a crash comes again, and is applied once', async () => {
  const world = new World()
  const delay = world.broker.faults.delayCommits({ group: 'g' })
  const first = world.supervise()
  await world.send(['a', add(1)], ['a', add(2)])
  await settled()
  expect(await world.added('a')).toEqual([1, 2])
  expect(await world.committed()).toEqual([0])
  world.broker.faults.pause(first.consumer).expire()
  delay.release()
  const second = world.supervise({ store: otherProcess(world.store) })
  await world.send(['a', add(3)])
  await second.supervisor.caughtUp()
  expect(await world.added('a')).toEqual([1, 2, 3])
  expect(second.supervisor.status().duplicates).toBe(2)
  expect(await world.committed()).toEqual([3])
  delay.assertFired()
})

test('K8: a run never spans partitions: a record from another one is refused', async () => {
  const world = new World({ partitions: 2 })
  const { supervisor } = world.supervise()
  await world.send(['a', add(1), { partition: 0 }])
  await supervisor.caughtUp()
  await world.send(['a', add(2), { partition: 1 }], ['b', add(3), { partition: 1 }])
  await supervisor.caughtUp()
  expect(await world.added('a')).toEqual([1])
  expect(await world.added('b')).toEqual([3])
  expect((await world.head('a')).lease).toEqual({ namespace: 't', partition: 0 })
  const [letter] = await world.topic('d')
  expect(headersOf(letter!)).toMatchObject({ 'xmachines-error-code': 'LEASE_MISPLACED', 'xmachines-partition': '1' })
})

/** Whether an append has a unit of the run of `key`. */
function hasUnitOf(key: string, store?: Store) {
  return (items: unknown): boolean =>
    (
      items as readonly { run: string; units: readonly { creation?: { key?: string }; events: readonly unknown[] }[] }[]
    ).some(item => store !== undefined || item.units.some(({ creation }) => creation?.key === key))
}

/** The partition of `key`, and a key of another one. */
async function placesOf(world: World, key: string): Promise<[number, string]> {
  const producer = world.broker.producer({ topic: 'places' })
  const places = await producer.send([key, 'b', 'c', 'd', 'e', 'f'].map(name => ({ key: name, value: null })))
  const own = places[0]!.partition
  const other = ['b', 'c', 'd', 'e', 'f'].find((_, i) => places[i + 1]!.partition !== own)!
  return [own, other]
}
