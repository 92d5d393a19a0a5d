import type { AppendItem } from '../../actors/contracts/store.ts'
import { check, equal, rejects } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { showsHistory, TestRun, testMachine, testUnit } from './test-run.ts'

/** Appending to runs that exist: conditions, races, independence of items. */
export const appendChecks: readonly StoreCheck[] = [
  on('append: seq rises by the units of an item, the revision by one', async store => {
    const run = await new TestRun('sha1').create(store)
    const item = run.goesOn(1)
    const outcomes = await store.append([item])
    equal(outcomes, [{ status: 'appended', seq: 1, revision: 2 }], 'the outcome of one unit')
    run.follow(item, outcomes[0])
    await run.goOn(store, 3)
    equal([run.seq, run.revision], [4, 3], 'seq and revision after three units')
    await run.goOn(store, 0)
    equal([run.seq, run.revision], [4, 4], 'seq and revision after none')
    const head = await store.head(run.id)
    equal([head?.seq, head?.revision, head?.at], [4, 4, 1004], 'the head')
    await showsHistory(store, run)
  }),

  on('append: whatever was handed in of a unit is read again', async store => {
    const run = await new TestRun('sha1').create(store)
    const unit = testUnit(1, {
      at: 5_000_000_000_000,
      events: [{ type: 'A' }, { type: 'B', list: [null, true, 1.5, 'x', { deep: [] }] }],
      origin: { kind: 'timer', actor: ['a', 'b'], armed: 0, index: 2 },
      outputs: [{ type: 'OUT', z: 1, a: 2 }],
      mail: [{ to: { namespace: 'n', key: 'k' }, event: { type: 'HELLO', z: 1, a: [{}] } }],
      sources: [{ id: 'cluster/topic/3', position: 9_007_199_254_740_993n }],
      requestId: 'request 1',
      trace: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=1' },
      attempts: 3,
      state: 'f'.repeat(16),
    })
    await run.goOn(store, [unit, testUnit(2, { events: [], outputs: [], at: 5_000_000_000_000 })])
    await showsHistory(store, run)
  }),

  on('append: expecting another seq or revision is a conflict, and nothing of the item is written', async store => {
    const run = await new TestRun('sha1').create(store, { value: 'before', due: 7 })
    await run.goOn(store, 2)
    const beside = { held: true, outbox: [3], sources: [{ id: 's', position: 1 }], attempts: { k: 1 } }
    for (const [seq, revision] of [
      [1, 2],
      [2, 1],
      [2, 3],
      [3, 2],
      [3, 3],
      [0, 1],
    ] as const) {
      const item: AppendItem = {
        ...run.goesOn([testUnit(seq + 1)], { beside, value: 'after', due: 9, status: 'done' }),
        expected: { seq, revision },
      }
      const [outcome] = await store.append([item])
      equal(outcome, { status: 'conflict', seq: 2, revision: 2 }, `the outcome of expecting ${seq}, ${revision}`)
    }
    const head = await store.head(run.id)
    equal([head?.value, head?.due, head?.status], ['before', 7, 'active'], 'value, due and status')
    equal([head?.beside.held, head?.beside.outbox, head?.beside.sources], [false, [], {}], 'what is kept beside')
    await showsHistory(store, run)
  }),

  on('append: to a run that does not exist is a conflict at seq −1', async store => {
    const run = new TestRun('sha1')
    run.seq = 0
    run.revision = 1
    equal(await store.append([run.goesOn()]), [{ status: 'conflict', seq: -1, revision: 0 }], 'the outcome')
    equal(await store.head(run.id), undefined, 'the head')
  }),

  on('append: a number that JSON cannot hold is a TypeError, and nothing of the call is written', async store => {
    const run = await new TestRun('sha1').create(store)
    const unit = testUnit(1)
    for (const number of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const source = { id: 's', position: number }
      const wrong = [
        run.goesOn([{ ...unit, at: number }]),
        run.goesOn([{ ...unit, sources: [source] }]),
        run.goesOn(1, { due: number }),
        run.goesOn(0, { beside: { sources: [source] } }),
      ]
      for (const item of wrong) await rejects(store.append([run.goesOn(), item]), 'misuse', 'the append')
      await rejects(store.renew('p', number), 'misuse', 'the renewal')
    }
    await showsHistory(store, run)
    await run.goOn(store)
  }),

  on(
    'append: a gap, an overlap or a second creation is a TypeError, and nothing of the call is written',
    async store => {
      const innocent = await new TestRun('sha1').create(store)
      const run = await new TestRun('sha1').create(store)
      const wrong: Record<string, AppendItem> = {
        'a gap before the first unit': run.goesOn([testUnit(2)]),
        'an overlap': run.goesOn([testUnit(0)]),
        'a gap between units': run.goesOn([testUnit(1), testUnit(3)]),
        'a unit twice': run.goesOn([testUnit(1), testUnit(1)]),
        'a second creation': run.goesOn([{ ...run.beginning, seq: 1 }]),
        'a migration without its machine': run.goesOn([testUnit(1, { machine: 'f'.repeat(40) })]),
      }
      for (const [name, item] of Object.entries(wrong)) {
        await rejects(store.append([innocent.goesOn(), item]), 'misuse', `an item with ${name}`)
      }
      equal((await store.head(innocent.id))?.revision, 1, 'the revision of the other run in the call')
      await showsHistory(store, run)
    },
  ),

  on('append: items are independent, and outcomes come in their order', async store => {
    const [here, there, stale, pinnedTo] = [0, 1, 2, 3].map(() => new TestRun('sha1'))
    const keyed = await new TestRun('sha1', { key: 'a' }).create(store)
    for (const run of [here!, there!, stale!, pinnedTo!]) await run.create(store)
    await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    const lease = { namespace: 'tests', partition: 1, epoch: 1 }
    await pinnedTo!.goOn(store, 0, { lease })
    const unknown = new TestRun('sha1')
    const items: AppendItem[] = [
      { ...stale!.goesOn(), expected: { seq: 0, revision: 9 } },
      here!.goesOn(2),
      new TestRun('sha1', { key: 'a', input: 1 }).creates(),
      pinnedTo!.goesOn(),
      { run: unknown.id, expected: { seq: 0, revision: 1 }, units: [testUnit(1)] },
      unknown.creates(),
      there!.goesOn(0, { lease: { ...lease, epoch: 7 } }),
      there!.goesOn(1),
    ]
    const outcomes = await store.append(items)
    const wanted = [
      { status: 'conflict', seq: 0, revision: 1 },
      { status: 'appended', seq: 2, revision: 2 },
      { status: 'pinned', run: keyed.id },
      { status: 'fenced', epoch: 1, owner: 'p' },
      { status: 'conflict', seq: -1, revision: 0 },
      { status: 'appended', seq: 0, revision: 1 },
      { status: 'fenced', epoch: 1, owner: 'p' },
      { status: 'appended', seq: 1, revision: 2 },
    ]
    equal(outcomes, wanted, 'the outcomes')
    here!.follow(items[1]!, outcomes[1])
    there!.follow(items[7]!, outcomes[7])
    for (const run of [here!, there!, stale!]) await showsHistory(store, run)
  }),

  on(
    'append: of many writers at one place, exactly one wins and the others are told where the run stands',
    async store => {
      const run = await new TestRun('sha1').create(store)
      for (let round = 0; round < 3; round++) {
        const items = Array.from({ length: 15 }, (_, writer) =>
          run.goesOn([testUnit(run.seq + 1, { requestId: `writer ${writer}` })]),
        )
        const outcomes = (await Promise.all(items.map(item => store.append([item])))).flat()
        const winner = outcomes.findIndex(outcome => outcome.status === 'appended')
        check(winner >= 0, 'one writer wins')
        run.follow(items[winner]!, outcomes[winner])
        const losers = outcomes.filter((_, index) => index !== winner)
        const told = { status: 'conflict', seq: run.seq, revision: run.revision }
        equal(losers, Array(14).fill(told), 'what the others were told')
      }
      await showsHistory(store, run)
    },
  ),

  on('append: several items of one run in one call are judged in their order', async store => {
    const run = await new TestRun('sha1').create(store)
    const first = run.goesOn(2)
    const second = { ...run.goesOn(), expected: { seq: 2, revision: 2 }, units: [testUnit(3)] }
    const outcomes = await store.append([first, first, second])
    const wanted = [
      { status: 'appended', seq: 2, revision: 2 },
      { status: 'conflict', seq: 2, revision: 2 },
      { status: 'appended', seq: 3, revision: 3 },
    ]
    equal(outcomes, wanted, 'the outcomes')
    run.follow(first, outcomes[0])
    run.follow(second, outcomes[2])
    await showsHistory(store, run)
  }),

  on('append: a thousand runs in one call', async store => {
    const runs = Array.from({ length: 1000 }, (_, index) => new TestRun('sha1', { key: `run ${index}` }))
    const creations = await store.append(runs.map(run => run.creates({}, 1)))
    for (const [index, run] of runs.entries()) run.follow(run.creates({}, 1), creations[index])
    const items = runs.map(run => run.goesOn())
    const outcomes = await store.append(items)
    for (const [index, run] of runs.entries()) run.follow(items[index]!, outcomes[index])
    for (const run of [runs[0]!, runs[500]!, runs[999]!]) await showsHistory(store, run)
  }),

  on('append: calls that overlap on different runs are all written', async store => {
    const runs = Array.from({ length: 50 }, () => new TestRun('sha1'))
    await Promise.all(runs.map(run => run.create(store)))
    await Promise.all(
      runs.map(async run => {
        for (let step = 0; step < 3; step++) await run.goOn(store)
      }),
    )
    for (const run of runs) await showsHistory(store, run)
  }),

  on('append: no items, no outcomes', async store => {
    equal(await store.append([]), [], 'the outcomes')
  }),

  on('append: status, value and due stay as they were unless they are said', async store => {
    const run = await new TestRun('sha1').create(store, { value: 'red', due: 5, status: 'active' })
    const stands = async (): Promise<unknown> => {
      const head = await store.head(run.id)
      return [head?.status, head?.value, head?.due]
    }
    await run.goOn(store)
    equal(await stands(), ['active', 'red', 5], 'status, value and due after an item that says none')
    await run.goOn(store, 1, { value: { a: [1] } })
    equal(await stands(), ['active', { a: [1] }, 5], 'them after another value')
    await run.goOn(store, 0, { due: null })
    equal(await stands(), ['active', { a: [1] }, null], 'them after no due')
    await run.goOn(store, 1, { value: null, status: 'error', due: 8 })
    equal(await stands(), ['error', null, 8], 'them after all three')
  }),

  on('append: an end, and a first lease, that one of two runs says with its unit', async store => {
    const lease = await store.claim({ namespace: 'tests', partition: 1, owner: 'p', group: 'g' })
    for (const rest of [{ status: 'done' } as const, { lease }]) {
      const runs = [await new TestRun('sha1').create(store), await new TestRun('sha1').create(store)]
      const items = runs.map((run, at) => run.goesOn(1, at === 0 ? rest : {}))
      for (const [at, outcome] of (await store.append(items)).entries()) runs[at]!.follow(items[at]!, outcome)
      const [said, other] = await Promise.all(runs.map(run => store.head(run.id)))
      equal(said!.status, 'status' in rest ? rest.status : 'active', 'its status')
      equal(said!.lease, 'lease' in rest ? { namespace: 'tests', partition: 1 } : undefined, 'its partition')
      equal([other!.status, other!.lease], ['active', undefined], 'what the other one is')
    }
  }),

  on('append: a migration changes the machine of the head, and keeps it', async store => {
    const run = await new TestRun('sha1').create(store)
    const machine = testMachine('sha1', '2')
    const unit = testUnit(1, { events: [], machine: machine.oid, origin: { kind: 'migration', from: run.machine.oid } })
    await run.goOn(store, [unit], { machine })
    await run.goOn(store)
    const head = await store.head(run.id)
    equal([head?.machine, head?.machineId, head?.version], [machine.oid, 'light', '2'], 'the machine of the head')
    equal(await store.machine(machine.oid), machine, 'the machine')
    equal(await store.machine(run.machine.oid), run.machine, 'the machine before')
    await showsHistory(store, run)
  }),

  on('append: the list of items is the caller’s again once the call settled', async store => {
    const run = await new TestRun('sha1').create(store)
    const item = run.goesOn()
    const items = [item]
    const outcomes = await store.append(items)
    items[0] = run.goesOn([testUnit(1, { requestId: 'other' })])
    items.push(items[0])
    run.follow(item, outcomes[0])
    await showsHistory(store, run)
  }),
]
