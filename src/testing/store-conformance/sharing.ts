import type { AppendItem, AppendOutcome, Store } from '../../actors/contracts/store.ts'
import { check, equal } from '../check.ts'
import type { StoreCheck } from './place.ts'
import { collect, deepFreeze, showsHistory, TestRun, testMachine, testUnit } from './test-run.ts'

const one = { namespace: 'tests', partition: 1 }

/** What a store shows of `run`, `one` and process `p`: also where it shows nothing yet. */
async function viewOf(store: Store, run: TestRun): Promise<Record<string, unknown>> {
  return {
    pinned: await store.find('tests', run.creation.key!),
    head: await store.head(run.id),
    machine: (await store.machine(run.machine.oid))?.version,
    row: await store.lease(one),
    lives: await store.livesUntil(['p']),
    due: await store.due({ before: 1000, limit: 9 }),
    dueInPartition: await store.due({ before: 1000, limit: 9, lease: one }),
    list: await collect(store.list()),
  }
}

/** Several stores open at one place, of those that allow it: as one store to whoever looks. */
export const sharingChecks: readonly StoreCheck[] = [
  {
    name: 'sharing: what one wrote, the other reads',
    needs: 'shared',
    async run(bench) {
      const [here, there] = [await bench.open(), await bench.open()]
      const run = await new TestRun('sha1', { key: 'a' }).create(here, { due: 5 }, 3)
      await showsHistory(there, run)
      equal(await there.find('tests', 'a'), run.id, 'the run of the key')
      equal((await there.due({ before: 5, limit: 1 })).length, 1, 'how many are due')
      await run.goOn(there)
      await showsHistory(here, run)
    },
  },
  {
    // A store that remembers what it saw, or that it saw nothing, would go on with it.
    name: 'sharing: whoever looked before another wrote sees it all the same',
    needs: 'shared',
    async run(bench) {
      const [here, there] = [await bench.open(), await bench.open()]
      const run = new TestRun('sha1', { key: 'a', machine: testMachine('sha1', 'of this run') })
      const writes: Record<string, () => Promise<unknown>> = {
        nothing: async () => {},
        'a creation': () => run.create(here, { due: 5, beside: { process: 'p' } }),
        'a renewal': () => here.renew('p', 100),
        'a claim': () => here.claim({ ...one, owner: 'p', group: 'g' }),
        'a leased item': () => run.goOn(here, 2, { lease: { ...one, epoch: 1 }, due: 7, value: 'red' }),
        'a mail': () =>
          here.deliver([deepFreeze({ receiver: run.id, sender: run.id, seq: 1, index: 0, event: { type: 'E' } })]),
        'another run': () => new TestRun('sha1', { key: 'b' }).create(here, { due: 3 }),
        'a release': () => here.release({ ...one, epoch: 1 }),
      }
      for (const [name, write] of Object.entries(writes)) {
        await write()
        equal(await viewOf(there, run), await viewOf(here, run), `what the other store shows after ${name}`)
      }
      await showsHistory(there, run)
    },
  },
  {
    name: 'sharing: mail that comes in at both stores at once is taken once',
    needs: 'shared',
    async run(bench) {
      const stores = [await bench.open(), await bench.open()]
      const run = await new TestRun('sha1').create(stores[0]!)
      const mail = Array.from({ length: 10 }, (_, seq) =>
        deepFreeze({ receiver: run.id, sender: run.id, seq, index: 0, event: { type: 'E' } }),
      )
      const calls = mail.flatMap(entry => stores.map(store => store.deliver([entry])))
      const answers = (await Promise.all(calls)).flat()
      equal(answers.filter(answer => answer === 'taken').length, 10, 'how many were taken')
      equal(answers.filter(answer => answer === 'duplicate').length, 10, 'how many were duplicates')
      for (const store of stores) {
        const head = await store.head(run.id)
        equal([head?.beside.waiting, head?.revision], [10, 11], 'how much waits, and the revision')
      }
    },
  },
  {
    name: 'sharing: of claims at both stores at once, each has an epoch of its own',
    needs: 'shared',
    async run(bench) {
      const stores = [await bench.open(), await bench.open()]
      const claims = Array.from({ length: 10 }, (_, owner) =>
        stores[owner % 2]!.claim({ ...one, owner: `p${owner}`, group: 'g' }),
      )
      const rows = (await Promise.all(claims)).sort((a, b) => a.epoch - b.epoch)
      equal(
        rows.map(row => row.epoch),
        Array.from({ length: 10 }, (_, index) => index + 1),
        'the epochs',
      )
      for (const store of stores) equal(await store.lease(one), rows.at(-1), 'the row')
    },
  },
  {
    name: 'sharing: of writers at different stores, exactly one wins',
    needs: 'shared',
    async run(bench) {
      const stores = [await bench.open(), await bench.open()]
      const runs = Array.from({ length: 10 }, (_, input) => new TestRun('sha1', { key: 'a', input }))
      const created = (await Promise.all(runs.map((run, n) => stores[n % 2]!.append([run.creates()])))).flat()
      const winner = created.findIndex(outcome => outcome.status === 'appended')
      equal(created.filter(outcome => outcome.status === 'appended').length, 1, 'how many creations won')
      const run = runs[winner]!
      run.follow(run.creates(), created[winner])
      const item = run.goesOn()
      const appends = Array.from({ length: 10 }, (_, n) => stores[n % 2]!.append([item]))
      const outcomes = (await Promise.all(appends)).flat()
      equal(outcomes.filter(outcome => outcome.status === 'appended').length, 1, 'how many appends won')
      const appended = outcomes.find(outcome => outcome.status === 'appended')
      run.follow(item, appended)
      for (const store of stores) await showsHistory(store, run)
    },
  },
  {
    name: 'sharing: a claim at one store fences the other',
    needs: 'shared',
    async run(bench) {
      const [here, there] = [await bench.open(), await bench.open()]
      const old = await here.claim({ ...one, owner: 'p', group: 'g' })
      const run = await new TestRun('sha1').create(here, { lease: old })
      const lease = await there.claim({ ...one, owner: 'q', group: 'g' })
      const fenced = { status: 'fenced', epoch: 2, owner: 'q' }
      equal(await here.append([run.goesOn(1, { lease: old })]), [fenced], 'the outcome of the old owner')
      await there.release(lease)
      await run.goOn(here)
      const again = await there.claim({ ...one, owner: 'r', group: 'g' })
      equal(
        (await here.append([run.goesOn()]))[0]?.status,
        'fenced',
        'the outcome without a lease, after the next claim',
      )
      await run.goOn(there, 1, { lease: again })
      await showsHistory(here, run)
    },
  },
  {
    // An epoch fences who lost the partition, not a second writer of its owner: of these the place decides.
    name: 'sharing: of writers with the same epoch at different stores, each place has exactly one',
    needs: 'shared',
    async run(bench) {
      const stores = [await bench.open(), await bench.open()]
      const lease = await stores[0]!.claim({ ...one, owner: 'p', group: 'g' })
      const run = await new TestRun('sha1').create(stores[0]!, { lease })
      const start = { seq: run.seq, revision: run.revision }
      const written: { readonly item: AppendItem; readonly outcome: AppendOutcome & { seq: number } }[] = []
      const write = async (writer: number): Promise<void> => {
        for (let stands = start; ; ) {
          const unit = testUnit(stands.seq + 1, { requestId: `writer ${writer}` })
          const item = { run: run.id, expected: stands, units: [unit], lease }
          const [outcome] = await stores[writer % 2]!.append([item])
          if (outcome?.status === 'appended') return void written.push({ item, outcome })
          check(outcome?.status === 'conflict', `who was late is told where the run stands, not ${outcome?.status}`)
          stands = { seq: outcome.seq, revision: outcome.revision }
        }
      }
      await Promise.all(Array.from({ length: 20 }, (_, writer) => write(writer)))
      written.sort((a, b) => a.outcome.seq - b.outcome.seq)
      equal(
        written.map(({ outcome }) => outcome.seq),
        Array.from({ length: 20 }, (_, index) => index + 1),
        'the places that writers were told',
      )
      for (const { item, outcome } of written) run.follow(item, outcome)
      for (const store of stores) await showsHistory(store, run)
    },
  },
]
