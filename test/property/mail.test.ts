import fc from 'fast-check'
import { expect } from 'vitest'
import type { SentMail } from 'xmachines'
import { openRunIn } from '../../src/actors/run/open.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { account } from '../actors/run/accounts.ts'
import { all } from '../actors/run/collect.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from './every-store.ts'

const keys = ['a', 'b'] as const
type Key = (typeof keys)[number]

/** What happens to two accounts and to the processes that have them open; a crashed process lives on and knows of nothing. */
type Happening =
  | { readonly does: 'pay'; readonly from: Key; readonly to: Key | 'nobody'; readonly amounts: number[] }
  | { readonly does: 'crash' | 'close' | 'time'; readonly from: Key }
  | { readonly does: (typeof faults)[number]; readonly from: Key }

const faults = [
  ...(['append.before', 'append.after', 'append.torn', 'find.before', 'find.delay'] as const),
  ...([
    'deliver.before',
    'deliver.after',
    'deliver.torn',
    'deliver.duplicate',
    'deliver.delay',
    'deliver.late',
  ] as const),
] as const

const from = fc.constantFrom(...keys)
const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        does: fc.constant('pay' as const),
        from,
        to: fc.constantFrom('a' as const, 'b' as const, 'nobody' as const),
        amounts: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('crash' as const, 'close', 'time'), from }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom(...faults), from }) },
  ) as fc.Arbitrary<Happening>,
  { maxLength: 25 },
)

onEveryStore(
  'whenever processes crash: every mail of a durable unit is taken once, in order, or answered, and no money is lost',
  (open, elsewhere) =>
    fc.asyncProperty(happenings, async schedule => {
      const time = new VirtualEnvironment()
      const shared = open()
      const kept = time.awaits(shared)
      let processes = 0
      const apart = () => faultyStore(time.awaits(elsewhere(shared)))
      const stores = { a: apart(), b: apart() }
      const start = (key: Key) => {
        stores[key] = apart()
        return openRunIn(time.fork(`p${++processes}`), account, { store: stores[key], key, input: { balance: 100 } })
      }
      const runs = { a: await start('a'), b: await start('b') }
      for (const happening of schedule) {
        const { from } = happening
        switch (happening.does) {
          case 'pay': {
            const { to, amounts } = happening
            // The process of a run that ended with its store is gone.
            await runs[from].apply({ type: 'PAY', to, amounts }).catch(async () => (runs[from] = await start(from)))
            break
          }
          case 'crash':
            runs[from] = await start(from)
            break
          case 'close': {
            const closing = runs[from].close({ timeout: 0 })
            await time.advance(0)
            await closing
            runs[from] = await start(from)
            break
          }
          case 'time':
            await time.advance(200)
            break
          default:
            stores[from].faults.plan(happening.does)
        }
      }
      // What is left in the boxes is taken by whoever opens the runs next.
      for (let round = 0; round < 4; round++) {
        for (const key of keys) runs[key] = await start(key)
        await time.advance(100)
        await time.settled()
      }
      for (const key of keys) {
        const head = (await kept.head(runs[key].id))!
        expect(head).toMatchObject({ due: null, beside: { inbox: [], mailing: [], returns: [] } })
      }
      const [a, b] = [await all(kept.read(runs.a.id)), await all(kept.read(runs.b.id))]
      for (const [key, sender] of [['a', a] as const, ['b', b] as const]) {
        const sent = sender.flatMap(({ run, seq, mail = [] }) =>
          (mail as SentMail[]).map(({ to }, index) => ({ run, seq, index, to })),
        )
        for (const [to, receiver] of [['a', a] as const, ['b', b] as const]) {
          const taken = receiver.flatMap(({ origin }) =>
            origin.kind === 'mail' && origin.run === runs[key].id ? [origin] : [],
          )
          const expected = sent.filter(mail => mail.to.key === to)
          expect(taken).toEqual(expected.map(({ run, seq, index }) => ({ kind: 'mail', run, seq, index })))
        }
        const answers = sender.flatMap(({ origin }) => (origin.kind === 'undelivered' ? [origin] : []))
        const unknown = sent.filter(mail => mail.to.key === 'nobody')
        expect(answers).toEqual(unknown.map(({ run, seq, index }) => ({ kind: 'undelivered', run, seq, index })))
      }
      const { a: one, b: other } = runs
      expect(one.getSnapshot().context.balance + other.getSnapshot().context.balance).toBe(200)
    }),
  { servers: 15 },
)
