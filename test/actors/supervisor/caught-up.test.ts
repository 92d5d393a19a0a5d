import { describe, expect, test, vi } from 'vitest'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { settled, VirtualEnvironment } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })

/** Whether a promise has settled by now. */
function watch(promise: Promise<unknown>): { readonly done: boolean } {
  const state = { done: false }
  const settle = (): void => {
    state.done = true
  }
  promise.then(settle, settle)
  return state
}

describe('caughtUp', () => {
  test('resolves at once where there is nothing, also before the first lease', async () => {
    const world = new World({ partitions: 3 })
    const { supervisor } = world.supervise({ sends: true })
    await supervisor.caughtUp()
    expect(supervisor.status().leases.length).toBeLessThanOrEqual(3)
  })

  test('waits for what was there at the call, not for what comes after it', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise()
    await world.send(['a', add(0)])
    await supervisor.caughtUp()
    const first = store.faults.plan('append.late')
    const second = store.faults.plan('append.late')
    await world.send(['a', add(1)])
    const caughtUp = supervisor.caughtUp()
    const state = watch(caughtUp)
    await first.met
    await settled()
    await world.send(['a', add(2)])
    expect(state.done).toBe(false)
    first.release()
    await second.met
    await caughtUp
    expect(await world.committed()).toEqual([2])
    second.release()
    await supervisor.caughtUp()
    expect(await world.committed()).toEqual([3])
  })

  test('waits for what another member holds, by asking for its commits', async () => {
    const world = new World({ partitions: 2 })
    const first = world.supervise()
    const store = faultyStore(otherProcess(world.store))
    const held = store.faults.plan('append.late')
    const second = world.supervise({ store })
    await second.event('claimed')
    const theirs = second.supervisor.status().leases[0]!.partition
    await world.send(['a', add(1), { partition: theirs }])
    const caughtUp = first.supervisor.caughtUp()
    const state = watch(caughtUp)
    await held.met
    await world.environment.advance(5000)
    expect(state.done).toBe(false)
    held.release()
    await world.environment.advance(5000)
    expect(state.done).toBe(true)
    await caughtUp
  })

  test('waits for results that another member has to send', async () => {
    const world = new World({ partitions: 2 })
    const first = world.supervise({ sends: true })
    const second = world.supervise({ sends: true, store: otherProcess(world.store) })
    await second.event('claimed')
    const theirs = second.supervisor.status().leases[0]!.partition
    world.broker.faults.failSends({ topic: 'r', times: 6 })
    await world.send(['a', add(1), { partition: theirs }])
    const caughtUp = first.supervisor.caughtUp()
    const state = watch(caughtUp)
    await world.environment.advance(2000)
    expect(await world.committed()).toContain(1)
    expect(state.done).toBe(false)
    await world.environment.advance(10_000)
    expect(state.done).toBe(true)
    await caughtUp
    expect(await world.topic('r')).toHaveLength(1)
  })

  test('a member that crashes is waited for until another one has its partitions', async () => {
    const world = new World({ partitions: 2 })
    const first = world.supervise()
    const second = world.supervise({
      store: otherProcess(world.store),
      environment: new VirtualEnvironment('process-2'),
    })
    await second.event('claimed')
    const theirs = second.supervisor.status().leases[0]!.partition
    const pause = world.broker.faults.pause(second.consumer)
    await world.send(['a', add(1), { partition: theirs }])
    const caughtUp = first.supervisor.caughtUp()
    const state = watch(caughtUp)
    await world.environment.advance(5000)
    expect(state.done).toBe(false)
    pause.expire()
    await caughtUp
    expect(await world.added('a')).toEqual([1])
  })

  test('rejects while a lease stands stopped, also where it was called before', async () => {
    const world = new World({ partitions: 2 })
    const { supervisor } = world.supervise({ refuses: false })
    await world.send(['a', add(1), { partition: 0 }])
    await supervisor.caughtUp()
    await world.send(['a', { type: 'THROW' }, { partition: 0 }])
    await expect(supervisor.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' })
    await expect(supervisor.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' })
  })

  test('rejects when the supervisor closes before, and when the caller aborts', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const held = store.faults.plan('append.late')
    const { supervisor } = world.supervise()
    await world.send(['a', add(1)])
    await held.met
    const aborting = new AbortController()
    const abortedOne = supervisor.caughtUp({ signal: aborting.signal })
    const waiting = supervisor.caughtUp()
    aborting.abort(new Error('enough'))
    await expect(abortedOne).rejects.toMatchObject({ code: 'ABORTED' })
    const closed = supervisor.close()
    const rejected = expect(waiting).rejects.toMatchObject({
      code: expect.stringMatching(/SUPERVISOR_STOPPED|BROKER_CLOSED/),
    })
    await world.environment.advance(30_000)
    await closed
    await rejected
    held.release()
    await expect(supervisor.caughtUp()).rejects.toMatchObject({
      code: expect.stringMatching(/SUPERVISOR_STOPPED|BROKER_CLOSED/),
    })
  })

  test('rejects when the caller aborts while results cannot be sent', async () => {
    const world = new World()
    world.broker.faults.failSends({ topic: 'r', times: Number.POSITIVE_INFINITY })
    const { supervisor } = world.supervise({ sends: true })
    await world.send(['a', add(1)])
    await settled()
    const aborting = new AbortController()
    const rejected = expect(supervisor.caughtUp({ signal: aborting.signal })).rejects.toMatchObject({ code: 'ABORTED' })
    await settled()
    aborting.abort()
    await rejected
  })

  test('leaves nothing at the signal of the caller', async () => {
    const world = new World()
    const delay = world.broker.faults.delayCommits({ topic: 't', partition: 0 })
    const { supervisor } = world.supervise()
    await world.send(['a', add(1)])
    await settled()
    const { signal } = new AbortController()
    const listening = vi.spyOn(signal, 'addEventListener')
    const left = vi.spyOn(signal, 'removeEventListener')
    const caughtUp = supervisor.caughtUp({ signal })
    await settled()
    expect(listening).toHaveBeenCalled()
    delay.release()
    await caughtUp
    expect(left).toHaveBeenCalledTimes(listening.mock.calls.length)
  })

  test('a broker that cannot be reached for a while only delays it', async () => {
    const world = new World()
    const { supervisor, consumer } = world.supervise()
    await supervisor.caughtUp()
    const pause = world.broker.faults.pause(consumer)
    await world.send(['a', add(1)])
    const caughtUp = supervisor.caughtUp()
    const state = watch(caughtUp)
    await world.environment.advance(5000)
    expect(state.done).toBe(false)
    pause.resume()
    await world.environment.advance(5000)
    await caughtUp
    expect(await world.added('a')).toEqual([1])
  })
})

describe('status', () => {
  test('tells positions, lag and what is unsettled', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise({ window: 3 })
    expect(supervisor.status()).toMatchObject({ state: 'starting', leases: [] })
    await world.send(...Array.from({ length: 10 }, (_, i) => ['a', add(i)] as const))
    const held = store.faults.plan('append.late')
    await held.met
    supervisor.status()
    await settled()
    expect(supervisor.status()).toEqual({
      state: 'running',
      leases: [
        {
          topic: 't',
          partition: 0,
          epoch: 1,
          state: 'running',
          position: 3,
          committed: 0,
          lag: 10,
          fetchLag: 7,
          backlog: 3,
          unsettled: 3,
          oldestAge: 0,
          timeLag: 0,
          paused: 0,
          drainTime: undefined,
          error: undefined,
        },
      ],
      residents: 1,
      parked: [],
      duplicates: 0,
      deadLettered: 0,
      outputsSent: 0,
      fencedAppends: 0,
      drains: { count: 0, last: undefined, total: 0 },
      leasesLost: 0,
    })
    held.release()
    await supervisor.caughtUp()
    supervisor.status()
    await settled()
    expect(supervisor.status().leases).toMatchObject([{ position: 10, committed: 10, lag: 0, unsettled: 0 }])
  })
})

describe('events', () => {
  test('the newest are kept for whoever reads late, the dropped ones are counted', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    await supervisor.close()
    const unread = world.supervise({ watched: false })
    await world.send(...Array.from({ length: 1500 }, (_, i) => ['a', i === 0 ? add(1) : 'no json'] as const))
    await unread.supervisor.caughtUp()
    await unread.supervisor.close()
    const events = []
    for await (const event of unread.supervisor.events) events.push(event)
    expect(events).toHaveLength(1024)
    // One claim and 1,499 dead letters came before the end.
    expect(events[0]).toMatchObject({ type: 'dead-lettered', lost: 1500 + 2 - 1024 })
    expect(events[1]!.lost).toBeUndefined()
    expect(events.slice(-2).map(({ type }) => type)).toEqual(['revoked', 'released'])
  })
})
