import { describe, expect, test } from 'vitest'
import { createRun, openRun, type Store } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from '../../../src/testing/faulty-store.ts'
import { all, take } from './collect.ts'
import { counter } from './machines.ts'

/** The same store under another identity: what another process has of it. */
function otherProcess(store: Store): Store {
  return new Proxy(store, {
    get: (target, key) =>
      typeof target[key as keyof Store] === 'function'
        ? (target[key as keyof Store] as (...args: unknown[]) => unknown).bind(target)
        : target[key as keyof Store],
  })
}

describe('append before everything else', () => {
  test('nothing of a unit is visible before it is durable', async () => {
    const store = faultyStore(memoryStore())
    const run = await openRun(counter, { store, key: 'a' })
    const out = run.out.getReader()
    const seen: unknown[] = []
    void out.read().then(read => seen.push(read.value?.seq))
    const fault = store.faults.plan('append.delay')
    const applied = run.apply({ type: 'ADD', by: 1 })
    let settled = false
    void applied.then(() => (settled = true))
    await fault.met
    // Decided ahead on top of it, and not visible either.
    const second = run.apply({ type: 'ADD', by: 1 })
    for (let i = 0; i < 20; i++) await Promise.resolve()
    expect(run.getSnapshot().context.count).toBe(0)
    expect(seen).toEqual([])
    expect(settled).toBe(false)
    fault.release()
    expect(await applied).toMatchObject({ ok: true, seq: 1 })
    expect(await second).toMatchObject({ ok: true, seq: 2, snapshot: { context: { count: 2 } } })
    expect(seen).toEqual([1])
    store.faults.assertAllFired()
  })

  test.each([
    ['append.before', 'STORE_UNAVAILABLE', 0],
    ['append.after', 'STORE_OUTCOME_UNKNOWN', 1],
    ['append.torn', 'STORE_OUTCOME_UNKNOWN', 0],
  ] as const)(
    '%s: the handle ends with %s on every port, nothing that is not durable shows, reopening recovers',
    async (point, code, durable) => {
      const memory = memoryStore()
      const store = faultyStore(memory)
      const run = await openRun(counter, { store, key: 'a' })
      const { err, done } = run
      const out = take(run.out, 1)
      store.faults.plan(point)
      const first = run.apply({ type: 'ADD', by: 1 })
      const second = run.apply({ type: 'ADD', by: 10 })
      await expect(first).rejects.toMatchObject({ code, retryable: true })
      await expect(second).rejects.toMatchObject({ code })
      await expect(out).rejects.toMatchObject({ code })
      await expect(done).rejects.toMatchObject({ code })
      expect(await all(err)).toMatchObject([{ fatal: true, error: { code } }])
      expect(run.getSnapshot().context.count).toBe(0)
      await expect(run.apply({ type: 'TELL' })).rejects.toMatchObject({ code })
      const again = await openRun(counter, { store, key: 'a' })
      expect(again.getSnapshot().context.count).toBe(durable === 1 ? 11 : 0)
      expect(await again.apply({ type: 'ADD', by: 1 })).toMatchObject({ ok: true })
      store.faults.assertAllFired()
    },
  )

  test('in errors when the store fails, and only then', async () => {
    const store = faultyStore(memoryStore())
    const writer = (await openRun(counter, { store, key: 'a' })).in.getWriter()
    await writer.write({ type: 'THROW' })
    store.faults.plan('append.before')
    await expect(writer.write({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(writer.write({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  test('a failing creation is told by ready and by apply', async () => {
    const store = faultyStore(memoryStore())
    store.faults.plan('append.before')
    const run = createRun(counter, { store })
    await expect(run.apply({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(run.ready).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })
})

describe('several writers without a lease', () => {
  test('the loser takes over what was first and decides again: exactly one receipt each, one history', async () => {
    const store = memoryStore()
    const here = await openRun(counter, { store, key: 'a' })
    const there = await openRun(counter, { store: otherProcess(store), key: 'a' })
    await here.apply({ type: 'ADD', by: 1 })
    const receipts = await Promise.all([
      there.apply({ type: 'ADD', by: 10 }),
      there.apply({ type: 'ADD', by: 10 }),
      here.apply({ type: 'ADD', by: 100 }),
    ])
    expect(receipts.map(receipt => receipt.ok)).toEqual([true, true, true])
    expect(receipts.map(receipt => receipt.seq).sort()).toEqual([2, 3, 4])
    expect(receipts[0]!.seq).toBeLessThan(receipts[1]!.seq)
    await here.apply([])
    const again = await openRun(counter, { store: otherProcess(store), key: 'a' })
    expect(again.getSnapshot().context.count).toBe(121)
  })

  test('eight processes, interleaved: nothing lost, nothing twice', async () => {
    const store = memoryStore()
    const runs = await Promise.all(
      Array.from({ length: 8 }, () => openRun(counter, { store: otherProcess(store), key: 'a' })),
    )
    const receipts = await Promise.all(
      Array.from({ length: 25 }, (_, i) => i).flatMap(() => runs.map(run => run.apply({ type: 'ADD', by: 1 }))),
    )
    expect(new Set(receipts.map(receipt => receipt.seq)).size).toBe(200)
    const head = (await store.head(runs[0]!.id))!
    expect(head.seq).toBe(200)
    expect((await openRun(counter, { store: otherProcess(store), key: 'a' })).getSnapshot().context.count).toBe(200)
  })

  test('out of a handle shows the units of the others too, in order', async () => {
    const store = memoryStore()
    const here = await openRun(counter, { store, key: 'a' })
    const there = await openRun(counter, { store: otherProcess(store), key: 'a' })
    const { out } = here
    await there.apply({ type: 'ADD', by: 1 })
    await here.apply({ type: 'ADD', by: 1 })
    expect((await take(out, 2)).map(({ seq, event }) => [seq, event])).toEqual([
      [1, { type: 'COUNT', count: 1 }],
      [2, { type: 'COUNT', count: 2 }],
    ])
  })
})

describe('aborting', () => {
  test('an event whose signal fired before it was decided is not applied', async () => {
    const run = createRun(counter)
    const aborter = new AbortController()
    aborter.abort(new Error('never mind'))
    await expect(run.apply({ type: 'ADD', by: 1 }, { signal: aborter.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    expect(await run.apply({ type: 'ADD', by: 1 })).toMatchObject({ seq: 1 })
  })
})

describe('what is decided again after somebody else was first', () => {
  test('a stop that met a newer unit still ends the run', async () => {
    const store = memoryStore()
    const here = await openRun(counter, { store, key: 'a' })
    const there = await openRun(counter, { store: otherProcess(store), key: 'a' })
    await there.apply({ type: 'ADD', by: 1 })
    await here.stop('enough')
    expect(await store.head(here.id)).toMatchObject({ seq: 2, status: 'stopped' })
    expect(here.getSnapshot().context.count).toBe(1)
  })
})

test('a close does not fail with what befalls whoever opens the run anew', async () => {
  const store = faultyStore(memoryStore())
  const run = await openRun(counter, { store, key: 'a' })
  store.faults.plan('append.after')
  await expect(run.apply({ type: 'ADD', by: 1 })).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
  const loading = store.faults.plan('head.delay')
  store.faults.plan('read.before')
  const again = openRun(counter, { store, key: 'a' })
  await loading.met
  const closing = run.close()
  loading.release()
  await expect(again).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await closing
  store.faults.assertAllFired()
})
