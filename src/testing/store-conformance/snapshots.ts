import type { StoredSnapshot } from '../../actors/contracts/store.ts'
import { check, equal } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { deepFreeze, TestRun } from './test-run.ts'

function snapshotAt(run: TestRun, seq: number, state: StoredSnapshot['state'] = { n: seq }): StoredSnapshot {
  return deepFreeze({ seq, machine: run.machine.oid, format: 1, state })
}

/** Snapshots: a cache that may lose, and never invents. */
export const snapshotChecks: readonly StoreCheck[] = [
  on('snapshot: there is none until one is saved', async store => {
    const run = await new TestRun('sha1').create(store)
    equal(await store.loadSnapshot(run.id), undefined, 'the snapshot')
    equal(await store.loadSnapshot('f'.repeat(40)), undefined, 'the snapshot of a run that is not there')
  }),

  on('snapshot: the newest is found, and the newest that is kept at or before `atMost`', async (store, bench) => {
    const run = await new TestRun('sha1').create(store, {}, 40)
    for (let seq = 0; seq <= 40; seq += 5) {
      await store.saveSnapshot(run.id, { ...snapshotAt(run, seq), id: `id of ${seq}` })
      if (bench.place.snapshots === false) continue
      const newest = await store.loadSnapshot(run.id)
      equal(newest, { ...snapshotAt(run, seq), id: `id of ${seq}` }, 'the newest snapshot')
      equal(await store.loadSnapshot(run.id, { atMost: seq }), newest, `the snapshot at most ${seq}`)
    }
    for (const atMost of [40, 39, 22, 5, 4, 0]) {
      const found = await store.loadSnapshot(run.id, { atMost })
      if (found === undefined) continue
      check(found.seq <= atMost, `the snapshot at most ${atMost} is not of ${found.seq}`)
      equal(found, { ...snapshotAt(run, found.seq), id: `id of ${found.seq}` }, `the snapshot at most ${atMost}`)
    }
  }),

  on('snapshot: an older one that is saved later does not hide the newest', async (store, bench) => {
    const run = await new TestRun('sha1').create(store, {}, 9)
    for (const seq of [9, 3, 6]) await store.saveSnapshot(run.id, snapshotAt(run, seq))
    if (bench.place.snapshots === false) return
    equal((await store.loadSnapshot(run.id))?.seq, 9, 'the seq of the newest')
  }),

  on('snapshot: one of the same seq replaces the one before', async (store, bench) => {
    const run = await new TestRun('sha1').create(store)
    await store.saveSnapshot(run.id, snapshotAt(run, 0, 'old'))
    await store.saveSnapshot(run.id, { ...snapshotAt(run, 0, 'new'), format: 2 })
    const found = await store.loadSnapshot(run.id)
    if (found === undefined) return check(bench.place.snapshots === false, 'the snapshot is found')
    equal([found.state, found.format], ['new', 2], 'the state and its format')
  }),

  on('snapshot: one of no run, or ahead of its history, is dropped', async store => {
    const run = await new TestRun('sha1').create(store, {}, 2)
    await store.saveSnapshot(run.id, snapshotAt(run, 3))
    equal(await store.loadSnapshot(run.id), undefined, 'the snapshot ahead of the history')
    const absent = new TestRun('sha1')
    await store.saveSnapshot(absent.id, snapshotAt(absent, 0))
    equal(await store.loadSnapshot(absent.id), undefined, 'the snapshot of no run')
    equal(await store.head(absent.id), undefined, 'the head of no run')
  }),

  on('snapshot: is of its own run', async store => {
    const origin = await new TestRun('sha1').create(store, {}, 9)
    const other = await new TestRun('sha1').create(store, {}, 9)
    const fork = await new TestRun('sha1', { fork: { of: origin, at: 4 } }).create(store, {}, 5)
    for (const seq of [3, 9]) await store.saveSnapshot(origin.id, snapshotAt(origin, seq, `of the origin at ${seq}`))
    equal(await store.loadSnapshot(other.id), undefined, 'the snapshot of a run that has none')
    // What a fork shares with its origin it may find there; what came after is not its own.
    for (const atMost of [9, 5]) {
      const shared = (await store.loadSnapshot(fork.id, { atMost }))?.seq ?? 0
      check(shared <= 4, `a fork at 4 finds no snapshot of its origin’s unit ${shared}`)
    }
    await store.saveSnapshot(other.id, snapshotAt(other, 9, 'of the other'))
    await store.saveSnapshot(fork.id, snapshotAt(fork, 9, 'of the fork'))
    for (const [run, state] of [
      [origin, 'of the origin at 9'],
      [other, 'of the other'],
      [fork, 'of the fork'],
    ] as const) {
      const found = await store.loadSnapshot(run.id, { atMost: 9 })
      if (found?.seq === 9) equal(found.state, state, 'the state of each')
    }
  }),

  on('snapshot: saving one is no change of the run', async store => {
    const run = await new TestRun('sha1').create(store, {}, 2)
    const before = await store.head(run.id)
    await store.saveSnapshot(run.id, snapshotAt(run, 2))
    equal(await store.head(run.id), before, 'the head')
    await run.goOn(store)
  }),

  on('snapshot: a large state comes back whole', async store => {
    const run = await new TestRun('sha1').create(store)
    const state = { list: Array.from({ length: 20_000 }, (_, n) => ({ n, text: `ключ 🔑 ${n}` })) }
    await store.saveSnapshot(run.id, snapshotAt(run, 0, state))
    const found = await store.loadSnapshot(run.id)
    if (found !== undefined) equal(found.state, state, 'the state')
  }),
]
