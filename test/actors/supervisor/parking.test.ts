import { describe, expect, test } from 'vitest'
import { defineMachine, forkRun, type Store, unparkRun } from 'xmachines'
import { setup } from 'xstate'
import { batchesOf, batchStream } from '../../../src/actors/batch-stream.ts'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { override } from '../../persistence/store-door.ts'
import { counter } from '../run/machines.ts'
import { settled, VirtualEnvironment } from './virtual-environment.ts'
import { headersOf, otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD' as const, by })

/** A store whose history of some runs has a hole. */
function damaged(store: Store, isDamaged: (run: string) => boolean): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'loadSnapshot') return async () => undefined
      if (name === 'read')
        return (run: string, options?: object) => {
          const units = target.read(run, options)
          if (!isDamaged(run)) return units
          return batchStream(
            (async function* () {
              for await (const batch of batchesOf(units)) yield batch.filter(({ seq }) => seq !== 1)
            })(),
          )
        }
      const value = target[name as keyof Store] as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A world with runs of these keys; those whose key begins with `bad` have a damaged history from now on. */
async function worldWith(
  keys: readonly string[],
): Promise<{ readonly world: World; readonly store: Store; mend(): void }> {
  const world = new World()
  const first = world.supervise()
  await world.send(...keys.flatMap(key => [[key, add(1)] as const, [key, add(2)] as const]))
  await first.supervisor.caughtUp()
  await first.supervisor.close()
  const bad = new Set<string>()
  for (const key of keys) if (key.startsWith('bad')) bad.add((await world.head(key)).run)
  return { world, store: damaged(world.store, run => bad.has(run)), mend: () => bad.clear() }
}

async function codes(world: World): Promise<readonly string[]> {
  return (await world.topic('d')).map(letter => {
    const headers = headersOf(letter)
    return `${headers['xmachines-offset']} ${headers['xmachines-error-code']}`
  })
}

describe('a run that cannot be loaded', () => {
  test('is tried again with backoff, then parked, durably; its records are refused, its neighbours go on', async () => {
    const { world, store } = await worldWith(['bad', 'good'])
    const { supervisor, happened, event } = world.supervise({ store, restart: { attempts: 3, backoff: n => n * 1000 } })
    await world.send(['bad', add(3)], ['good', add(3)], ['bad', add(4)])
    await settled()
    expect(await world.added('good')).toEqual([1, 2, 3])
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'restarted'])
    await world.environment.advance(1000)
    expect(await event('restarted', 2)).toMatchObject({ key: 'bad', attempt: 2, error: { code: 'RUN_DAMAGED' } })
    await world.environment.advance(1999)
    expect((await world.head('bad')).beside.parked).toBe(null)
    await world.environment.advance(1)
    expect(await event('parked')).toMatchObject({
      key: 'bad',
      run: (await world.head('bad')).run,
      error: { code: 'RUN_DAMAGED' },
    })
    await world.send(['bad', add(5)], ['good', add(4)])
    await supervisor.caughtUp()
    expect(await codes(world)).toEqual(['4 RUN_PARKED', '6 RUN_PARKED', '7 RUN_PARKED'])
    expect(await world.added('good')).toEqual([1, 2, 3, 4])
    expect(await world.head('bad')).toMatchObject({
      seq: 2,
      due: null,
      beside: { parked: { code: 'RUN_DAMAGED', at: 1_003_000 }, refusals: [], sources: { 'cluster/t/0': 7 } },
    })
    const { run } = await world.head('bad')
    expect(supervisor.status().parked).toMatchObject([
      { run, key: 'bad', topic: 't', partition: 0, code: 'RUN_DAMAGED' },
    ])
    expect(await world.committed()).toEqual([9])
  })

  test('stands parked for the next owner too, until it is unparked; what comes later is applied', async () => {
    const { world, store, mend } = await worldWith(['bad'])
    const first = world.supervise({ store, restart: { attempts: 1 } })
    await world.send(['bad', add(3)])
    await first.supervisor.caughtUp()
    await first.supervisor.close()
    mend()
    const second = world.supervise({ store })
    await world.send(['bad', add(4)])
    await second.supervisor.caughtUp()
    expect(await codes(world)).toEqual(['2 RUN_PARKED', '3 RUN_PARKED'])
    expect(second.happened.some(({ type }) => type === 'parked')).toBe(false)
    expect(second.supervisor.status().parked).toHaveLength(1)
    // Somebody unparks it, while its owner has it at hand.
    const { run } = await world.head('bad')
    await store.deliver([{ receiver: run, sender: 'f'.repeat(40), seq: 1, index: 0, event: add(5) }])
    await second.supervisor.caughtUp()
    expect(await world.added('bad')).toEqual([1, 2])
    expect(await unparkRun(store, run)).toMatchObject({ code: 'RUN_DAMAGED' })
    expect(await unparkRun(store, run)).toBe(null)
    await settled()
    expect(await world.added('bad')).toEqual([1, 2, 5])
    await world.send(['bad', add(6)])
    await second.supervisor.caughtUp()
    expect(await world.added('bad')).toEqual([1, 2, 5, 6])
    expect(second.supervisor.status().parked).toEqual([])
  })

  test('unparked by another process, it is looked after without a record', async () => {
    const { world, store, mend } = await worldWith(['bad'])
    const { supervisor } = world.supervise({ store: override(store, { shared: true }), restart: { attempts: 1 } })
    await world.send(['bad', add(3)])
    await supervisor.caughtUp()
    await world.environment.advance(10_000)
    expect(supervisor.status().parked).toHaveLength(1)
    mend()
    const { run, seq, revision, lease } = await world.head('bad')
    const under = { ...lease!, epoch: 2 }
    await store.append([
      { run, expected: { seq, revision }, units: [], lease: under, beside: { parked: null }, due: 0 },
    ])
    const mail = { receiver: run, sender: 'f'.repeat(40), seq: 1, index: 0, event: add(4) }
    await store.deliver([mail])
    await world.environment.advance(10_000)
    expect(await world.added('bad')).toEqual([1, 2, 4])
    expect(supervisor.status().parked).toEqual([])
  })

  test('nobody opens it either, until it is unparked: its mail and timers wait; a fork of it is another run', async () => {
    const { world, store, mend } = await worldWith(['bad'])
    const apart = otherProcess(world.store)
    const { run } = await world.head('bad')
    const open = () => openRunIn(world.environment, counter, { store: apart, id: run })
    const early = await open()
    const { supervisor } = world.supervise({ store, restart: { attempts: 1 } })
    await world.send(['bad', add(3)])
    await supervisor.caughtUp()
    await supervisor.close()
    await apart.deliver([{ receiver: run, sender: 'f'.repeat(40), seq: 1, index: 0, event: add(4) }])
    mend()
    const refusal = { code: 'RUN_PARKED', message: expect.stringContaining('unpark'), details: { run } }
    // Who had it open learns so with the next append.
    await expect(early.apply(add(5))).rejects.toMatchObject(refusal)
    await early.close()
    await expect(open()).rejects.toMatchObject(refusal)
    expect(await world.head('bad')).toMatchObject({ seq: 2, due: null, beside: { waiting: 1 } })
    const fork = await forkRun({ store: apart, id: run, machine: counter }, { at: 1 })
    expect(fork.getSnapshot().context.count).toBe(1)
    await fork.close()
    await unparkRun(apart, run)
    await (await open()).close()
    expect(await world.added('bad')).toEqual([1, 2, 4])
  })

  test('a held one stays held when it is unparked: nobody looks after it', async () => {
    const { world } = await worldWith(['good'])
    const { run, seq, revision } = await world.head('good')
    const parked = { at: 1, code: 'RUN_DAMAGED', message: 'x' }
    await world.store.append([
      { run, expected: { seq, revision }, units: [], beside: { parked, held: true }, due: null },
    ])
    await unparkRun(world.store, run)
    expect(await world.head('good')).toMatchObject({ due: null, beside: { parked: null, held: true } })
    await expect(unparkRun(world.store, 'f'.repeat(40))).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
  })

  test('a redelivered record of it is a duplicate', async () => {
    const { world, store } = await worldWith(['bad'])
    const { supervisor } = world.supervise({ store, restart: { attempts: 1 } })
    await world.send(['bad', add(3)])
    await supervisor.caughtUp()
    world.broker.faults.redeliver({ topic: 't' }).assertFired()
    await settled()
    expect(supervisor.status().duplicates).toBe(1)
    expect(await codes(world)).toEqual(['2 RUN_PARKED'])
  })

  test('without dead letters, it stops its lease', async () => {
    const { world, store } = await worldWith(['bad'])
    const { event } = world.supervise({ store, refuses: false, restart: { attempts: 1 } })
    await world.send(['bad', add(3)], ['bad', add(4)])
    expect((await event('stopped')).error.details).toMatchObject({ offset: 2, code: 'RUN_PARKED' })
    expect(await world.head('bad')).toMatchObject({ beside: { refusals: [], sources: { 'cluster/t/0': 1 } } })
    expect(await world.committed()).toEqual([2])
  })

  test('more of them than `maxParked` stop the lease', async () => {
    const { world, store } = await worldWith(['bad1', 'bad2', 'bad3', 'good'])
    const { supervisor, event } = world.supervise({ store, restart: { attempts: 1, maxParked: 2 } })
    await world.send(['bad1', add(3)], ['bad2', add(3)])
    await supervisor.caughtUp()
    await world.send(['good', add(3)])
    await supervisor.caughtUp()
    await world.send(['bad3', add(3)])
    expect((await event('stopped')).error).toMatchObject({
      details: { code: 'RUN_PARKED' },
      message: expect.stringContaining('maxParked'),
    })
    await expect(supervisor.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' })
  })

  test('a store that fails while it is parked only delays that', async () => {
    const { world, store } = await worldWith(['bad'])
    const faulty = faultyStore(store)
    const { supervisor } = world.supervise({ store: faulty, restart: { attempts: 1 } })
    faulty.faults.plan('append.before', { times: 2 })
    await world.send(['bad', add(3)])
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    faulty.faults.assertAllFired()
    expect(await codes(world)).toEqual(['2 RUN_PARKED'])
  })
})

describe('a run that cannot be decided, for a reason that is not the event’s', () => {
  const broken = (isBroken: () => boolean) =>
    defineMachine(counter, {
      errors: () => {
        if (isBroken()) throw new Error('the policy itself is broken')
        return 'reject'
      },
    })

  test('is restarted, and goes on when that helped', async () => {
    let left = 2
    const world = new World()
    const { supervisor, happened } = world.supervise({ machine: broken(() => left-- > 0) })
    await world.send(['a', add(1)], ['a', { type: 'THROW' }], ['a', add(2)], ['b', add(3)])
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1, 2])
    expect(await world.added('b')).toEqual([3])
    expect(await codes(world)).toEqual(['1 STEP_FAILED'])
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'restarted', 'restarted', 'dead-lettered'])
  })

  test('is parked when it did not, with all that waits behind', async () => {
    const world = new World()
    const { supervisor } = world.supervise({ machine: broken(() => true) })
    await world.send(['a', add(1)], ['a', { type: 'THROW' }], ['a', add(2)], ['b', add(3)])
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    expect(await world.added('a')).toEqual([1])
    expect(await world.added('b')).toEqual([3])
    expect(await codes(world)).toEqual(['1 RUN_PARKED', '2 RUN_PARKED'])
    expect((await world.head('a')).beside.parked).toMatchObject({ code: 'STEP_FAILED' })
  })
})

describe('a run that cannot be made', () => {
  const picky = setup({ types: {} as { input: { fine: boolean }; context: { fine: boolean } } }).createMachine({
    id: 'picky',
    context: ({ input }) => {
      if (!input.fine) throw new Error('not fine')
      return { fine: true }
    },
    on: { ADD: {} },
  })
  const input = (record: { readonly offset: number }) => ({ fine: record.offset % 2 === 1 }) as never

  test('has nothing to park: the record that would have made it is refused, the next one may make it', async () => {
    const world = new World()
    const { supervisor, happened } = world.supervise({ machine: picky, input, restart: { attempts: 2 } })
    await world.send(['a', add(1)], ['a', add(2)], ['a', add(3)])
    await world.environment.advance(1000)
    await supervisor.caughtUp()
    expect(await codes(world)).toEqual(['0 STEP_FAILED'])
    expect(await world.added('a')).toEqual([2, 3])
    expect(happened.map(({ type }) => type)).toEqual(['claimed', 'restarted', 'dead-lettered'])
    expect(supervisor.status().parked).toEqual([])
  })

  test('too many of them stop the lease as well', async () => {
    const world = new World()
    const { event } = world.supervise({
      machine: picky,
      input: () => ({ fine: false }) as never,
      restart: { attempts: 1, maxParked: 2 },
    })
    await world.send(['a', add(1)], ['b', add(1)], ['c', add(1)], ['d', add(1)])
    expect((await event('stopped')).error.message).toContain('not fine')
    expect((await world.topic('d')).length).toBeLessThanOrEqual(3)
  })
})

test.each(['readable', 'unreadable'])('a parked run still sends what it owes, where that is %s', async history => {
  const world = new World()
  world.broker.faults.failSends({ topic: 'r', times: 1 })
  // Its time stands still: it never tries again.
  const first = world.supervise({ sends: true, environment: new VirtualEnvironment() })
  await world.send(['bad', add(1)], ['bad', add(2)])
  await settled()
  world.broker.faults.pause(first.consumer).expire()
  const { run } = await world.head('bad')
  let reads = 0
  const store = damaged(world.store, id => id === run && (history === 'unreadable' || reads++ === 0))
  const { supervisor, event } = world.supervise({ store, sends: true, restart: { attempts: 1 } })
  await event('parked')
  await world.environment.advance(1000)
  await world.send(['good', add(1)])
  await supervisor.caughtUp()
  const sent = (await world.topic('r')).map(record => headersOf(record)['xmachines-id'])
  const good = `${(await world.head('good')).run}/1/0`
  const { due, beside } = await world.head('bad')
  if (history === 'readable') {
    expect(sent).toEqual([`${run}/1/0`, `${run}/2/0`, good])
    expect([due, beside.outbox]).toEqual([null, []])
  } else {
    expect(sent).toEqual([good])
    expect([due, beside.outbox]).toEqual([0, [1, 2]])
  }
})
