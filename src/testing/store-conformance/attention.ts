import type { DueQuery, Store } from '../../actors/contracts/store.ts'
import { equal, rejects } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { type ItemRest, TestRun } from './test-run.ts'

const partition = { namespace: 'tests', partition: 1 }

async function dueAt(store: Store, query: Partial<DueQuery> = {}): Promise<(string | number)[][]> {
  const due = await store.due({ before: Number.MAX_SAFE_INTEGER, limit: 100, ...query })
  return due.map(entry => [entry.run, entry.due])
}

/** The attention index: which run needs something, and when. */
export const attentionChecks: readonly StoreCheck[] = [
  on('due: earliest first, up to and including `before`, at most `limit`', async store => {
    const times = [50, 10, 40, 20, 30, 60, -5, 0]
    const runs = await Promise.all(times.map(due => new TestRun('sha1').create(store, { due })))
    const wanted = runs.map((run, index) => [run.id, times[index]!]).sort((a, b) => Number(a[1]) - Number(b[1]))
    equal(await dueAt(store), wanted, 'all that are due')
    equal(await dueAt(store, { before: 30 }), wanted.slice(0, 5), 'those due at 30')
    equal(await dueAt(store, { before: 29 }), wanted.slice(0, 4), 'those due at 29')
    equal(await dueAt(store, { limit: 3 }), wanted.slice(0, 3), 'the first three')
    equal(await dueAt(store, { limit: 0 }), [], 'the first none')
    equal(await dueAt(store, { limit: 3 }), wanted.slice(0, 3), 'the first three, asked for again')
    equal(await dueAt(store, { before: -6 }), [], 'those due before all')
  }),

  on('due: a time or a number of runs that is none is a TypeError', async store => {
    await new TestRun('sha1').create(store, { due: 5 })
    for (const query of [{ before: Number.NaN }, { limit: Number.NaN }, { limit: 1.5 }])
      await rejects(dueAt(store, query), 'misuse', `asking for ${JSON.stringify(query)}`)
    equal((await dueAt(store, { before: Number.POSITIVE_INFINITY, limit: Number.POSITIVE_INFINITY })).length, 1, 'all')
  }),

  on('due: a name of a process that no index takes is a TypeError, and nothing is written', async store => {
    const run = await new TestRun('sha1').create(store)
    const process = 'p'.repeat(257)
    await rejects(store.renew(process, 5), 'misuse', 'the renewal')
    await rejects(store.append([run.goesOn(1, { beside: { process } })]), 'misuse', 'the append')
    await store.renew(process.slice(1), 5)
    await run.goOn(store, 1, { beside: { process: process.slice(1) } })
  }),

  on('due: tells run, namespace and time', async store => {
    const run = await new TestRun('sha1', { namespace: 'other' }).create(store, { due: 5 })
    const wanted = [{ run: run.id, namespace: 'other', due: 5 }]
    equal(await store.due({ before: 5, limit: 1 }), wanted, 'the entry')
  }),

  on('due: moves with each item that says it, and goes with null', async store => {
    const run = await new TestRun('sha1').create(store)
    const other = await new TestRun('sha1').create(store, { due: 15 })
    equal(await dueAt(store), [[other.id, 15]], 'those that are due')
    for (const due of [30, 10, 20, 15.5]) {
      await run.goOn(store, 1, { due })
      const wanted = [
        [run.id, due],
        [other.id, 15],
      ].sort((a, b) => Number(a[1]) - Number(b[1]))
      equal(await dueAt(store), wanted, `those that are due, with ${due}`)
    }
    await run.goOn(store)
    equal((await dueAt(store)).length, 2, 'how many are due after an item that says nothing')
    await run.goOn(store, 0, { due: null })
    equal(await dueAt(store), [[other.id, 15]], 'those that are due after null')
  }),

  on('due: an item that is refused moves nothing', async store => {
    const run = await new TestRun('sha1').create(store, { due: 5 })
    await store.append([{ ...run.goesOn(1, { due: 1 }), expected: { seq: 0, revision: 9 } }])
    equal(await dueAt(store), [[run.id, 5]], 'those that are due')
  }),

  on('due: of one partition, or of runs that are pinned to none', async store => {
    const lease = await store.claim({ ...partition, owner: 'p', group: 'g' })
    const free = await new TestRun('sha1').create(store, { due: 1 })
    const pinned = await new TestRun('sha1').create(store, { due: 2 })
    equal((await dueAt(store)).length, 2, 'how many are due before one is pinned')
    await pinned.goOn(store, 1, { lease })
    equal(await dueAt(store), [[free.id, 1]], 'those of no partition')
    equal(
      await store.due({ before: 9, limit: 9, lease: partition }),
      [{ run: pinned.id, namespace: 'tests', due: 2, lease: partition }],
      'those of the partition',
    )
    await pinned.goOn(store, 1, { lease, due: 7 })
    equal(await dueAt(store, { lease: partition }), [[pinned.id, 7]], 'those of the partition after another time')
    equal(await dueAt(store, { lease: { ...partition, partition: 2 } }), [], 'those of another partition')
    await store.release(lease)
    equal(await dueAt(store, { lease: partition }), [[pinned.id, 7]], 'those of the partition after its release')
  }),

  on('due: of one namespace', async store => {
    const names = ['a', 'b', 'a', 'c']
    const runs = await Promise.all(
      names.map((namespace, due) => new TestRun('sha1', { namespace }).create(store, { due })),
    )
    const wanted = runs.map((run, due) => [run.id, due])
    equal(await dueAt(store, { namespace: 'a' }), [wanted[0], wanted[2]], 'those of a')
    equal(await dueAt(store, { namespace: 'a', limit: 1 }), [wanted[0]], 'the first of a')
    equal(await dueAt(store, { namespace: 'none' }), [], 'those of a namespace without runs')
    equal(await dueAt(store), wanted, 'those of all')
  }),

  on('due: of one namespace in a partition of another', async store => {
    const lease = await store.claim({ ...partition, owner: 'p', group: 'g' })
    const [one, two] = [new TestRun('sha1', { namespace: 'a' }), new TestRun('sha1', { namespace: 'b' })]
    await one.create(store, { lease, due: 1 })
    await two.create(store, { lease, due: 2 })
    equal(await dueAt(store, { lease: partition, namespace: 'b', limit: 1 }), [[two.id, 2]], 'those of b')
    await one.goOn(store, 0, { lease, beside: { process: 'gone' } })
    equal(await dueAt(store, { lease: partition, namespace: 'b' }), [[two.id, 2]], 'them when a process of a is gone')
  }),

  on('due: a run whose process was never renewed is due at 0', async store => {
    const run = await new TestRun('sha1').create(store, { beside: { process: 'p' } })
    equal(await dueAt(store, { before: 0 }), [[run.id, 0]], 'those that are due')
  }),

  on('due: a run whose effects are in flight is due when its process ran out', async store => {
    await store.renew('p', 100)
    await store.renew('q', 50)
    const [one, two, soon] = [new TestRun('sha1'), new TestRun('sha1'), new TestRun('sha1')]
    await one.create(store, { beside: { process: 'p' } })
    await two.create(store, { beside: { process: 'q' }, due: 70 })
    await soon.create(store, { beside: { process: 'p' }, due: 20 })
    equal(await dueAt(store, { before: 49 }), [[soon.id, 20]], 'those due at 49')
    equal(
      await dueAt(store, { before: 99 }),
      [
        [soon.id, 20],
        [two.id, 50],
      ],
      'those due at 99',
    )
    equal(
      await dueAt(store, { before: 100 }),
      [
        [soon.id, 20],
        [two.id, 50],
        [one.id, 100],
      ],
      'those due at 100',
    )
    await store.renew('q', 200)
    equal(
      await dueAt(store, { before: 150 }),
      [
        [soon.id, 20],
        [two.id, 70],
        [one.id, 100],
      ],
      'them after q renewed',
    )
    await one.change(store, { process: null })
    await soon.change(store, { process: 'q' })
    equal(
      await dueAt(store, { before: 150 }),
      [
        [soon.id, 20],
        [two.id, 70],
      ],
      'them when p has nothing in flight',
    )
    equal(await dueAt(store, { limit: 1 }), [[soon.id, 20]], 'the first')
  }),

  on('due: of the runs of one process each is told, also when another of them let go', async store => {
    const lease = await store.claim({ ...partition, owner: 'p', group: 'g' })
    await store.renew('p', 10)
    for (const [rest, query] of [
      [{}, {}],
      [{ lease }, { lease: partition }],
    ] as const) {
      const runs: TestRun[] = []
      for (let n = 0; n < 5; n++)
        runs.push(await new TestRun('sha1').create(store, { ...rest, beside: { process: 'p' } }))
      for (const at of [2, 0, 2]) {
        const told = (await dueAt(store, query)).map(entry => entry[0]).sort()
        equal(told, runs.map(run => run.id).sort(), 'those that are due')
        const [gone] = runs.splice(at, 1)
        await gone!.goOn(store, 0, { ...rest, beside: { process: null } })
      }
    }
  }),

  on('due: until when processes live is what they said last', async store => {
    equal(await store.livesUntil([]), [], 'until when none of them lives')
    equal(await store.livesUntil(['p']), [0], 'until when one lives that never said so')
    await store.renew('p', 100)
    await store.renew('ключ 🔑', 50.5)
    equal(await store.livesUntil(['ключ 🔑', 'nobody', 'p', 'p']), [50.5, 0, 100, 100], 'until when they live')
    await store.renew('p', 40)
    equal(await store.livesUntil(['p']), [40], 'until when one lives that took back what it said')
  }),

  on('due: a process counts for the runs of a partition too', async store => {
    const lease = await store.claim({ ...partition, owner: 'p', group: 'g' })
    const run = await new TestRun('sha1').create(store, { beside: { process: 'p' } })
    await run.goOn(store, 0, { lease })
    await store.renew('p', 10)
    equal(await dueAt(store), [], 'those of no partition')
    equal(await dueAt(store, { lease: partition, before: 9 }), [], 'those of the partition before it ran out')
    equal(await dueAt(store, { lease: partition, before: 10 }), [[run.id, 10]], 'those of the partition after')
  }),

  on('due: what one of two runs says with its unit counts, whatever it is', async store => {
    const parked = { at: 1, code: 'BAD', message: 'bad' }
    const sayings: Record<string, [rest: ItemRest, due: number | undefined]> = {
      'a time': [{ due: 5 }, 5],
      'its process': [{ beside: { process: 'p' } }, 0],
      'that it is parked': [{ beside: { parked } }, undefined],
      'that it is held': [{ beside: { held: true } }, undefined],
      'nothing, and has mail': [{}, 0],
    }
    for (const [name, [rest, due]] of Object.entries(sayings)) {
      const [run, other] = [await new TestRun('sha1').create(store), await new TestRun('sha1').create(store)]
      const items = [run.goesOn(1, rest), other.goesOn(1)]
      for (const [at, outcome] of (await store.append(items)).entries()) [run, other][at]!.follow(items[at]!, outcome)
      const isTold = 'due' in rest || rest.beside?.process !== undefined
      const mail = { sender: 'sender', seq: 1, index: 0, receiver: run.id, event: { type: 'HI' } }
      if (!isTold) equal(await store.deliver([mail]), ['taken'], `the mail of one that says ${name}`)
      equal(await dueAt(store), due === undefined ? [] : [[run.id, due]], `those that are due when one says ${name}`)
      const head = (await store.head(run.id))!
      const clears = { ...(due !== undefined && { due: null }), beside: { process: null, taken: head.beside.inbox } }
      run.revision = head.revision
      await run.goOn(store, 0, clears)
    }
  }),

  on('due: a thousand runs, each once and in order, whatever became of them before', async store => {
    const runs = Array.from({ length: 1000 }, () => new TestRun('sha1'))
    const time = (index: number, round: number): number => (index * 7919 + round * 104_729) % 10_007
    const creations = runs.map((run, index) => run.creates({ due: time(index, 0) }))
    const created = await store.append(creations)
    for (const [index, run] of runs.entries()) run.follow(creations[index]!, created[index])
    const items = runs.map((run, index) => run.goesOn(0, { due: index % 3 === 0 ? null : time(index, 1) }))
    await store.append(items)
    const wanted = runs
      .map((run, index): [string, number] => [run.id, time(index, 1)])
      .filter((_, index) => index % 3 !== 0)
      .sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
    const got = await dueAt(store, { limit: 10_000 })
    equal(
      got.map(entry => entry[1]),
      wanted.map(entry => entry[1]),
      'the times',
    )
    equal(got.map(entry => entry[0]).sort(), wanted.map(entry => entry[0]).sort(), 'the runs')
    equal(
      (await dueAt(store, { before: 5000, limit: 10 })).map(entry => entry[1]),
      wanted.slice(0, 10).map(entry => entry[1]),
      'the first ten',
    )
  }),
]
