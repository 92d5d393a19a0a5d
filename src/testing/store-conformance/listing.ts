import type { Store } from '../../actors/contracts/store.ts'
import { check, equal } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, deepFreeze, TestRun } from './test-run.ts'

async function makeRuns(store: Store, count: number, namespaces = ['a', 'b']): Promise<TestRun[]> {
  const runs = Array.from(
    { length: count },
    (_, index) => new TestRun('sha1', { namespace: namespaces[index % namespaces.length]!, key: `${index}` }),
  )
  const outcomes = await store.append(runs.map(run => run.creates({ value: run.creation.key! })))
  for (const [index, run] of runs.entries()) run.follow(run.creates(), outcomes[index])
  return runs.sort((one, other) => (one.id < other.id ? -1 : 1))
}

/** Listing runs. */
export const listingChecks: readonly StoreCheck[] = [
  on('list: every run, in the order of ids, with its head', async store => {
    equal(await collect(store.list()), [], 'the list of an empty store')
    const runs = await makeRuns(store, 700)
    const heads = await collect(store.list())
    equal(
      heads.map(head => head.run),
      runs.map(run => run.id),
      'the runs',
    )
    equal(
      heads.map(head => head.value),
      runs.map(run => run.creation.key),
      'their values',
    )
    equal(heads[350], await store.head(runs[350]!.id), 'a head')
  }),

  on('list: its heads are those that are asked for one by one, whatever is kept of the runs', async store => {
    const lease = await store.claim({ namespace: 'a', partition: 1, owner: 'p', group: 'g' })
    const pinned = await new TestRun('sha1', { key: 'pinned' }).create(store, { lease, due: 5 }, 3)
    await pinned.goOn(store, 1, { lease, beside: { sources: [{ id: 's', position: 7n }], mailing: [1], outbox: [2] } })
    await new TestRun('sha1', { fork: { of: pinned, at: 2 } }).create(store, { beside: { held: true } })
    const parked = deepFreeze({ at: 1, code: 'RUN_DAMAGED', message: 'x' })
    await new TestRun('sha1').create(store, {
      beside: { parked, attempts: { a: 1 }, process: 'p', owners: { a: 'q' } },
    })
    await new TestRun('sha1', { time: 'source' }).create(store, { status: 'error', value: null })
    const mail = deepFreeze({ receiver: pinned.id, sender: pinned.id, seq: 1, index: 0, event: { type: 'E' } })
    await store.deliver([mail])
    const heads = await collect(store.list())
    equal(heads.length, 4, 'how many are listed')
    for (const head of heads) equal(head, await store.head(head.run), 'a head that is listed')
  }),

  on('list: by prefix, after an id, by namespace, and by all of them', async store => {
    const runs = await makeRuns(store, 300)
    const ids = runs.map(run => run.id)
    const [middle, prefix] = [ids[150]!, ids[150]!.slice(0, 1)]
    const absent = `${middle.slice(0, -1)}!`
    const listed = async (options: Parameters<Store['list']>[0]): Promise<string[]> =>
      (await collect(store.list(options))).map(head => head.run)
    equal(
      await listed({ prefix }),
      ids.filter(id => id.startsWith(prefix)),
      'those with a prefix',
    )
    equal(await listed({ prefix: middle }), [middle], 'those with a whole id as prefix')
    equal(await listed({ prefix: 'x' }), [], 'those with a prefix that none has')
    equal(await listed({ after: middle }), ids.slice(151), 'those after an id')
    equal(
      await listed({ after: absent }),
      ids.filter(id => id > absent),
      'those after an id that is not there',
    )
    equal(await listed({ after: ids.at(-1)! }), [], 'those after the last')
    const inA = runs.filter(run => run.creation.namespace === 'a').map(run => run.id)
    equal(await listed({ namespace: 'a' }), inA, 'those of a namespace')
    equal(await listed({ namespace: 'c' }), [], 'those of a namespace without runs')
    const all = inA.filter(id => id > middle && id.startsWith(prefix))
    equal(await listed({ namespace: 'a', prefix, after: middle }), all, 'those that fit all three')
    const beforePrefix = ids.filter(id => id.startsWith(prefix))
    equal(await listed({ prefix, after: '' }), beforePrefix, 'those with a prefix after what comes before it')
  }),

  on('list: while runs are created, those that were there are listed, in order and once', async store => {
    const before = await makeRuns(store, 400)
    const reader = store.list().getReader()
    const listed: string[] = []
    for (let step = 0; ; step++) {
      const { done, value } = await reader.read()
      if (done) break
      listed.push(value.run)
      if (step % 100 === 0) await new TestRun('sha1').create(store)
    }
    check(
      before.every(run => listed.includes(run.id)),
      'every run that was there is listed',
    )
    equal([...new Set(listed)].sort(), listed, 'the list')
  }),

  on('list: cancelling stops it', async store => {
    await makeRuns(store, 20)
    const reader = store.list().getReader()
    await reader.read()
    await reader.cancel()
    equal((await reader.read()).done, true, 'whether a cancelled list is done')
    equal((await collect(store.list())).length, 20, 'how many runs there are')
  }),
]
