import type { AppendItem, AppendOutcome } from '../../actors/contracts/store.ts'
import { check, equal } from '../check.ts'
import type { StoreCheck } from './place.ts'
import { showsHistory, TestRun, testUnit } from './test-run.ts'

const one = { namespace: 'tests', partition: 1 }

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
      await run.goOn(there, 1, { lease })
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
