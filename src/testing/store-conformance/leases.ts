import type { AppendItem, AppendOutcome, LeaseRow, Store } from '../../actors/contracts/store.ts'
import { check, equal, rejects } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { deepFreeze, showsHistory, TestRun, testMachine, testUnit } from './test-run.ts'

const one = { namespace: 'tests', partition: 1 }
const two = { namespace: 'tests', partition: 2 }

const claim = (store: Store, key = one, owner = 'p'): Promise<LeaseRow> => store.claim({ ...key, owner, group: 'g' })

async function outcomeOf(store: Store, item: AppendItem): Promise<AppendOutcome | undefined> {
  return (await store.append([item]))[0]
}

/** Who may append: claims, epochs, releases, and the partition that a run is pinned to. */
export const leaseChecks: readonly StoreCheck[] = [
  on('lease: a claim raises the epoch of its row by one, from 1, and takes over', async store => {
    equal(await store.lease(one), undefined, 'the row before')
    equal(await claim(store), { ...one, epoch: 1, owner: 'p', group: 'g' }, 'the first claim')
    const second = await store.claim({ ...one, owner: 'q', group: 'h' })
    equal(second, { ...one, epoch: 2, owner: 'q', group: 'h' }, 'the second claim')
    equal(await store.lease(one), second, 'the row')
  }),

  on('lease: a claim for runs of another store is above the epoch that they had there', async store => {
    equal((await store.claim({ ...one, owner: 'p', group: 'g', above: 6 })).epoch, 7, 'the first claim')
    equal((await store.claim({ ...one, owner: 'p', group: 'g', above: 3 })).epoch, 8, 'the claim above an older one')
    equal((await store.lease(one))?.epoch, 8, 'the epoch of the row')
  }),

  on('lease: a partition or an epoch that is no whole number is a TypeError, and nothing is claimed', async store => {
    for (const number of [Number.NaN, 1.5, 1e21]) {
      const key = { namespace: 'tests', partition: number }
      await rejects(claim(store, key), 'misuse', `a claim of partition ${number}`)
      await rejects(store.claim({ ...one, owner: 'p', group: 'g', above: number }), 'misuse', `one above ${number}`)
      await rejects(store.lease(key), 'misuse', `the row of partition ${number}`)
      await rejects(store.release({ ...one, epoch: number }), 'misuse', `the release of epoch ${number}`)
      await rejects(store.due({ before: 9, limit: 9, lease: key }), 'misuse', `what is due in partition ${number}`)
      const item = new TestRun('sha1').creates({ lease: { ...one, epoch: number } })
      await rejects(store.append([item]), 'misuse', `an append under epoch ${number}`)
    }
    equal(await store.lease(one), undefined, 'the row')
  }),

  on('lease: each namespace and partition has a row of its own', async store => {
    await claim(store)
    await claim(store)
    await claim(store, two)
    await claim(store, { namespace: 'tests/1', partition: 1 })
    await claim(store, { namespace: '1/tests', partition: 1 })
    equal((await store.lease(one))?.epoch, 2, 'the epoch of one')
    equal((await store.lease(two))?.epoch, 1, 'the epoch of two')
    equal((await store.lease({ namespace: 'tests/1', partition: 1 }))?.epoch, 1, 'the epoch of a similar name')
    equal(await store.lease({ namespace: 'other', partition: 1 }), undefined, 'the row of another namespace')
    equal(await store.lease({ namespace: 'tests', partition: 11 }), undefined, 'the row of another partition')
  }),

  on('lease: of many claims at once, each has an epoch of its own', async store => {
    const rows = await Promise.all(Array.from({ length: 20 }, (_, owner) => claim(store, one, `p${owner}`)))
    const epochs = rows.map(row => row.epoch).sort((a, b) => a - b)
    equal(
      epochs,
      Array.from({ length: 20 }, (_, index) => index + 1),
      'the epochs',
    )
    const last = rows.find(row => row.epoch === 20)
    equal(await store.lease(one), last, 'the row')
  }),

  on('lease: a release clears the owner, if the epoch is still the row’s, and keeps the epoch', async store => {
    equal(await store.release({ ...one, epoch: 1 }), false, 'a release without a row')
    await claim(store)
    await claim(store, one, 'q')
    equal(await store.release({ ...one, epoch: 1 }), false, 'a release with an old epoch')
    equal((await store.lease(one))?.owner, 'q', 'the owner after it')
    equal(await store.release({ ...one, epoch: 3 }), false, 'a release with an epoch that was never given')
    equal(await store.release({ ...one, epoch: 2 }), true, 'the release')
    equal(await store.lease(one), { ...one, epoch: 2, owner: null, group: null }, 'the row')
    equal((await claim(store)).epoch, 3, 'the epoch of the next claim')
  }),

  on('lease: the first leased append pins the run, for good', async store => {
    await claim(store)
    const run = await new TestRun('sha1').create(store)
    equal((await store.head(run.id))?.lease, undefined, 'the partition of a run without one')
    await run.goOn(store, 1, { lease: { ...one, epoch: 1 } })
    equal((await store.head(run.id))?.lease, one, 'the partition')
    await store.release({ ...one, epoch: 1 })
    await run.goOn(store)
    equal((await store.head(run.id))?.lease, one, 'the partition after an unleased append')
    const created = await new TestRun('sha1').create(store, { lease: { ...(await claim(store, two)) } })
    equal((await store.head(created.id))?.lease, two, 'the partition of a run that was created with a lease')
  }),

  on('lease: units tell the epoch that they were appended under', async store => {
    const run = await new TestRun('sha1').create(store)
    await run.goOn(store, 2, { lease: await claim(store) })
    await run.goOn(store, 1, { lease: await claim(store) })
    await store.release({ ...one, epoch: 2 })
    await run.goOn(store)
    await showsHistory(store, run)
  }),

  on('lease: an epoch that is not the row’s is fenced, also when the head moved', async store => {
    const run = await new TestRun('sha1').create(store)
    const without = run.goesOn(1, { lease: { ...one, epoch: 1 } })
    equal(await outcomeOf(store, without), { status: 'fenced', epoch: 0, owner: null }, 'the outcome without a row')
    const old = await claim(store)
    await run.goOn(store, 1, { lease: old })
    const stale = run.goesOn(1, { lease: old, due: 1, beside: { held: true } })
    const next = await claim(store, one, 'q')
    const fenced = { status: 'fenced', epoch: 2, owner: 'q' }
    equal(await outcomeOf(store, stale), fenced, 'the outcome of the old epoch')
    equal(await outcomeOf(store, run.goesOn(1, { lease: { ...one, epoch: 3 } })), fenced, 'that of a future epoch')
    await run.goOn(store, 1, { lease: next })
    equal(await outcomeOf(store, stale), fenced, 'the outcome of the old epoch when the head moved')
    const head = await store.head(run.id)
    equal([head?.due, head?.beside.held, head?.revision], [null, false, 3], 'due, held and revision')
    await showsHistory(store, run)
  }),

  on('lease: an old epoch is fenced whatever the item holds', async store => {
    const run = await new TestRun('sha1').create(store)
    const old = await claim(store)
    await run.goOn(store, 1, { lease: old })
    const head = await store.head(run.id)
    await claim(store, one, 'q')
    const machine = testMachine('sha1', '2')
    const migration = testUnit(2, { machine: machine.oid, origin: { kind: 'migration', from: run.machine.oid } })
    const record = { topic: 't', partition: 1, offset: '1', timestamp: 1, key: null, value: null, headers: [] }
    const refused = [deepFreeze({ id: 's', position: 1, at: 1, error: { code: 'X', message: 'x' }, record })]
    const stale: Record<string, AppendItem> = {
      nothing: run.goesOn(0),
      'several units': run.goesOn(3),
      'a migration': run.goesOn([migration], { machine }),
      'an end': run.goesOn(1, { status: 'done' }),
      'a refusal': run.goesOn(0, { beside: { refused } }),
      'a position': run.goesOn(0, { beside: { sources: [{ id: 's', position: 1 }] } }),
      'an acknowledgement': run.goesOn(0, { beside: { acknowledged: [{ id: 's', position: 1 }] } }),
      'what results were sent': run.goesOn(0, { beside: { published: { seq: 1, index: 0 } } }),
      'what mail was delivered': run.goesOn(0, { beside: { mailed: { seq: 1, index: 0 } } }),
      attempts: run.goesOn(0, { beside: { attempts: { a: 1 }, process: 'p' } }),
      'that it is parked': run.goesOn(0, { beside: { parked: { at: 1, code: 'X', message: 'x' } } }),
      'a due time': run.goesOn(0, { due: 1 }),
      'a creation': new TestRun('sha1').creates(),
    }
    const items = Object.entries(stale).map(([name, item]) => [name, { ...item, lease: old }] as const)
    const fenced = { status: 'fenced', epoch: 2, owner: 'q' }
    for (const [name, item] of items) equal(await outcomeOf(store, item), fenced, `the outcome of ${name}`)
    const together = await store.append(items.map(([, item]) => item))
    for (const [at, [name]] of items.entries()) equal(together[at], fenced, `the outcome of ${name} among others`)
    equal(await store.head(run.id), head, 'the head')
    equal(await store.machine(machine.oid), undefined, 'the machine of what was fenced')
    await showsHistory(store, run)
  }),

  on('lease: whoever released is fenced too', async store => {
    const run = await new TestRun('sha1').create(store)
    const lease = await claim(store)
    await run.goOn(store, 1, { lease })
    await store.release(lease)
    const outcome = await outcomeOf(store, run.goesOn(1, { lease }))
    equal(outcome, { status: 'fenced', epoch: 1, owner: null }, 'the outcome')
    await showsHistory(store, run)
  }),

  on(
    'lease: an unleased append is refused while the partition has an owner, and taken after the release',
    async store => {
      const run = await new TestRun('sha1').create(store)
      const lease = await claim(store)
      await run.goOn(store, 1, { lease })
      const fenced = { status: 'fenced', epoch: 1, owner: 'p' }
      equal(await outcomeOf(store, run.goesOn()), fenced, 'the outcome while it is owned')
      equal(await outcomeOf(store, run.goesOn(0, { beside: { held: true } })), fenced, 'that of an item without units')
      await store.release(lease)
      await run.goOn(store)
      await claim(store, one, 'q')
      equal((await outcomeOf(store, run.goesOn()))?.status, 'fenced', 'the outcome when it is owned again')
      await showsHistory(store, run)
    },
  ),

  on('lease: a run that is pinned to no partition is nobody’s', async store => {
    const run = await new TestRun('sha1').create(store)
    await claim(store)
    await run.goOn(store)
    await showsHistory(store, run)
  }),

  on('lease: another partition than the run’s is misplaced, wherever the run stands', async store => {
    const run = await new TestRun('sha1').create(store)
    await run.goOn(store, 1, { lease: await claim(store) })
    const misplaced = { status: 'misplaced', partition: one }
    const lease = await claim(store, two)
    equal(await outcomeOf(store, run.goesOn(1, { lease })), misplaced, 'the outcome')
    const behind = { ...run.goesOn(1, { lease }), expected: { seq: run.seq, revision: 1 } }
    equal(await outcomeOf(store, behind), misplaced, 'the outcome of a writer that is behind')
    equal(await outcomeOf(store, run.creates({ lease })), misplaced, 'the outcome of a creation')
    const elsewhere = await claim(store, { namespace: 'other', partition: 1 })
    equal(await outcomeOf(store, run.goesOn(1, { lease: elsewhere })), misplaced, 'that of another namespace')
    await claim(store, two)
    equal((await outcomeOf(store, run.goesOn(1, { lease })))?.status, 'fenced', 'the outcome of an old epoch')
    await showsHistory(store, run)
  }),

  on('lease: a creation of an owned run is a conflict without a lease, and fenced with an old one', async store => {
    const old = await claim(store)
    const run = await new TestRun('sha1', { key: 'a' }).create(store, { lease: old })
    const conflict = { status: 'conflict', seq: 0, revision: 1 }
    equal(await outcomeOf(store, run.creates()), conflict, 'the outcome without a lease')
    equal(await outcomeOf(store, run.creates({ lease: old })), conflict, 'the outcome of the owner')
    const rival = new TestRun('sha1', { key: 'a', input: 1 })
    equal(await outcomeOf(store, rival.creates({ lease: old })), { status: 'pinned', run: run.id }, 'that of a rival')
    await claim(store, one, 'q')
    const fenced = { status: 'fenced', epoch: 2, owner: 'q' }
    equal(await outcomeOf(store, run.creates({ lease: old })), fenced, 'the outcome with an old epoch')
    equal(await outcomeOf(store, rival.creates({ lease: old })), fenced, 'that of a rival with an old epoch')
  }),

  on('lease: a fenced item does not hinder the others of its call', async store => {
    const old = await claim(store)
    const runs = [new TestRun('sha1'), new TestRun('sha1'), new TestRun('sha1')]
    for (const run of runs) await run.create(store)
    const lease = await claim(store)
    const items = [
      runs[0]!.goesOn(1, { lease: old }),
      runs[1]!.goesOn(1, { lease }),
      runs[2]!.goesOn(1, { lease: old }),
    ]
    const outcomes = await store.append(items)
    equal(
      outcomes.map(outcome => outcome.status),
      ['fenced', 'appended', 'fenced'],
      'the outcomes',
    )
    runs[1]!.follow(items[1]!, outcomes[1])
    for (const run of runs) await showsHistory(store, run)
  }),

  on('lease: once a claim resolved, nothing is appended under an older epoch', async store => {
    const old = await claim(store)
    const runs = await Promise.all(Array.from({ length: 20 }, () => new TestRun('sha1').create(store)))
    const items = runs.map(run => run.goesOn(1, { lease: old }))
    const before = items.slice(0, 10).map(item => store.append([item]))
    const claimed = claim(store, one, 'q')
    const beside = items.slice(10).map(item => store.append([item]))
    const lease = await claimed
    for (const item of items) {
      equal((await outcomeOf(store, item))?.status, 'fenced', 'the outcome of an old epoch after the claim')
    }
    const outcomes = (await Promise.all([...before, ...beside])).flat()
    for (const [index, run] of runs.entries()) {
      const outcome = outcomes[index]!
      check(outcome.status === 'appended' || outcome.status === 'fenced', `no append is ${outcome.status}`)
      if (outcome.status === 'appended') run.follow(items[index]!, outcome)
      await run.goOn(store, 1, { lease })
      await showsHistory(store, run)
    }
  }),
]
