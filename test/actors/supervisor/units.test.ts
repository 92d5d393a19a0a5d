import { describe, expect, test } from 'vitest'
import { defineMachine, openRun, type Store, type UnitNotice } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { journalOf } from '../../../src/actors/run/journal.ts'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { foreman, worker } from '../run/families.ts'
import { counter } from '../run/machines.ts'
import { settled } from './virtual-environment.ts'
import { otherProcess, World } from './world.ts'

const add = (by: number) => ({ type: 'ADD', by })

/** Reads until the stream ends. */
async function rest(units: ReadableStream<UnitNotice>): Promise<readonly UnitNotice[]> {
  const notices: UnitNotice[] = []
  for await (const notice of units) notices.push(notice)
  return notices
}

/** What a store has, as a stream of units would tell it: of each run, in order. */
async function kept(store: Store): Promise<Map<string, readonly number[]>> {
  const seqs = new Map<string, readonly number[]>()
  for await (const { run } of store.list()) {
    const found: number[] = []
    for await (const { seq } of store.read(run)) found.push(seq)
    seqs.set(run, found)
  }
  return seqs
}

function told(notices: readonly UnitNotice[]): Map<string, readonly number[]> {
  const seqs = new Map<string, readonly number[]>()
  for (const notice of notices) {
    if (notice.type === 'lost') throw new Error(`Units were lost of ${notice.run ?? 'any run'}.`)
    seqs.set(notice.run, [...(seqs.get(notice.run) ?? []), notice.unit.seq])
  }
  return seqs
}

describe('the units of a supervisor', () => {
  test('are told once each, in the order of their run, creations and refused first records included', async () => {
    const world = new World({ partitions: 3 })
    const { supervisor } = world.supervise()
    const units = supervisor.units()
    await world.send(...Array.from({ length: 60 }, (_, i) => [`k${i % 7}`, add(i)] as const), [
      'bad',
      { type: 'THROW' },
    ])
    await supervisor.caughtUp()
    await supervisor.close()
    const notices = await rest(units)
    expect(told(notices)).toEqual(await kept(world.store))
    expect(notices.find(({ run }) => run !== undefined)).toMatchObject({
      type: 'unit',
      namespace: 't',
      unit: { seq: 0 },
    })
    const { run } = await world.head('k3')
    const [creation, first] = notices.filter(notice => notice.run === run)
    expect(creation).toMatchObject({ namespace: 't', key: 'k3', unit: { creation: { key: 'k3' } } })
    expect(first).toMatchObject({ key: 'k3', unit: { seq: 1, events: [add(3)] } })
    expect(Object.isFrozen(first) && Object.isFrozen((first as { unit: object }).unit)).toBe(true)
  })

  test('are there before whoever waits for them goes on', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    const reader = supervisor.units().getReader()
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    expect([await reader.read(), await reader.read()]).toMatchObject([
      { value: { unit: { seq: 0 } } },
      { value: { unit: { seq: 1 } } },
    ])
    await reader.cancel()
  })

  test('are those of child runs and of migrations, too', async () => {
    const world = new World()
    const older = world.supervise({ machine: [foreman, worker] as never })
    const first = older.supervisor.units()
    await world.send(['f', { type: 'HIRE', keys: ['w-1', 'w-2'], amount: 1 }])
    await older.supervisor.caughtUp()
    await settled()
    await world.environment.advance(1000)
    await older.supervisor.close()
    const notices = await rest(first)
    expect(told(notices)).toEqual(await kept(world.store))
    expect(notices.map(notice => notice.type === 'unit' && notice.namespace)).toContain('worker')
    const before = await world.head('f')
    const newer = defineMachine(foreman, { version: '2', migrations: [{ from: foreman }] })
    const { supervisor } = world.supervise({ machine: [newer, worker] as never, store: otherProcess(world.store) })
    const second = supervisor.units()
    await world.send(['f', { type: 'END' }])
    await supervisor.caughtUp()
    await supervisor.close()
    const after = told(await rest(second)).get(before.run)
    expect(after).toEqual([before.seq + 1, before.seq + 2])
  })

  test('hold nobody up, and are told as lost to who reads too late; from then on they come again', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    const slow = supervisor.units({ buffer: 4 })
    const other = supervisor.units()
    await world.send(...Array.from({ length: 50 }, (_, i) => ['a', add(i)] as const))
    await supervisor.caughtUp()
    const reader = slow.getReader()
    const late: UnitNotice[] = []
    const read = async (): Promise<void> => {
      late.push((await reader.read()).value!)
    }
    do await read()
    while (late.at(-1)?.type !== 'unit' || (late.at(-1) as { unit: { seq: number } }).unit.seq < 50)
    expect(late[0]).toEqual({ type: 'lost', run: undefined })
    expect(late.length).toBeLessThanOrEqual(4)
    await world.send(['a', add(50)])
    await read()
    expect(late.at(-1)).toMatchObject({ type: 'unit', unit: { seq: 51 } })
    await supervisor.close()
    expect(await reader.read()).toEqual({ done: true, value: undefined })
    expect(told(await rest(other))).toEqual(await kept(world.store))
  })

  test('are not looked for once nobody reads', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    const { feed } = journalOf(world.store)
    expect(feed.isRead).toBe(false)
    const cancelled = supervisor.units()
    const left = supervisor.units()
    const stop = new AbortController()
    const aborted = rest(supervisor.units({ signal: stop.signal }))
    expect(feed.isRead).toBe(true)
    await cancelled.cancel()
    await world.send(['a', add(1)])
    for await (const { type } of left) if (type === 'unit') break
    stop.abort(new Error('enough'))
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
    expect(feed.isRead).toBe(false)
    await expect(rest(supervisor.units({ signal: stop.signal }))).rejects.toMatchObject({ code: 'ABORTED' })
    expect(() => supervisor.units({ buffer: 0 })).toThrow(TypeError)
    await supervisor.close()
    expect(await rest(supervisor.units())).toEqual([])
    expect(feed.isRead).toBe(false)
  })

  test('are told as lost where the store does not say whether it has them', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor } = world.supervise()
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const units = supervisor.units()
    const { run } = await world.head('a')
    store.faults.plan('append.after')
    await world.send(['a', add(2)])
    const caughtUp = supervisor.caughtUp()
    await world.environment.advance(1000)
    await caughtUp
    await world.send(['a', add(3)])
    await supervisor.caughtUp()
    await supervisor.close()
    store.faults.assertAllFired()
    // Once when it failed, once when the run was loaded again: it might have become durable between the two.
    expect(await rest(units)).toMatchObject([
      { type: 'lost', run },
      { type: 'lost', run },
      { type: 'unit', run, unit: { seq: 3 } },
    ])
  })

  test('are told as lost where the answer comes after their run is over, and the stream waits for it', async () => {
    const store = faultyStore(memoryStore())
    const world = new World({ store })
    const { supervisor, event } = world.supervise({ drain: 2000 })
    await world.send(['a', add(1)])
    await supervisor.caughtUp()
    const notices = rest(supervisor.units())
    const held = store.faults.plan('append.late')
    await world.send(['a', add(2)])
    await held.met
    const closed = supervisor.close()
    await world.environment.advance(2000)
    await event('released')
    await closed
    const { run } = await world.head('a')
    held.release()
    expect(await notices).toEqual([{ type: 'lost', run }])
  })

  test('of other processes are not told, but as lost where a run that is in memory here meets them', async () => {
    const world = new World()
    const { supervisor } = world.supervise()
    const units = supervisor.units()
    const ours = await openRun(counter, { store: world.store, key: 'x' })
    const theirs = await openRun(counter, { store: otherProcess(world.store), key: 'x' })
    await theirs.apply({ type: 'ADD', by: 1 })
    await ours.apply({ type: 'ADD', by: 2 })
    await Promise.all([ours.close(), theirs.close()])
    await supervisor.close()
    expect(await rest(units)).toMatchObject([
      { type: 'unit', key: 'x', unit: { seq: 0 } },
      { type: 'lost', run: ours.id },
      { type: 'unit', key: 'x', unit: { seq: 2 } },
    ])
  })
})
