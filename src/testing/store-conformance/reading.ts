import { batchesOf } from '../../actors/batch-stream.ts'
import type { Unit } from '../../actors/contracts/unit.ts'
import { check, equal, rejects } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, shown, showsHistory, TestRun, testUnit } from './test-run.ts'

/** The most that a batch of a read may hold: memory must not grow with the history. */
const boundedBatch = 10_000

/** Reading histories: ranges, ids, prefixes, bounded memory. */
export const readingChecks: readonly StoreCheck[] = [
  on('read: `from` and `to` are inclusive, and need not lie within the history', async store => {
    const run = await new TestRun('sha1').create(store, {}, 9)
    for (const range of [{}, { from: 0 }, { to: 9 }, { from: 3 }, { to: 3 }, { from: 2, to: 5 }, { from: 4, to: 4 }]) {
      await showsHistory(store, run, range)
    }
    await showsHistory(store, run, { from: 8, to: 50 })
    await showsHistory(store, run, { from: 10 })
    await showsHistory(store, run, { from: 50 })
    equal(await collect(store.read(run.id, { from: 5, to: 4 })), [], 'a range that ends before it begins')
  }),

  on('read: a range that names no units is a TypeError', async store => {
    const run = await new TestRun('sha1').create(store, {}, 3)
    for (const range of [{ from: Number.NaN }, { from: 1.5 }, { to: Number.NaN }, { to: 2.5 }])
      await rejects(collect(store.read(run.id, range)), 'misuse', `reading ${JSON.stringify(range)}`)
    await showsHistory(store, run, { to: Number.POSITIVE_INFINITY })
  }),

  on('head: of how much mail is no number is a TypeError', async store => {
    const run = await new TestRun('sha1').create(store)
    for (const mail of [Number.NaN, 1.5, -1, 1e21])
      await rejects(store.head(run.id, { mail }), 'misuse', `a head with ${mail} of the mail`)
    equal((await store.head(run.id, { mail: Number.POSITIVE_INFINITY }))?.seq, 0, 'the head with all of it')
  }),

  on('read: a run that the store has not got errors with RUN_UNKNOWN', async store => {
    await new TestRun('sha1').create(store)
    await rejects(collect(store.read('f'.repeat(40))), 'RUN_UNKNOWN', 'reading it')
    await rejects(store.read('').getReader().read(), 'RUN_UNKNOWN', 'reading no name')
  }),

  on('read: gives the same whether iterated, read one by one, or taken in batches', async store => {
    const run = await new TestRun('sha1').create(store, {}, 700)
    const wanted = run.history()
    const reader = store.read(run.id).getReader()
    const read: Unit[] = []
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      read.push(value)
    }
    equal(read.map(shown), wanted, 'the units one by one')
    const batches: Unit[] = []
    for await (const batch of batchesOf(store.read(run.id))) batches.push(...batch)
    equal(batches.map(shown), wanted, 'the units in batches')
    await showsHistory(store, run)
  }),

  on('read: while others append, it shows a prefix that has at least what was there at the call', async store => {
    const run = await new TestRun('sha1').create(store, {}, 400)
    const head = run.seq
    const reader = store.read(run.id).getReader()
    const units: Unit[] = []
    for (let step = 0; ; step++) {
      const { done, value } = await reader.read()
      if (done) break
      units.push(value)
      if (step % 50 === 0) await run.goOn(store, 30)
    }
    check(units.length > head, `the ${head + 1} units that were there are read, not only ${units.length}`)
    equal(units.map(shown), run.history().slice(0, units.length), 'the units')
  }),

  on('read: several readers of one run do not disturb each other', async store => {
    const run = await new TestRun('sha1').create(store, {}, 300)
    await Promise.all([
      showsHistory(store, run),
      showsHistory(store, run, { from: 100 }),
      showsHistory(store, run, { to: 100 }),
    ])
  }),

  on('read: a range may begin and end anywhere in a long history', async store => {
    const run = await new TestRun('sha1').create(store, {}, 1100)
    // About the sizes that pages and batches like to have.
    for (const edge of [255, 256, 257, 511, 512, 1000, 1023, 1024])
      for (const range of [{ to: edge }, { from: edge, to: edge }, { from: edge - 1, to: edge + 1 }])
        await showsHistory(store, run, range)
  }),

  on('read: cancelling stops it, and leaves the store as it was', async store => {
    const run = await new TestRun('sha1').create(store, {}, 600)
    const reader = store.read(run.id).getReader()
    equal((await reader.read()).value?.seq, 0, 'the first seq')
    await reader.cancel('enough')
    equal((await reader.read()).done, true, 'whether a cancelled read is done')
    for await (const unit of store.read(run.id)) if (unit.seq === 300) break
    const never = store.read(run.id)
    await never.cancel()
    await run.goOn(store)
    await showsHistory(store, run)
  }),

  on('read: ids are those of the chain from scratch, in whatever order they are asked for', async store => {
    const run = await new TestRun('sha1', { key: 'a', input: { n: 1 } }).create(store, {}, 20)
    const wanted = run.history().map(unit => unit.id)
    equal(wanted[0], run.id, 'the id of unit 0')
    const units = await collect(store.read(run.id))
    for (const seq of [20, 3, 11, 0, 4, 20]) equal(units[seq]?.id, wanted[seq], `the id of unit ${seq}`)
    const tail = await collect(store.read(run.id, { from: 15 }))
    equal(
      tail.map(unit => unit.id),
      wanted.slice(15),
      'the ids of the tail',
    )
    await run.goOn(store, 5)
    await showsHistory(store, run, { from: 22 })
  }),

  on('read: without ids, everything else is there, and asking for an id throws', async store => {
    const run = await new TestRun('sha1').create(store, {}, 20)
    const units = await collect(store.read(run.id, { from: 10, ids: false }))
    equal(
      units.map(unit => [unit.seq, unit.run, unit.events]),
      run
        .history()
        .slice(10)
        .map(unit => [unit.seq, unit.run, unit.events]),
      'the units',
    )
    const asked = (async () => units[3]!.id)()
    await rejects(asked, 'UNIT_ID_UNKNOWN', 'asking for the id')
  }),

  on('read: 25,000 units come whole, in bounded batches', async store => {
    const run = await new TestRun('sha1').create(store)
    const total = 25_000
    while (run.seq < total) {
      const item = run.goesOn(1000)
      const [outcome] = await store.append([item])
      check(outcome?.status === 'appended', 'a thousand units are appended')
      run.seq = outcome.seq
      run.revision = outcome.revision
    }
    let next = 0
    for await (const batch of batchesOf(store.read(run.id, { ids: false }))) {
      check(batch.length <= boundedBatch, `a batch holds at most ${boundedBatch} units, not ${batch.length}`)
      for (const unit of batch) {
        if (unit.seq !== next) equal(unit.seq, next, 'the seq')
        next++
      }
    }
    equal(next, total + 1, 'how many units were read')
    const tail = await collect(store.read(run.id, { from: total - 2, ids: false }))
    equal(
      tail.map(unit => unit.events),
      [testUnit(total - 2).events, testUnit(total - 1).events, testUnit(total).events],
      'the tail',
    )
  }),
]
