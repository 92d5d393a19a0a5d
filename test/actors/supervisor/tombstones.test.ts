import { expect, test } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { headersOf, otherProcess, textOf, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })
const tombstone = (key: string | null) => [key, '', { value: null }] as const
const stop = { kind: 'stop', reason: 'tombstone' }

test('a tombstone ends the run of its key, durably, with its position', async () => {
  const world = new World()
  const { supervisor } = world.supervise({ tombstones: 'stop' })
  await world.send(['a', add(1)], ['b', add(2)], tombstone('a'), ['b', add(3)], ['a', add(4)])
  await supervisor.caughtUp()
  const units = await world.units('a')
  expect(units.map(({ seq, origin, events }) => ({ seq, origin, events }))).toEqual([
    { seq: 0, origin: { kind: 'outside' }, events: [] },
    { seq: 1, origin: { kind: 'outside' }, events: [add(1)] },
    { seq: 2, origin: stop, events: [] },
  ])
  expect(units[2]!.sources).toEqual([{ id: 'cluster/t/0', position: 2 }])
  expect(await world.head('a')).toMatchObject({ status: 'stopped' })
  expect(await world.added('b')).toEqual([2, 3])
  // What comes behind it is refused, as of every run that has ended.
  expect((await world.topic('d')).map(headersOf)).toMatchObject([
    { 'xmachines-offset': '4', 'xmachines-error-code': 'RUN_FINISHED' },
  ])
  expect(await world.committed()).toEqual([5])
})

test('once: what is delivered again, or stands for a run that has ended or never was, changes nothing', async () => {
  const world = new World()
  const delay = world.broker.faults.delayCommits({ group: 'g' })
  const first = world.supervise({ tombstones: 'stop' })
  await world.send(tombstone('nobody'), ['a', add(1)], tombstone('a'), tombstone('a'))
  await expect.poll(() => first.supervisor.status().leases[0]?.unsettled).toBe(0)
  world.broker.faults.pause(first.consumer).expire()
  delay.release()
  const second = world.supervise({ tombstones: 'stop', store: otherProcess(world.store) })
  await second.supervisor.caughtUp()
  expect((await world.units('a')).map(({ origin }) => origin.kind)).toEqual(['outside', 'outside', 'stop'])
  expect((await world.head('a')).beside).toMatchObject({ sources: { 'cluster/t/0': 3 }, refusals: [] })
  expect(second.supervisor.status()).toMatchObject({ duplicates: 3, deadLettered: 0 })
  expect(await world.store.find('t', 'nobody')).toBeUndefined()
  expect(await world.committed()).toEqual([4])
})

test('a tombstone of before the run does not end it, also where the worker dies right after the creation', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const delay = world.broker.faults.delayCommits({ group: 'g' })
  const held = store.faults.plan('append.delay', {
    when: items => (items as readonly { units: readonly { seq: number }[] }[])[0]!.units[0]?.seq === 1,
  })
  const first = world.supervise({ tombstones: 'stop' })
  await world.send(tombstone('a'), ['a', add(7)])
  await held.met
  world.broker.faults.pause(first.consumer).expire()
  delay.release()
  const second = world.supervise({ tombstones: 'stop', store: otherProcess(store) })
  await second.supervisor.caughtUp()
  held.release()
  expect(await world.added('a')).toEqual([7])
  expect(await world.head('a')).toMatchObject({ status: 'active' })
})

test('under source time it is of the time of its record; `decode` names the run', async () => {
  const world = new World()
  const { supervisor } = world.supervise({
    tombstones: 'stop',
    time: 'source',
    decode: ({ key, value }) => ({
      key: `order-${textOf(key)}`,
      events: value === null ? [] : JSON.parse(textOf(value)!),
    }),
  })
  await world.send(['a', add(1), { timestamp: 10 }], ['a', '', { value: null, timestamp: 30 }])
  await supervisor.caughtUp()
  expect((await world.units('order-a')).map(({ at }) => at)).toEqual([10, 10, 30])
  expect(await world.head('order-a')).toMatchObject({ status: 'stopped' })
})

test('without a word of it they are refused; a tombstone without a key names nobody', async () => {
  const world = new World()
  const refusing = world.supervise()
  await world.send(['a', add(1)], tombstone('a'))
  await refusing.supervisor.caughtUp()
  await refusing.supervisor.close()
  const stopping = world.supervise({ tombstones: 'stop' })
  await world.send(tombstone(null))
  await stopping.supervisor.caughtUp()
  expect((await world.topic('d')).map(headersOf)).toMatchObject([
    { 'xmachines-offset': '1', 'xmachines-error-code': 'RECORD_UNDECODABLE' },
    { 'xmachines-offset': '2', 'xmachines-error-code': 'RECORD_UNDECODABLE' },
  ])
  expect(await world.head('a')).toMatchObject({ status: 'active' })
  expect(() => world.supervise({ tombstones: 'keep' as never })).toThrow(TypeError)
})
