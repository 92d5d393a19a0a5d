import { describe, expect, test } from 'vitest'
import type { BrokerConsumer } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { lagsOf } from '../../../src/actors/supervisor/lags.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { settled } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })
const lease = { namespace: 't', partition: 0 }

/** A world whose first append is answered when the test says so. */
async function stuck(options: Parameters<World['supervise']>[0] = {}, records = 10) {
  const store = faultyStore(memoryStore())
  const world = new World({ store })
  const started = world.supervise(options)
  const held = store.faults.plan('append.late')
  await world.send(...Array.from({ length: records }, (_, i) => ['a', add(i)] as const))
  await held.met
  return { ...started, world, store, held }
}

describe('lags', () => {
  test('what waits in the topic and what is in hand are the lag together', async () => {
    const { supervisor, held, world } = await stuck({ window: 3 })
    supervisor.status()
    await settled()
    expect(supervisor.status().leases).toMatchObject([{ lag: 10, fetchLag: 7, backlog: 3, unsettled: 3 }])
    held.release()
    await supervisor.caughtUp()
    expect(supervisor.status().leases).toMatchObject([{ lag: 0, fetchLag: 0, backlog: 0 }])
    await world.send(['a', add(10)])
    await supervisor.caughtUp()
    // The end is the one of the last look: what was handed over since is behind it.
    expect(supervisor.status().leases).toMatchObject([{ position: 11, lag: 0, fetchLag: 0, backlog: 0 }])
  })

  test("a lease that has handed over nothing yet is behind its group's commit", async () => {
    const world = new World()
    const first = world.supervise()
    await world.send(['a', add(1)], ['a', add(2)])
    await first.supervisor.caughtUp()
    await first.supervisor.close()
    const store = faultyStore(otherProcess(world.store))
    const held = store.faults.plan('claim.delay')
    const { supervisor } = world.supervise({ store })
    await held.met
    await world.send(['a', add(3)])
    supervisor.status()
    await settled()
    expect(supervisor.status().leases).toMatchObject([
      { state: 'claiming', position: undefined, committed: 2, lag: 1, fetchLag: 1, backlog: 0 },
    ])
    held.release()
  })

  test.each([
    ['nothing is known', [undefined, undefined, 9], [undefined, undefined, undefined]],
    ['no end is known', [3, 5, undefined], [undefined, undefined, 2]],
    ['no commit is known', [undefined, 5, 9], [4, 4, undefined]],
    ['all is known', [3, 5, 9], [6, 4, 2]],
    ['the commit is behind the marks of a transaction', [7, 5, 9], [2, 2, 0]],
    ['the end is of an earlier look', [3, 5, 4], [2, 0, 2]],
  ] as const)('%s', (_, [committed, position, end], [lag, fetchLag, backlog]) => {
    expect(lagsOf(committed, position, end)).toEqual({ lag, fetchLag, backlog })
  })
})

describe('time', () => {
  test('of the oldest unsettled record, since it was handed over and since it was stamped', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise()
    const held = store.faults.plan('append.late')
    await world.send(['a', add(1), { timestamp: world.environment.now() - 60_000 }])
    await held.met
    await world.environment.advance(700)
    await world.send(['b', add(1)])
    await world.environment.advance(300)
    expect(supervisor.status().leases).toMatchObject([{ oldestAge: 1000, timeLag: 61_000 }])
    held.release()
    await supervisor.caughtUp()
    expect(supervisor.status().leases).toMatchObject([{ oldestAge: undefined, timeLag: undefined }])
  })

  test('of a record that was not stamped, only since it was handed over', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise()
    const held = store.faults.plan('append.late')
    await world.send(['a', add(1), { timestamp: -1 }])
    await held.met
    await world.environment.advance(700)
    expect(supervisor.status().leases).toMatchObject([{ oldestAge: 700, timeLag: undefined }])
    held.release()
  })

  test('of a record that is handed over after a pause, from then on', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ ordering: 'partition' })
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const [first, second] = [store.faults.plan('append.late'), store.faults.plan('append.late')]
    await world.send(['a', add(2)], ['a', add(3)])
    await first.met
    await world.environment.advance(400)
    expect(supervisor.status().leases).toMatchObject([{ position: 2, oldestAge: 400, timeLag: 400, paused: 400 }])
    first.release()
    await second.met
    await world.environment.advance(50)
    expect(supervisor.status().leases).toMatchObject([{ position: 3, oldestAge: 50, timeLag: 450, paused: 400 }])
    second.release()
  })

  test('in which the window was full, in all', async () => {
    const { supervisor, store, held, world } = await stuck({ window: 3 })
    await world.environment.advance(2000)
    expect(supervisor.status().leases).toMatchObject([{ paused: 2000 }])
    held.release()
    await supervisor.caughtUp()
    await world.environment.advance(5000)
    expect(supervisor.status().leases).toMatchObject([{ paused: 2000 }])
    const again = store.faults.plan('append.late')
    await world.send(...Array.from({ length: 4 }, (_, i) => ['a', add(i)] as const))
    await again.met
    await world.environment.advance(30)
    expect(supervisor.status().leases).toMatchObject([{ paused: 2030 }])
    again.release()
  })
})

describe('drains', () => {
  test('are timed, while they last and when they are over', async () => {
    const { supervisor, event, held, world } = await stuck()
    const closed = supervisor.close()
    await world.environment.advance(1500)
    expect(supervisor.status()).toMatchObject({
      leases: [{ state: 'draining', drainTime: 1500 }],
      drains: { count: 0, last: undefined, total: 0 },
    })
    held.release()
    await closed
    expect(await event('released')).toMatchObject({ drainTime: 1500, unsettled: 0 })
    expect(supervisor.status().drains).toEqual({ count: 1, last: 1500, total: 1500 })
  })

  test('that are given up say what they leave', async () => {
    const { supervisor, event, world } = await stuck({ drain: 2000 }, 2)
    const closed = supervisor.close()
    await world.environment.advance(2000)
    await closed
    expect(await event('released')).toMatchObject({ drainTime: 2000, unsettled: 2 })
    expect(supervisor.status().drains).toEqual({ count: 1, last: 2000, total: 2000 })
  })

  test('add up', async () => {
    const world = new World({ partitions: 2 })
    const { supervisor, event } = world.supervise()
    await event('claimed', 2)
    await supervisor.close()
    expect(supervisor.status().drains).toEqual({ count: 2, last: 0, total: 0 })
  })

  test('are none where the lease was not claimed yet', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    store.faults.plan('claim.before', { times: 1 })
    const { supervisor, event } = world.supervise()
    await event('stalled')
    await supervisor.close()
    expect(await event('released')).toMatchObject({ drainTime: 0, unsettled: 0 })
    expect(supervisor.status().drains.count).toBe(0)
  })
})

describe('what the store and the group take away', () => {
  test('appends that were fenced are counted, each run its own', async () => {
    const world = new World()
    const { supervisor, event } = world.supervise()
    await world.send(['a', add(1)], ['b', add(1)], ['c', add(1)])
    await supervisor.caughtUp()
    expect(supervisor.status().fencedAppends).toBe(0)
    await world.store.release({ ...lease, epoch: 1 })
    await world.send(['a', add(2)], ['b', add(2)])
    await event('fenced')
    await world.environment.advance(100)
    await supervisor.caughtUp()
    expect(supervisor.status().fencedAppends).toBe(2)
    expect(await world.added('a')).toEqual([1, 2])
  })

  test('a fence that comes while it drains is told, too', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor, event, happened } = world.supervise()
    const held = store.faults.plan('append.delay')
    await world.send(['a', add(1)])
    await held.met
    const closed = supervisor.close()
    await event('revoked')
    await store.claim({ ...lease, owner: 'other', group: 'g' })
    held.release()
    await closed
    expect(happened).toMatchObject([
      { type: 'claimed' },
      { type: 'revoked' },
      { type: 'fenced', error: { code: 'LEASE_LOST' } },
      { type: 'released', unsettled: 1 },
    ])
    expect(supervisor.status().fencedAppends).toBe(1)
  })

  test('a lease that is lost while it is given back ends once', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store, partitions: 2 })
    const { event, happened } = world.supervise()
    await event('claimed', 2)
    const held = store.faults.plan('release.delay')
    world.supervise({ store: otherProcess(store) })
    await held.met
    await world.environment.advance(30_000)
    await event('lost')
    held.release()
    await settled()
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'claimed', 'revoked', 'lost'])
  })

  test('leases that were lost are counted', async () => {
    const world = new World()
    const { supervisor, event } = world.supervise()
    await event('claimed')
    world.broker.faults.lose({ topic: 't' })
    await event('lost')
    expect(supervisor.status()).toMatchObject({ leasesLost: 1, drains: { count: 0 } })
  })
})

describe('records that are older than their topic keeps', () => {
  const day = 86_400_000

  /** A supervisor whose broker says how long it keeps records. */
  function keeping(world: World, retention: BrokerConsumer['retention']) {
    const consumer = world.broker.consumer({ topic: 't', group: 'g' })
    const keeps = new Proxy(consumer, {
      get(target, name) {
        if (name === 'retention') return retention
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    return world.supervise({ consumer: keeps })
  }

  test('are told once, with what to do', async () => {
    const world = new World()
    const now = world.environment.now()
    await world.send(['a', add(1)], ['a', add(2), { timestamp: now - 500 }], ['a', add(3), { timestamp: now - 2000 }])
    const { supervisor, event, happened } = keeping(world, async () => 1000)
    const { error } = await event('expiring')
    expect(error).toMatchObject({
      code: 'RECORDS_EXPIRING',
      message: expect.stringContaining('1000 ms'),
      details: { topic: 't', partition: 0, offset: 2, timestamp: now - 2000, retention: 1000 },
    })
    await world.send(['a', add(4), { timestamp: now - 3000 }])
    await supervisor.caughtUp()
    expect(happened.filter(({ type }) => type === 'expiring')).toHaveLength(1)
    expect(await world.added('a')).toEqual([1, 2, 3, 4])
  })

  test('are told also where the broker answers after they have come, and as they were then', async () => {
    const world = new World()
    await world.environment.advance(10 * day)
    const now = world.environment.now()
    await world.send(['a', add(1), { timestamp: now - 8 * day }])
    let tell!: (retention: number) => void
    const { supervisor, event } = keeping(world, () => new Promise(resolve => (tell = resolve)))
    await supervisor.caughtUp()
    tell(7 * day)
    expect((await event('expiring')).error.message).toContain('7 days')
  })

  const answers: readonly [string, () => Promise<number | undefined>][] = [
    ['it keeps records for ever', async () => undefined],
    ['the broker does not say', () => Promise.reject(new Error('no'))],
    [
      'the question throws',
      () => {
        throw new Error('no')
      },
    ],
    ['they are younger', async () => 1000],
  ]
  test.each(answers)('are none where %s', async (_, retention) => {
    const world = new World()
    await world.send(['a', add(1), { timestamp: world.environment.now() - 900 }])
    const { supervisor, happened } = keeping(world, retention)
    await supervisor.caughtUp()
    // What has been read does not grow old.
    await world.environment.advance(5000)
    await world.send(['a', add(2)])
    await supervisor.caughtUp()
    expect(happened.map(({ type }) => type)).toEqual(['claimed'])
  })
})
