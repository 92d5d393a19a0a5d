import type { AppendItem } from '../../actors/contracts/store.ts'
import { check, equal, rejects } from '../check.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, showsHistory, TestRun, testMachine, testUnit } from './test-run.ts'

/** How runs begin, and which (namespace, key) they pin. */
export const creationChecks: readonly StoreCheck[] = [
  on('creation: a run begins at seq 0 and revision 1, with nothing kept beside it', async store => {
    const run = new TestRun('sha1', { key: 'a', time: 'source' })
    equal(await store.append([run.creates()]), [{ status: 'appended', seq: 0, revision: 1 }], 'the outcome')
    const empty = {
      sources: {},
      outbox: [],
      published: null,
      inbox: [],
      waiting: 0,
      mailing: [],
      mailed: null,
      returns: [],
      refusals: [],
      attempts: {},
      parked: null,
      held: false,
      process: null,
      owners: {},
      parent: null,
      linked: false,
    }
    const head = {
      run: run.id,
      namespace: 'tests',
      key: 'a',
      time: 'source',
      machine: run.machine.oid,
      machineId: 'light',
      version: '1',
      seq: 0,
      revision: 1,
      at: 1000,
      status: 'active',
      due: null,
      beside: empty,
    }
    equal(await store.head(run.id), head, 'the head')
  }),

  on('creation: may carry more units, a value, a due time and what is kept beside', async store => {
    const run = new TestRun('sha1')
    await run.create(store, { value: { lamp: 'red' }, due: 5, status: 'done', beside: { held: true } }, 3)
    const head = await store.head(run.id)
    equal([head?.seq, head?.revision, head?.at], [3, 1, 1003], 'seq, revision and time')
    equal([head?.value, head?.due, head?.status, head?.beside.held], [{ lamp: 'red' }, 5, 'done', true], 'the rest')
    await showsHistory(store, run)
  }),

  on('creation: of a run that exists is a conflict and tells where the run stands', async store => {
    const run = await new TestRun('sha1', { key: 'a' }).create(store)
    await run.goOn(store, 2)
    const again = run.creates({ value: 'other', due: 9 }, 5)
    equal(await store.append([again]), [{ status: 'conflict', seq: 2, revision: 2 }], 'the outcome')
    const head = await store.head(run.id)
    equal([head?.seq, head?.revision, head?.value, head?.due], [2, 2, undefined, null], 'the head')
    await showsHistory(store, run)
  }),

  on('creation: pins its namespace and key, each pair for itself', async store => {
    const names = [
      ['a', 'b/c'],
      ['a/b', 'c'],
      ['a', 'b\u0000c'],
      ['a\u0000b', 'c'],
      ['', 'abc'],
      ['abc', ''],
      ['A', 'b/c'],
      ['__proto__', 'constructor'],
      ['ключ', '鍵🔑'],
    ] as const
    const runs = names.map(([namespace, key]) => new TestRun('sha1', { namespace, key }))
    for (const run of runs) await run.create(store)
    for (const [index, [namespace, key]] of names.entries()) {
      equal(await store.find(namespace, key), runs[index]!.id, `the run of ${JSON.stringify([namespace, key])}`)
    }
    equal(await store.find('a', 'c'), undefined, 'the run of a pair that nobody created')
    equal(await store.find('constructor', '__proto__'), undefined, 'the run of another pair that nobody created')
  }),

  on('creation: who comes second to a key is told the pinned run, and leaves nothing behind', async store => {
    const first = await new TestRun('sha1', { key: 'a' }).create(store)
    const machine = testMachine('sha1', 'of the loser')
    const second = new TestRun('sha1', { key: 'a', machine })
    equal(await store.append([second.creates()]), [{ status: 'pinned', run: first.id }], 'the outcome')
    equal(await store.head(second.id), undefined, 'the head of the loser')
    equal(await store.machine(machine.oid), undefined, 'the machine of the loser')
    equal(await store.find('tests', 'a'), first.id, 'the pinned run')
    equal((await collect(store.list())).length, 1, 'how many runs there are')
  }),

  on('creation: a key stays pinned after the end of its run', async store => {
    for (const status of ['done', 'error', 'stopped'] as const) {
      const run = await new TestRun('sha1', { key: status }).create(store)
      await run.goOn(store, 1, { status })
      equal(await store.find('tests', status), run.id, `the run of a key that is ${status}`)
      const rival = new TestRun('sha1', { key: status, input: 1 })
      equal(await store.append([rival.creates()]), [{ status: 'pinned', run: run.id }], 'the outcome of a rival')
    }
  }),

  on('creation: a creation that is refused pins nothing', async store => {
    const run = new TestRun('sha1', { key: 'a' })
    const lease = { namespace: 'tests', partition: 0, epoch: 1 }
    equal(await store.append([run.creates({ lease })]), [{ status: 'fenced', epoch: 0, owner: null }], 'the outcome')
    equal(await store.find('tests', 'a'), undefined, 'the pinned run')
    await new TestRun('sha1', { key: 'a', input: 1 }).create(store)
  }),

  on('creation: runs without a key are not pinned', async store => {
    const runs = [new TestRun('sha1'), new TestRun('sha1')]
    const outcomes = await store.append(runs.map(run => run.creates()))
    equal(
      outcomes.map(outcome => outcome.status),
      ['appended', 'appended'],
      'the outcomes',
    )
    equal('key' in (await store.head(runs[0]!.id))!, false, 'whether the head has a key')
  }),

  on('creation: of many at once of one run, exactly one wins', async store => {
    const run = new TestRun('sha1', { key: 'a' })
    const outcomes = (await Promise.all(Array.from({ length: 20 }, () => store.append([run.creates()])))).flat()
    equal(outcomes.filter(outcome => outcome.status === 'appended').length, 1, 'how many won')
    const losers = outcomes.filter(outcome => outcome.status !== 'appended')
    equal(losers, Array(19).fill({ status: 'conflict', seq: 0, revision: 1 }), 'what the others were told')
  }),

  on('creation: of many runs at once of one key, exactly one wins and the others are told which', async store => {
    const runs = Array.from({ length: 20 }, (_, input) => new TestRun('sha1', { key: 'a', input }))
    const calls = runs.slice(0, 10).map(run => store.append([run.creates()]))
    calls.push(store.append(runs.slice(10).map(run => run.creates())))
    const outcomes = (await Promise.all(calls)).flat()
    const winners = runs.filter((_, index) => outcomes[index]!.status === 'appended')
    equal(winners.length, 1, 'how many won')
    const winner = winners[0]!.id
    const losers = outcomes.filter(outcome => outcome.status !== 'appended')
    equal(losers, Array(19).fill({ status: 'pinned', run: winner }), 'what the others were told')
    equal(await store.find('tests', 'a'), winner, 'the pinned run')
  }),

  on('creation: the machine is kept once, and found', async store => {
    const machine = testMachine('sha1', '2')
    equal(await store.machine(machine.oid), undefined, 'the machine before')
    await new TestRun('sha1', { machine }).create(store)
    await new TestRun('sha1', { machine }).create(store)
    equal(await store.machine(machine.oid), machine, 'the machine')
  }),

  on('creation: what no correct caller hands in is a TypeError, and nothing of the call is written', async store => {
    const innocent = new TestRun('sha1')
    const run = new TestRun('sha1')
    const { machine: _, ...noMachine } = run.creates()
    const wrong: Record<string, AppendItem> = {
      'no unit': { ...run.creates(), units: [] },
      'no creation': { ...run.creates(), units: [testUnit(0)] },
      'a creation that begins at 1': { ...run.creates(), units: [{ ...run.beginning, seq: 1 }] },
      'a gap after the creation': { ...run.creates(), units: [run.beginning, testUnit(2)] },
      'a second creation': { ...run.creates(), units: [run.beginning, { ...run.beginning, seq: 1 }] },
      'no machine': noMachine,
      'another machine': { ...run.creates(), machine: testMachine('sha1', 'other') },
    }
    for (const [name, item] of Object.entries(wrong)) {
      await rejects(store.append([innocent.creates(), item]), 'misuse', `a creation with ${name}`)
    }
    check((await store.head(innocent.id)) === undefined, 'nothing of a refused call is written')
    equal(await store.head(run.id), undefined, 'the head of the run')
  }),
]
