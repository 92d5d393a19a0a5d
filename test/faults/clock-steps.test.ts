import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openRun, type Store, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, raise, setup } from 'xstate'
import { createHostIn } from '../../src/actors/host/index.ts'
import { openRunIn } from '../../src/actors/run/open.ts'
import { collect } from '../../src/testing/store-conformance/test-run.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from '../property/every-store.ts'
import { type Program, programOf, wrongCounters } from './counters.ts'
import { runs } from './life.ts'
import { type Effect, programMachine } from './program.ts'
import { SteppedClock } from './stepped-clock.ts'

const hour = 3_600_000
/** Whoever waits looks at the clock again after so long, ms. */
const lookAgain = 60_000
/** A row of a process holds for half a minute; then others look within ten seconds. */
const patience = lookAgain + 40_000

const times = fc.oneof(fc.nat({ max: 2000 }), fc.nat({ max: hour }))
const waits = fc.record({ ms: times })
const beginning = 1_767_225_600_000

/** What happens to two processes on one store. */
const happenings = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('send' as const), by: fc.nat({ max: 1 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      of: fc.nat({ max: 1 }),
      to: fc.oneof(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -48 * hour, max: 48 * hour })),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: times }) },
)

/** A store as another process sees it: what is in memory of a run is known by the store's object. */
function seenApart(store: Store): Store {
  return new Proxy(store, {
    get(target, key) {
      const member = target[key as keyof Store]
      return typeof member === 'function' ? (member as (...args: unknown[]) => unknown).bind(target) : member
    },
  })
}

const draws = fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 60, maxLength: 60 })

describe('clocks that are set while runs go on', () => {
  onEveryStore(
    'two processes on one store: exact counters, in order, and nothing waits for ever',
    (open, elsewhere) =>
      fc.asyncProperty(fc.array(happenings, { minLength: 5, maxLength: 25 }), draws, async (steps, numbers) => {
        const time = new VirtualEnvironment('nobody', beginning)
        const clocks = ['here', 'there'].map(name => new SteppedClock(time, name))
        const shared = open()
        const store = time.awaits(shared)
        const effects: Effect[] = []
        const machine = programMachine(async effect => {
          effects.push(effect)
          await new Promise<void>(resolve => time.setTimeout(resolve, 20))
          if (effect.name === 'thrown') throw new Error('declined')
        })
        const hosts = clocks.map(clock =>
          createHostIn(clock, { machine, store: seenApart(time.awaits(elsewhere(shared))), idle: 1000 }),
        )
        const start = (by: number, key: string) => hosts[by]!.open({ key })
        const sent: Program[number][] = []
        const receipts: Promise<unknown>[] = []
        for (const step of steps) {
          if (step.kind === 'set') clocks[step.of]!.set(step.to)
          else if (step.kind === 'wait') await time.advance(step.ms)
          else {
            for (const instruction of programOf(() => numbers[(sent.length * 3) % numbers.length]!, 1, runs)) {
              const id = `${sent.push(instruction)}`
              const run = await start(step.by, instruction.run)
              receipts.push(run.apply(instruction.event, { id }).finally(() => run.close()))
            }
            await time.settled()
          }
        }
        // The clocks are right again.
        for (const clock of clocks) clock.set(0)
        for (const run of runs) await (await start(0, run)).close()
        await time.advance(patience)
        await Promise.all(receipts)
        // What was stamped by a clock that was ahead is due when that time has come, and no later.
        for (;;) {
          const dues = (await collect(store.list())).flatMap(({ due }) => due ?? [])
          if (dues.length === 0) break
          const next = Math.max(time.now(), Math.min(...dues))
          await time.advance(next - time.now() + patience)
          const late = (await collect(store.list())).filter(({ due }) => due !== null && due <= next)
          expect(late.map(({ key, due }) => ({ key, late: time.now() - due! }))).toEqual([])
        }
        const counters: Record<string, never> = {}
        for await (const head of store.list()) {
          expect({ due: head.due, process: head.beside.process }).toEqual({ due: null, process: null })
          expect(await verifyRun(store, machine, head)).toEqual({ run: head.run, units: head.seq })
          let at = 0
          for await (const unit of store.read(head.run)) {
            expect(unit.at).toBeGreaterThanOrEqual(at)
            at = unit.at
          }
          const run = await openRun(machine, { store, id: head.run })
          counters[head.key!] = run.getSnapshot().context as never
          await run.close()
        }
        expect(wrongCounters(sent, counters, effects)).toEqual([])
        await Promise.all(hosts.map(host => host.close()))
      }),
    { memory: 30, servers: 2 },
  )

  test('a run that is open fires its timers when its clock says so, however that was set, within a minute', async () => {
    const delays = { short: 50, long: 5 * hour }
    const alarm = setup({
      types: {} as {
        context: { rung: number }
        events: { type: 'SET'; delay: keyof typeof delays } | { type: 'RING' }
      },
      delays,
    }).createMachine({
      id: 'alarm',
      context: { rung: 0 },
      on: {
        SET: { actions: raise({ type: 'RING' }, { delay: ({ event }) => delays[event.delay] }) },
        RING: { actions: assign({ rung: ({ context }) => context.rung + 1 }) },
      },
    })
    const sets = fc.record({ delay: fc.constantFrom('short' as const, 'long' as const) })
    const steps = fc.array(fc.oneof(sets, fc.record({ to: fc.integer({ min: -48 * hour, max: 48 * hour }) }), waits))
    const law = fc.asyncProperty(steps, async steps => {
      const time = new VirtualEnvironment('nobody', beginning)
      const clock = new SteppedClock(time, 'here')
      const run = await openRunIn(clock, alarm, { store: memoryStore(), key: 'a' })
      /** When each is due, by what its run was told. */
      const dues: number[] = []
      for (const step of steps) {
        if ('to' in step) clock.set(step.to)
        else if ('ms' in step) await time.advance(step.ms)
        else {
          const receipt = await run.apply({ type: 'SET', delay: step.delay })
          dues.push(receipt.ok ? receipt.at + delays[step.delay] : Number.NaN)
        }
      }
      await time.advance(lookAgain)
      const overdue = dues.filter(due => due <= clock.now() - lookAgain).length
      expect(run.getSnapshot().context.rung).toBeGreaterThanOrEqual(overdue)
      // A clock that only goes on brings all of them, in the end.
      await time.advance(Math.max(0, ...dues.map(due => due - clock.now())) + lookAgain)
      expect(run.getSnapshot().context.rung).toBe(dues.length)
      await run.close()
    })
    await fc.assert(law)
  }, 600_000)
})
