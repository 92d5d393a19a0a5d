import { describe, expect, test } from 'vitest'
import { openRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { charging } from '../run/charging.ts'
import { settled } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const CHARGE = { type: 'CHARGE' }

describe('invocations under a lease', () => {
  test('a lost lease aborts them; under the next epoch they go on with the same key', async () => {
    const world = new World()
    const { machine, calls } = charging()
    const { event, supervisor } = world.supervise({ machine })
    await world.send(['a', CHARGE])
    await supervisor.caughtUp()
    world.broker.faults.lose({ topic: 't' })
    await event('claimed', 2)
    await settled()
    expect(calls.map(({ attempt, signal }) => [attempt, signal.aborted])).toEqual([
      [1, true],
      [2, false],
    ])
    expect(new Set(calls.map(({ key }) => key)).size).toBe(1)
    expect(calls[0]!.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
    calls[0]!.finish('late')
    calls[1]!.finish('paid')
    await settled()
    expect((await world.units('a')).map(({ origin }) => origin.kind)).toEqual(['outside', 'outside', 'effect'])
    expect((await world.head('a')).beside).toMatchObject({ attempts: {}, process: null })
  })

  test('a lost lease is a crash: at-most-once gives the error, recorded under the next epoch', async () => {
    const world = new World()
    const { machine, calls } = charging('at-most-once')
    const { event, supervisor } = world.supervise({ machine })
    await world.send(['a', CHARGE])
    await supervisor.caughtUp()
    world.broker.faults.lose({ topic: 't' })
    await event('claimed', 2)
    await settled()
    expect(calls).toHaveLength(1)
    expect((await world.units('a')).at(-1)).toMatchObject({
      epoch: 2,
      events: [{ type: 'xmachines.reject', error: { code: 'INVOCATION_INTERRUPTED' } }],
    })
  })

  test('a run that is still being loaded when the lease is lost starts nothing under it', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { machine, calls } = charging()
    const { event, supervisor } = world.supervise({ machine })
    await world.send(['a', CHARGE])
    await supervisor.caughtUp()
    const held = store.faults.plan('loadSnapshot.delay')
    world.broker.faults.lose({ topic: 't' })
    await held.met
    world.broker.faults.lose({ topic: 't' })
    await event('claimed', 3)
    held.release()
    await settled()
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
    calls[1]!.finish('paid')
    await settled()
    expect(supervisor.status().leases).toMatchObject([{ epoch: 3, state: 'running' }])
    expect((await world.units('a')).at(-1)).toMatchObject({ epoch: 3, origin: { kind: 'effect' } })
  })

  test('a revoked lease waits for promises; what they come to is recorded', async () => {
    const world = new World()
    const { machine, calls } = charging()
    const { supervisor } = world.supervise({ machine })
    await world.send(['a', CHARGE])
    await supervisor.caughtUp()
    const closed = supervisor.close()
    await settled()
    calls[0]!.finish('paid')
    await closed
    expect((await world.head('a')).beside.attempts).toEqual({})
    expect((await world.units('a')).at(-1)).toMatchObject({ events: [{ type: 'xmachines.resolve', value: 'paid' }] })
  })

  test('whoever only reads a run of somebody else starts nothing of it', async () => {
    const world = new World()
    const { machine, calls } = charging()
    const { supervisor } = world.supervise({ machine })
    await world.send(['a', CHARGE])
    await supervisor.caughtUp()
    const store = otherProcess(world.store)
    const reader = await openRun(machine, { store, id: (await world.head('a')).run })
    expect(reader.getSnapshot().value).toBe('charging')
    expect(calls).toHaveLength(1)
    calls[0]!.finish('paid')
    await settled()
    expect((await world.units('a')).at(-1)).toMatchObject({ origin: { kind: 'effect' } })
    await expect(reader.apply({ type: 'PING' })).rejects.toMatchObject({ code: 'LEASE_HELD' })
  })

  test('a run that waits for a retry stays in memory, however long it is idle', async () => {
    const world = new World()
    const { machine, calls } = charging({ attempts: 2, backoff: { initial: 600_000, max: 600_000 } })
    const { supervisor } = world.supervise({ machine, idle: 1000 })
    await world.send(['a', CHARGE], ['b', { type: 'PING' }])
    await supervisor.caughtUp()
    calls[0]!.fail(new Error('down'))
    await world.environment.advance(599_999)
    expect(supervisor.status().residents).toBe(1)
    expect(calls).toHaveLength(1)
    await world.environment.advance(1)
    expect(calls.map(({ attempt }) => attempt)).toEqual([1, 2])
    calls[1]!.finish('paid')
    await world.environment.advance(10_000)
    expect(supervisor.status().residents).toBe(0)
  })
})
