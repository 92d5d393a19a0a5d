import { setTimeout } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { defineMachine, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { counter } from '../run/machines.ts'
import { settled } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })
const lease = { namespace: 't', partition: 0 }

describe('the life of a lease', () => {
  test('claimed, revoked, released: it drains and commits before it is given back', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor, happened } = world.supervise()
    await world.send(['a', add(1)], ['b', add(2)])
    const held = store.faults.plan('append.delay')
    await held.met
    const closed = supervisor.close()
    await settled()
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'revoked'])
    expect(supervisor.status()).toMatchObject({ state: 'draining', leases: [{ state: 'draining', unsettled: 2 }] })
    expect((await store.lease(lease))?.owner).toBe('process-1')
    held.release()
    await closed
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'revoked', 'released'])
    expect(await world.committed()).toEqual([2])
    expect(await store.lease(lease)).toMatchObject({ epoch: 1, owner: null, group: null })
    expect(supervisor.status()).toMatchObject({ state: 'closed', leases: [], residents: 0 })
    expect(world.environment.timers).toBe(0)
  })

  test('records that wait in the stream are left to the next owner', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const held = store.faults.plan('append.delay')
    const first = world.supervise({ window: 4 })
    await world.send(...Array.from({ length: 100 }, (_, i) => ['a', add(i)] as const))
    await held.met
    const closed = first.supervisor.close()
    await settled()
    held.release()
    await closed
    expect(await world.committed()).toEqual([4])
    const second = world.supervise()
    await second.supervisor.caughtUp()
    expect(await world.added('a')).toEqual(Array.from({ length: 100 }, (_, i) => i))
    expect(second.supervisor.status().duplicates).toBe(0)
  })

  test('a drain that takes too long is given up: the partition is free at the deadline', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const held = store.faults.plan('append.late', {
      when: items => (items as readonly { units: readonly { seq: number }[] }[])[0]!.units[0]?.seq === 1,
    })
    const { supervisor, event } = world.supervise({ drain: 2000 })
    await world.send(['a', add(1)])
    await held.met
    const closed = supervisor.close()
    await world.environment.advance(1999)
    expect(supervisor.status().leases).toMatchObject([{ state: 'draining' }])
    await world.environment.advance(1)
    await event('released')
    await closed
    expect((await store.lease(lease))?.owner).toBe(null)
    // It was written; only its answer was late. The next owner sees that.
    expect(await world.committed()).toEqual([0])
    held.release()
    const second = world.supervise({ store: otherProcess(store) })
    await second.supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1])
    expect(second.supervisor.status().duplicates).toBe(1)
  })

  test('a drain waits for results', async () => {
    const world = new World()
    const failure = world.broker.faults.failSends({ topic: 'r' })
    const { supervisor } = world.supervise({ sends: true })
    await world.send(['a', add(1)])
    await settled()
    const closed = supervisor.close()
    await settled()
    expect(supervisor.status().leases).toMatchObject([{ state: 'draining', unsettled: 0, committed: 1 }])
    await world.environment.advance(100)
    await closed
    expect(await world.topic('r')).toHaveLength(1)
    expect(await world.head('a')).toMatchObject({ due: null, beside: { outbox: [] } })
    failure.assertFired()
  })

  test('close is idempotent, also before the first lease, and of a supervisor whose broker is gone', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    await Promise.all([supervisor.close(), supervisor.close()])
    const { supervisor: other, happened } = world.supervise({ group: 'h' })
    await settled()
    await world.broker.close()
    await settled()
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'revoked', 'released'])
    expect(other.status().state).toBe('closed')
    await other.close()
    await expect(other.caughtUp()).rejects.toMatchObject({
      code: expect.stringMatching(/SUPERVISOR_STOPPED|BROKER_CLOSED/),
    })
  })

  test('lost: it stops at once, without a commit', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const delay = world.broker.faults.delayCommits()
    const { event, supervisor } = world.supervise()
    await world.send(['a', add(1)])
    await settled()
    const held = store.faults.plan('append.delay')
    await world.send(['a', add(2)], ['b', add(3)])
    await held.met
    world.broker.faults.lose({ topic: 't' })
    expect(await event('lost')).toMatchObject({ partition: 0, error: { code: 'LEASE_LOST' } })
    expect(await world.committed()).toEqual([0])
    // It gets the partition again, under a new epoch; what was under way is fenced.
    expect(await event('claimed', 2)).toMatchObject({ epoch: 2 })
    held.release()
    delay.release()
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.added('b')).toEqual([3])
    expect(supervisor.status().duplicates).toBe(1)
    expect((await world.units('a')).map(({ epoch }) => epoch)).toEqual([1, 1, 2])
  })
})

describe('fencing', () => {
  test('a zombie cannot append: whoever lost its lease unawares is stopped by the store', async () => {
    const world = new World()
    const store = faultyStore(world.store)
    const zombie = world.supervise({ store })
    await world.send(['a', add(1)])
    await zombie.supervisor.caughtUp()
    const held = store.faults.plan('append.delay')
    await world.send(['a', add(2)])
    await held.met
    // Cut off; it knows of nothing.
    const pause = world.broker.faults.pause(zombie.consumer)
    pause.expire()
    const second = world.supervise({ environment: world.environment.fork('process-2') })
    await second.supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
    await world.send(['a', add(3)])
    await second.supervisor.caughtUp()
    held.release()
    expect(await zombie.event('fenced')).toMatchObject({ error: { code: 'LEASE_LOST' } })
    // It does not claim again before it knows that the partition is still its own.
    await world.environment.advance(5000)
    expect(await world.store.lease(lease)).toMatchObject({ epoch: 2, owner: 'process-2' })
    expect(zombie.supervisor.status().leases).toMatchObject([{ state: 'fenced' }])
    expect(await world.added('a')).toEqual([1, 2, 3])
    expect((await world.units('a')).map(({ epoch }) => epoch)).toEqual([1, 1, 2, 2])
    // It was given up meanwhile, which it learns now; and gets nothing, since the other one holds the only partition.
    pause.resume()
    await zombie.event('lost')
    expect(await world.store.lease(lease)).toMatchObject({ epoch: 2, owner: 'process-2' })
  })

  test('fenced while the broker still assigns it: it claims again and goes on, records in hand included', async () => {
    const world = new World()
    const { supervisor, event } = world.supervise()
    await world.send(['a', add(1)], ['b', add(1)])
    await supervisor.caughtUp()
    // Somebody ends the owner by hand.
    await world.store.release({ ...lease, epoch: 1 })
    await world.send(['a', add(2)], ['a', add(3)], ['b', add(2)], ['c', add(1)])
    await event('fenced')
    await world.environment.advance(100)
    expect(await event('claimed', 2)).toMatchObject({ epoch: 2 })
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2, 3])
    expect(await world.added('b')).toEqual([1, 2])
    expect(await world.added('c')).toEqual([1])
    expect(supervisor.status().duplicates).toBe(0)
  })

  test('what was under way under an earlier claim costs no further one, however late it is told', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const older = world.supervise()
    await world.send(['a', add(1)], ['b', add(1)])
    await older.supervisor.caughtUp()
    await older.supervisor.close()
    const newer = defineMachine(counter, { version: '2', migrations: [{ from: counter }] })
    const { supervisor, event, happened } = world.supervise({ machine: newer })
    await event('claimed')
    const held = store.faults.plan('append.delay')
    await world.send(['b', add(2)])
    // It migrates the run of `b`.
    await held.met
    await store.release({ ...lease, epoch: 2 })
    await world.send(['a', add(2)])
    await event('fenced')
    await world.environment.advance(100)
    expect(await event('claimed', 2)).toMatchObject({ epoch: 3 })
    held.release()
    await world.environment.advance(5000)
    await supervisor.caughtUp()
    expect(happened.filter(({ type }) => type === 'claimed' || type === 'fenced')).toHaveLength(3)
    expect(await store.lease(lease)).toMatchObject({ epoch: 3, owner: 'process-1' })
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.added('b')).toEqual([1, 2])
  })

  test('owned by another group it stands stopped, loudly', async () => {
    const world = new World()
    const { supervisor, event } = world.supervise()
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    await world.store.claim({ ...lease, owner: 'other', group: 'other-group' })
    await world.send(['a', add(2)])
    const stopped = await event('stopped')
    expect(stopped.error).toMatchObject({ code: 'SUPERVISOR_STOPPED', details: { code: 'LEASE_HELD' } })
    await world.environment.advance(60_000)
    expect(await world.store.lease(lease)).toMatchObject({ epoch: 2, owner: 'other' })
    await expect(supervisor.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' })
    expect(await world.added('a')).toEqual([1])
    expect(await world.committed()).toEqual([1])
    await supervisor.close()
    expect(await world.store.lease(lease)).toMatchObject({ epoch: 2, owner: 'other' })
  })

  test('beside members with other options it takes nothing over, and says so; they go on', async () => {
    const world = new World()
    const first = world.supervise()
    await world.send(['a', add(1)])
    await first.supervisor.caughtUp()
    for (const options of [{ ordering: 'partition' }, { time: 'source' }, { namespace: 'n' }] as const) {
      const { event } = world.supervise(options)
      expect((await event('failed')).error).toMatchObject({ code: 'GROUP_MISMATCH' })
    }
    await world.send(['a', add(2)])
    await first.supervisor.caughtUp()
    const alike = world.supervise({ namespace: 't', store: otherProcess(world.store) })
    await first.supervisor.close()
    await alike.event('claimed')
    expect(await world.added('a')).toEqual([1, 2])
  })

  test('fenced while it drains: it gives back what it has, and what was not settled comes again', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const held = store.faults.plan('append.delay')
    const { supervisor, event } = world.supervise()
    await world.send(['a', add(1)])
    await held.met
    const closed = supervisor.close()
    await event('revoked')
    await store.claim({ ...lease, owner: 'other', group: 'g' })
    held.release()
    await closed
    expect(await world.committed()).toEqual([0])
    expect(await store.lease(lease)).toMatchObject({ epoch: 2, owner: 'other' })
    const second = world.supervise()
    await second.supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1])
  })
})

test.each(['release.before', 'release.after'] as const)('%s: a lease is given back all the same', async point => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const { supervisor, event } = world.supervise()
  await event('claimed')
  store.faults.plan(point, { times: 3 })
  const closed = supervisor.close()
  await world.environment.advance(700)
  await closed
  store.faults.assertAllFired()
  expect(await store.lease(lease)).toMatchObject({ owner: null })
})

test('a claim whose answer was lost is given back', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  store.faults.plan('claim.after')
  const { supervisor, event } = world.supervise()
  await event('stalled')
  expect(await store.lease(lease)).toMatchObject({ epoch: 1, owner: 'process-1' })
  await supervisor.close()
  store.faults.assertAllFired()
  expect(await store.lease(lease)).toMatchObject({ epoch: 1, owner: null })
})

test('a claim whose answer was lost is another owner’s to give back, where there is one since', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  store.faults.plan('claim.after')
  const { supervisor, event } = world.supervise()
  await event('stalled')
  const other = { ...lease, owner: 'other', group: 'g' }
  await store.claim(other)
  await supervisor.close()
  expect(await store.lease(lease)).toEqual({ ...other, epoch: 2 })
})

test('fenced when a run goes out of memory, it is told, and what the run sends is not sent again and again', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const { event, supervisor, happened } = world.supervise({ sends: true, idle: 0 })
  const sending = world.broker.faults.failSends({ topic: 'r' })
  await world.send(['a', add(1)])
  await event('stalled')
  sending.assertFired()
  // A process that was stopped meanwhile: others have claimed it, and are gone.
  await store.claim({ ...lease, owner: 'other', group: 'g' })
  await world.environment.advance(1000)
  expect(happened.map(({ type }) => type)).toEqual(['claimed', 'stalled', 'fenced', 'claimed'])
  await supervisor.caughtUp()
  expect(supervisor.status().fencedAppends).toBe(1)
  expect((await world.topic('r')).length).toBe(2)
})

test.each(['append.before', 'append.torn'] as const)(
  '%s when a run goes out of memory: it stalls, with backoff',
  async point => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor, happened } = world.supervise({ sends: true, idle: 0 })
    world.broker.faults.failSends({ topic: 'r' })
    await world.send(['a', add(1)])
    await settled()
    store.faults.plan(point, { times: 3 })
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    store.faults.assertAllFired()
    const start = happened[0]!.at
    expect(happened.flatMap(({ type, at }) => (type === 'stalled' ? [at - start] : []))).toEqual([0, 100, 200, 400])
    expect((await world.topic('r')).length).toBe(4)
  },
)

test('a drain that may take for ever is not given up at once', async () => {
  const store = faultyStore(memoryStore())
  const broker = memoryBroker()
  const endless = Number.POSITIVE_INFINITY
  const consumer = broker.consumer({ topic: 't', group: 'g', drainTimeout: endless })
  const supervisor = supervise({ machine: counter, store, consumer, drain: endless })
  const held = store.faults.plan('append.late')
  await broker.producer({ topic: 't' }).send([{ key: 'a', value: JSON.stringify(add(1)) }])
  await held.met
  const closed = supervisor.close()
  await setTimeout(20)
  expect(supervisor.status().leases).toMatchObject([{ state: 'draining' }])
  held.release()
  await closed
  expect(supervisor.status().leasesLost).toBe(0)
})

test('closed while its claim is under way, it gives back what the claim brings', async () => {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const claim = store.faults.plan('claim.late')
  const { supervisor } = world.supervise()
  await claim.met
  const closed = supervisor.close()
  await settled()
  claim.release()
  await closed
  expect(await store.lease(lease)).toMatchObject({ epoch: 1, owner: null })
})

describe('a store or a broker that fails', () => {
  test.each(['append.before', 'append.after', 'append.torn'] as const)('%s: it stalls, and goes on', async point => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor, event, happened } = world.supervise()
    await world.send(['a', add(1)], ['b', add(1)], ['c', add(1)])
    await supervisor.caughtUp()
    store.faults.plan(point, { times: 3 })
    await world.send(['a', add(2)], ['b', add(2)], ['a', add(3)])
    expect((await event('stalled')).error.code).toMatch(/^STORE_/)
    await settled()
    await world.send(['c', add(2)], ['b', add(3)], ['d', add(1)])
    await world.environment.advance(5000)
    await supervisor.caughtUp()
    store.faults.assertAllFired()
    expect(await world.added('a')).toEqual([1, 2, 3])
    expect(await world.added('b')).toEqual([1, 2, 3])
    expect(await world.added('c')).toEqual([1, 2])
    expect(await world.added('d')).toEqual([1])
    expect(happened.filter(({ type }) => type === 'parked' || type === 'restarted')).toEqual([])
    expect(await world.committed()).toEqual([9])
  })

  test.each([
    'claim.before',
    'claim.after',
    'head.before',
    'find.before',
    'loadSnapshot.before',
    'read.torn',
    'due.before',
  ] as const)('%s: it stalls, and goes on', async point => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const first = world.supervise({ store: otherProcess(world.store) })
    await world.send(['a', add(1)])
    await first.supervisor.caughtUp()
    // It leaves no snapshot behind.
    world.broker.faults.pause(first.consumer).expire()
    store.faults.plan(point, { times: 2 })
    const second = world.supervise()
    await world.send(['a', add(2)], ['b', add(1)])
    await second.event('stalled')
    await world.environment.advance(5000)
    await second.supervisor.caughtUp()
    store.faults.assertAllFired()
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.added('b')).toEqual([1])
  })

  test('the pauses grow while it lasts, and all runs wait together', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor, happened } = world.supervise({ restart: { backoff: attempt => 10 ** attempt } })
    await world.send(...Array.from({ length: 20 }, (_, i) => [`k${i}`, add(0)] as const))
    await supervisor.caughtUp()
    store.faults.plan('append.before', { times: 3 })
    await world.send(...Array.from({ length: 20 }, (_, i) => [`k${i}`, add(1)] as const))
    const start = world.environment.now()
    await world.environment.advance(10_000)
    await supervisor.caughtUp()
    expect(happened.filter(({ type }) => type === 'stalled').map(({ at }) => at - start)).toEqual([0, 10, 110])
    for (let i = 0; i < 20; i++) expect(await world.added(`k${i}`)).toEqual([0, 1])
  })

  test('commits that fail are repeated; records count on', async () => {
    const world = new World()
    const failure = world.broker.faults.failCommits({ times: 3 })
    const { supervisor } = world.supervise()
    await world.send(['a', add(1)])
    await settled()
    await world.send(['a', add(2)])
    await settled()
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.committed()).toEqual([0])
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    expect(await world.committed()).toEqual([2])
    expect(failure.fired).toBe(3)
  })

  test('a store that is closed stops the lease', async () => {
    const world = new World()
    const { supervisor, event } = world.supervise()
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    await world.store.close()
    await world.send(['a', add(2)])
    expect((await event('stopped')).error).toMatchObject({
      code: 'SUPERVISOR_STOPPED',
      details: { code: 'STORE_CLOSED' },
    })
  })

  test('records that are gone stop the lease', async () => {
    const world = new World()
    await world.send(['a', add(1)], ['a', add(2)])
    const first = world.supervise()
    await first.supervisor.caughtUp()
    await first.supervisor.close()
    await world.send(['a', add(3)], ['a', add(4)])
    world.broker.trim('t', 0, 3)
    const second = world.supervise()
    expect((await second.event('stopped')).error.cause).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
  })
})

describe('a run that only another deployment can go on with', () => {
  test('an unknown machine version stops the lease, and nothing is dead-lettered', async () => {
    const { counter } = await import('../run/machines.ts')
    const { defineMachine } = await import('xmachines')
    const world = new World()
    const first = world.supervise({ machine: defineMachine(counter, { version: '1' }) })
    await world.send(['a', add(1)])
    await first.supervisor.caughtUp()
    await first.supervisor.close()
    const second = world.supervise({ machine: defineMachine(counter, { version: '2' }) })
    await world.send(['a', add(2)])
    expect((await second.event('stopped')).error.cause).toMatchObject({ code: 'MACHINE_MISMATCH' })
    expect(await world.topic('d')).toEqual([])
    expect(await world.committed()).toEqual([1])
    await second.supervisor.close()
    const third = world.supervise({
      machine: [defineMachine(counter, { version: '2' }), defineMachine(counter, { version: '1' })] as never,
    })
    await third.supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
  })

  test('so does another time mode', async () => {
    const world = new World()
    const first = world.supervise()
    await world.send(['a', add(1)])
    await first.supervisor.caughtUp()
    await first.supervisor.close()
    const second = world.supervise({ time: 'source' })
    await world.send(['a', add(2)])
    expect((await second.event('stopped')).error.cause).toMatchObject({ code: 'TIME_MODE_MISMATCH' })
  })
})
