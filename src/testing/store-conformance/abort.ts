import { XMachinesError } from '../../actors/errors.ts'
import { check, equal, rejects } from '../check.ts'
import { contentOf, operations, prepare } from './operations.ts'
import { on, type StoreCheck } from './place.ts'
import { collect, showsHistory, TestRun, testUnit } from './test-run.ts'

const before: readonly StoreCheck[] = operations.map(({ name, run: operate }) =>
  on(`abort: ${name} with a signal that fired already rejects with ABORTED and does nothing`, async store => {
    const run = await prepare(store)
    const content = await contentOf(store, run)
    const reason = new Error('the caller’s reason')
    const error = await rejects(operate(store, run, AbortSignal.abort(reason)), 'ABORTED', name)
    check(error instanceof Error && error.cause === reason, 'the cause is the reason of the signal')
    equal(await contentOf(store, run), content, 'what the store holds')
    check((await store.loadSnapshot(run.id)) === undefined, 'no snapshot was saved')
  }),
)

const during: readonly StoreCheck[] = operations.map(({ name, run: operate, writes }) =>
  on(
    `abort: ${name} that is aborted under way happens or rejects with ABORTED, and is never done in part`,
    async store => {
      const run = await prepare(store)
      const content = await contentOf(store, run)
      const aborting = new AbortController()
      const settled = operate(store, run, aborting.signal).then(
        () => 'done' as const,
        (error: unknown) => error,
      )
      aborting.abort()
      const outcome = await settled
      check(outcome === 'done' || XMachinesError.is(outcome, 'ABORTED'), `${name} settles with ABORTED or a result`)
      if (!writes) equal(await contentOf(store, run), content, 'what the store holds')
      const head = await store.head(run.id)
      if (name === 'append') {
        check(head?.seq === 2 || head?.seq === 5, 'all units were appended, or none')
        equal([head?.due, head?.beside.attempts], head?.seq === 2 ? [500, {}] : [3, { a: 1 }], 'what belongs to them')
        if (outcome === 'done') equal(head?.seq, 5, 'the seq of an append that resolved')
      }
      if (name === 'deliver') equal(head?.beside.inbox.length, head?.revision === 1 ? 0 : 1, 'the mail that counts')
      run.seq = head!.seq
      run.revision = head!.revision
      equal((await store.append([run.goesOn([testUnit(run.seq + 1)])]))[0]?.status, 'appended', 'the next append')
    },
  ),
)

/** An abort case for every operation. */
export const abortChecks: readonly StoreCheck[] = [
  ...before,
  ...during,

  on('abort: a read that is aborted between units errors with ABORTED', async store => {
    const run = await new TestRun('sha1').create(store)
    for (let call = 0; call < 12; call++) await run.goOn(store, 1000)
    const aborting = new AbortController()
    const reader = store.read(run.id, { signal: aborting.signal, ids: false }).getReader()
    await reader.read()
    aborting.abort()
    const rest = async (): Promise<void> => {
      while (!(await reader.read()).done);
    }
    await rejects(rest(), 'ABORTED', 'reading on')
    equal((await store.head(run.id))?.seq, run.seq, 'the seq of the run')
  }),

  on('abort: after the end it changes nothing', async store => {
    const aborting = new AbortController()
    const { signal } = aborting
    const run = new TestRun('sha1')
    const outcomes = await store.append([run.creates()], { signal })
    run.follow(run.creates(), outcomes[0])
    const units = await collect(store.read(run.id, { signal }))
    aborting.abort()
    equal(units.length, 1, 'how many units were read')
    await run.goOn(store)
    await showsHistory(store, run)
  }),
]
