import { equal, rejects } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, showsHistory, TestRun, testUnit } from './test-run.ts'

/** Forks: a shared beginning that is not copied, and a history of their own after it. */
export const forkChecks: readonly StoreCheck[] = [
  on('fork: its history begins with the shared units, which tell their own run', async store => {
    const origin = await new TestRun('sha1', { key: 'a' }).create(store, {}, 9)
    const fork = new TestRun('sha1', { key: 'b', fork: { of: origin, at: 4 } })
    const creates = fork.creates({ beside: { held: true }, value: 'red' })
    equal(await store.append([creates]), [{ status: 'appended', seq: 4, revision: 1 }], 'the outcome')
    fork.seq = 4
    fork.revision = 1
    equal((await collect(store.read(fork.id))).length, 5, 'how many units it has before it goes on')
    await fork.goOn(store, 3)
    await showsHistory(store, fork)
    const units = await collect(store.read(fork.id))
    const runs = [...Array(5).fill(origin.id), ...Array(3).fill(fork.id)]
    equal(
      units.map(unit => unit.run),
      runs,
      'the runs of its units',
    )
    equal(
      units.map(unit => unit.creation !== undefined),
      [true, ...Array(7).fill(false)],
      'which units are creations',
    )
  }),

  on('fork: its head tells its creation, its own key and that it is held', async store => {
    const origin = await new TestRun('sha1', { key: 'a' }).create(store, { due: 4, beside: { outbox: [0] } }, 9)
    equal('fork' in (await store.head(origin.id))!, false, 'whether the head of another run tells a fork')
    const fork = await new TestRun('sha1', { key: 'b', fork: { of: origin, at: 4 } }).create(store, {
      beside: { held: true },
    })
    const head = await store.head(fork.id)
    equal(head?.fork, fork.beginning, 'the creation')
    equal([head?.seq, head?.revision, head?.key, head?.at], [4, 1, 'b', 1004], 'seq, revision, key and time')
    equal([head?.beside.held, head?.beside.outbox, head?.due], [true, [], null], 'held, outbox and due')
    equal(await store.find('tests', 'b'), fork.id, 'the run of its key')
  }),

  on('fork: ranges may lie on either side, or cross', async store => {
    const origin = await new TestRun('sha1').create(store, {}, 9)
    const fork = await new TestRun('sha1', { fork: { of: origin, at: 4 } }).create(store, {}, 5)
    for (const range of [
      { from: 2, to: 3 },
      { from: 4, to: 4 },
      { from: 3, to: 7 },
      { from: 5 },
      { from: 7 },
      { to: 4 },
    ]) {
      await showsHistory(store, fork, range)
    }
  }),

  on('fork: neither sees what the other does later', async store => {
    const origin = await new TestRun('sha1').create(store, {}, 4)
    const fork = await new TestRun('sha1', { fork: { of: origin, at: 4 } }).create(store)
    await origin.goOn(store, [testUnit(5, { events: [{ type: 'ORIGIN' }] })], { value: 'origin', due: 3 })
    await fork.goOn(store, [testUnit(5, { events: [{ type: 'FORK' }] })], { value: 'fork' })
    await showsHistory(store, origin)
    await showsHistory(store, fork)
    const heads = [await store.head(origin.id), await store.head(fork.id)]
    equal(
      heads.map(head => [head?.value, head?.due]),
      [
        ['origin', 3],
        ['fork', null],
      ],
      'value and due of both',
    )
  }),

  on('fork: of a fork, before and after the place where that one began', async store => {
    const origin = await new TestRun('sha1').create(store, {}, 9)
    const fork = await new TestRun('sha1', { fork: { of: origin, at: 4 } }).create(store, {}, 6)
    for (const at of [2, 4, 7]) {
      const second = await new TestRun('sha1', { fork: { of: fork, at } }).create(store, {}, 2)
      await showsHistory(store, second)
      await showsHistory(store, second, { from: at, to: at + 1 })
      const third = await new TestRun('sha1', { fork: { of: second, at: at + 1 } }).create(store, {}, 1)
      await showsHistory(store, third)
    }
  }),

  on('fork: at 0 and at the head', async store => {
    const origin = await new TestRun('sha1').create(store, {}, 3)
    for (const at of [0, 3]) {
      const fork = await new TestRun('sha1', { fork: { of: origin, at } }).create(store)
      await showsHistory(store, fork)
      await fork.goOn(store)
      await showsHistory(store, fork)
    }
  }),

  on('fork: a long shared history is read through', async store => {
    const origin = await new TestRun('sha1').create(store, {}, 900)
    const fork = await new TestRun('sha1', { fork: { of: origin, at: 700 } }).create(store, {}, 600)
    await showsHistory(store, fork)
  }),

  on('fork: of a run that is not there, or beyond its head, is a TypeError', async store => {
    const ghost = new TestRun('sha1')
    ghost.follow(ghost.creates(), { status: 'appended', seq: 0, revision: 1 })
    const ofNothing = new TestRun('sha1', { fork: { of: ghost, at: 0 } })
    await rejects(store.append([ofNothing.creates()]), 'misuse', 'a fork of nothing')
    const origin = await new TestRun('sha1').create(store)
    const next = origin.goesOn()
    origin.follow(next, { status: 'appended', seq: 1, revision: 2 })
    const beyond = new TestRun('sha1', { fork: { of: origin, at: 1 } })
    await rejects(store.append([beyond.creates()]), 'misuse', 'a fork beyond the head')
    equal(
      (await collect(store.list())).map(head => head.run),
      [origin.id],
      'the runs',
    )
  }),
]
