import type { Store } from '../../actors/contracts/store.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { check, equal, rejects } from '../check.ts'
import { type Operation, operations, prepare } from './operations.ts'
import { on, type StoreCheck } from './place.ts'
import { TestRun } from './test-run.ts'

/** What an operation answers, or the code that it rejects with. */
async function answer(operation: Operation, store: Store, run: TestRun): Promise<unknown> {
  try {
    return await operation.run(store, run)
  } catch (error) {
    if (XMachinesError.is(error)) return error.code
    throw error
  }
}

const fresh = (): TestRun => new TestRun('sha1', { key: 'fresh' })

const each = (check: (operation: Operation) => StoreCheck): readonly StoreCheck[] => operations.map(check)

/** Every operation on a store that is opening, closing, closed or reopened. */
export const stateChecks: readonly StoreCheck[] = [
  ...each(operation =>
    on(`states: ${operation.name} on a store that is opening waits for it`, async store => {
      const run = fresh()
      const beside = store.find('tests', 'nobody')
      equal(await answer(operation, store, run), operation.empty, 'the answer')
      equal(await beside, undefined, 'the answer to another operation at the same time')
    }),
  ),

  ...each(operation =>
    on(`states: ${operation.name} that is under way when the store closes still answers`, async store => {
      const answered = answer(operation, store, fresh())
      await store.close()
      const got = await answered
      if (operation.stream && got === 'STORE_CLOSED') return
      equal(got, operation.empty, 'the answer')
    }),
  ),

  ...each(operation =>
    on(`states: ${operation.name} on a store that is closing rejects with STORE_CLOSED`, async store => {
      const run = await prepare(store)
      const closing = store.close()
      await rejects(operation.run(store, run), 'STORE_CLOSED', operation.name)
      await closing
    }),
  ),

  ...each(operation =>
    on(`states: ${operation.name} on a closed store rejects with STORE_CLOSED`, async store => {
      const run = await prepare(store)
      await store.close()
      await rejects(operation.run(store, run), 'STORE_CLOSED', operation.name)
    }),
  ),

  ...each(operation =>
    on(
      `states: ${operation.name} on a store that was closed before its first use rejects with STORE_CLOSED`,
      async store => {
        await store.close()
        await rejects(operation.run(store, fresh()), 'STORE_CLOSED', operation.name)
      },
    ),
  ),

  ...each(operation => ({
    name: `states: ${operation.name} as the first operation of a reopened store meets what was written`,
    needs: 'durable' as const,
    async run(bench) {
      const first = await bench.open()
      const run = await prepare(first)
      const wanted = operation.writes ? undefined : await answer(operation, first, run)
      const store = await bench.reopen(first)
      const got = await answer(operation, store, run)
      if (operation.name === 'loadSnapshot') return
      if (!operation.writes) equal(got, wanted, 'the answer')
      else check(typeof got !== 'string', `${operation.name} succeeds, and does not reject with ${String(got)}`)
    },
  })),

  on('states: closing is idempotent, one after the other and at once', async store => {
    await prepare(store)
    await Promise.all([store.close(), store.close()])
    await store.close()
  }),

  on('states: a read that is not at its end when the store closes errors with STORE_CLOSED', async store => {
    const run = await new TestRun('sha1').create(store)
    for (let call = 0; call < 12; call++) await run.goOn(store, 1000)
    const reader = store.read(run.id, { ids: false }).getReader()
    await reader.read()
    await store.close()
    const rest = async (): Promise<number> => {
      for (let count = 1; ; count++) if ((await reader.read()).done) return count
    }
    const outcome = await rest().catch((error: unknown) => error)
    check(XMachinesError.is(outcome, 'STORE_CLOSED'), `a read of 12,000 units errors with STORE_CLOSED, not ${outcome}`)
  }),

  on('states: an append whose close did not wait for it is there or was refused', async (store, bench) => {
    const run = await new TestRun('sha1', { key: 'a' }).create(store)
    const items = Array.from({ length: 20 }, () => new TestRun('sha1').creates())
    const answers = items.map(item => store.append([item]))
    await store.close()
    const outcomes = (await Promise.all(answers)).flat()
    equal(outcomes.length, 20, 'how many were answered')
    if (!bench.place.durable) return
    const again = await bench.open()
    for (const item of items) equal((await again.head(item.run))?.seq, 0, 'the seq of a run that was created')
    equal(await again.find('tests', 'a'), run.id, 'the run of the key')
  }),
]
