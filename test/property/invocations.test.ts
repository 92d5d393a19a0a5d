import fc from 'fast-check'
import { expect } from 'vitest'
import { openRunIn } from '../../src/actors/run/open.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { charging } from '../actors/run/charging.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from './every-store.ts'

/**
 * What happens to a run and to the processes that have it open, one after another; a crashed one lives on and knows of nothing.
 * One that another one is opened beside is not taken for dead.
 */
type Happening =
  | { readonly does: 'CHARGE' | 'LEAVE' | 'PING' | 'crash' | 'beside' | 'close' | 'time' }
  | { readonly does: 'append.before' | 'append.after' | 'append.torn' }
  | { readonly does: 'finish' | 'fail'; readonly pick: number }

const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ does: fc.constant('CHARGE' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({ does: fc.constantFrom('LEAVE', 'PING', 'close', 'time', 'crash', 'crash', 'beside') }),
    },
    { weight: 2, arbitrary: fc.record({ does: fc.constantFrom('append.before', 'append.after', 'append.torn') }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('finish', 'fail'), pick: fc.nat(9) }) },
  ) as fc.Arbitrary<Happening>,
  { maxLength: 30 },
)

const policies = fc.constantFrom(
  'retry' as const,
  'error' as const,
  'at-most-once' as const,
  { crash: 'retry', attempts: 3, backoff: { initial: 10 } } as const,
)

onEveryStore(
  'whenever processes crash: attempts of a key are counted up, at-most-once never starts twice, and each invocation has one outcome',
  (open, elsewhere) =>
    fc.asyncProperty(policies, happenings, async (policy, schedule) => {
      const time = new VirtualEnvironment()
      const shared = open()
      const kept = time.awaits(shared)
      const apart = () => faultyStore(time.awaits(elsewhere(shared)))
      const { machine, calls } = charging(policy)
      let processes = 0
      let store = apart()
      const beside = () => {
        store = apart()
        return openRunIn(time.fork(`p${++processes}`), machine, { store, key: 'a' })
      }
      /** Whoever was there is dead, and it is known. */
      const start = async () => {
        for (let process = 1; process <= processes; process++) await kept.renew(`p${process}`, 0)
        return beside()
      }
      let run = await start()
      for (const happening of schedule) {
        switch (happening.does) {
          case 'CHARGE':
          case 'LEAVE':
          case 'PING':
            // The process of a run that ended with its store is gone.
            await run.apply({ type: happening.does }).catch(async () => (run = await start()))
            break
          case 'crash':
            run = await start()
            break
          case 'beside': {
            // What the last one still has to say of a dead one is no word of this one.
            await time.settled()
            const made = calls.length
            const before = (await kept.head(run.id))!
            const { process } = before.beside
            run = await beside()
            if (process === null) break
            // It lives: what it has in flight is its own.
            expect([calls.length, (await kept.head(run.id))!.revision]).toEqual([made, before.revision])
            break
          }
          case 'close': {
            const closing = run.close({ timeout: 0 })
            await time.advance(0)
            await closing
            run = await start()
            break
          }
          case 'time':
            await time.advance(5)
            break
          case 'finish':
          case 'fail': {
            const call = calls.at(-1 - (happening.pick % Math.max(1, calls.length)))
            if (happening.does === 'finish') call?.finish('paid')
            else call?.fail(new Error('declined'))
            await time.settled()
            break
          }
          default:
            store.faults.plan(happening.does)
        }
      }
      // In the end one process goes on, and every attempt of it succeeds.
      run = await start()
      for (let turn = 0; turn < 5 && run.getSnapshot().value !== 'idle'; turn++) {
        calls.at(-1)?.finish('paid')
        await time.advance(10_000)
      }
      await time.advance(10_000)

      const units = []
      for await (const unit of kept.read(run.id)) units.push(unit)
      const attempts = new Map<string, number[]>()
      for (const { key, attempt } of calls) attempts.set(key, [...(attempts.get(key) ?? []), attempt])
      for (const made of attempts.values()) {
        expect(made).toEqual([...made].sort((a, b) => a - b))
        expect(new Set(made).size).toBe(made.length)
        if (policy === 'error' || policy === 'at-most-once') expect(made).toEqual([1])
        if (typeof policy === 'object') expect(made.at(-1)).toBeLessThanOrEqual(policy.attempts)
      }
      let entered: number | undefined
      for (const { seq, events, origin } of units) {
        if (origin.kind === 'effect') {
          expect(origin.entered).toBe(entered)
          entered = undefined
        } else if (events[0]?.type === 'CHARGE') entered ??= seq
        else if (events[0]?.type === 'LEAVE') entered = undefined
      }
      expect(entered).toBeUndefined()
      expect((await kept.head(run.id))!.beside).toMatchObject({ attempts: {}, process: null })
    }),
)
