import fc from 'fast-check'
import { expect } from 'vitest'
import { type AnyMachine, defineMachine, type Migration, verifyRun } from 'xmachines'
import { memoryBroker } from 'xmachines/transports/memory'
import { assign, setup } from 'xstate'
import { superviseIn } from '../../src/actors/supervisor/index.ts'
import { faultyStore } from '../../src/testing/faulty-store.ts'
import { all } from '../actors/run/collect.ts'
import { VirtualEnvironment } from '../actors/supervisor/virtual-environment.ts'
import { onEveryStore } from './every-store.ts'

const tallied = (unit: number) =>
  setup({ types: {} as { context: { sum: number }; events: { type: 'ADD'; by: number } } }).createMachine({
    id: 'tally',
    context: { sum: 0 },
    on: { ADD: { actions: assign({ sum: ({ context, event }) => context.sum + event.by * unit }) } },
  })

/** Three versions, each of which counts in a tenth of the unit before: a run may go over one by one, or through two at once. */
const first = defineMachine(tallied(1), { version: '1' })
const tenfold: Migration['state'] = persisted => ({
  ...persisted,
  context: { sum: Number(persisted.context.sum) * 10 },
})
const second = defineMachine(tallied(10), { version: '2', migrations: [{ from: first, state: tenfold }] })
const third = defineMachine(tallied(100), {
  version: '3',
  migrations: [
    { from: first, to: '2', state: tenfold },
    { from: second, state: tenfold },
  ],
})
const versions: readonly AnyMachine[] = [first, second, third]
const worth = [1, 10, 100]

const key = fc.constantFrom('a', 'b', 'c')
const faults = ['append.before', 'append.after', 'append.late', 'append.torn'] as const
type Step =
  | { readonly does: 'add'; readonly key: string }
  | { readonly does: 'deploy' | 'crash' | 'lose' }
  | { readonly does: (typeof faults)[number] }
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ does: fc.constant('add' as const), key }) },
    { weight: 3, arbitrary: fc.record({ does: fc.constantFrom('deploy' as const, 'deploy', 'crash', 'lose') }) },
    { weight: 2, arbitrary: fc.record({ does: fc.constantFrom(...faults) }) },
  ) as fc.Arbitrary<Step>,
  { maxLength: 25 },
)

onEveryStore(
  'whatever happens while supervisors of later versions take over: each run goes over once a version, and no record is lost or taken twice',
  (open, elsewhere) =>
    fc.asyncProperty(steps, async schedule => {
      const time = new VirtualEnvironment()
      const broker = memoryBroker({ partitions: 2, id: 'cluster', timers: time, clock: () => time.now() })
      const shared = open()
      const kept = time.awaits(shared)
      let version = 0
      let processes = 0
      const start = () => {
        const store = faultyStore(time.awaits(elsewhere(shared)))
        const consumer = broker.consumer({ topic: 't', group: 'g' })
        const supervisor = superviseIn(time.fork(`p${++processes}`), {
          machine: versions[version]!,
          store,
          consumer,
          deadLetters: broker.producer({ topic: 'd' }),
        })
        return { store, consumer, supervisor }
      }
      const leave = async ({ supervisor }: ReturnType<typeof start>): Promise<void> => {
        const closed = supervisor.close()
        await time.advance(30_000)
        await closed
      }
      const sent: Record<string, number[]> = {}
      let count = 0
      let now = start()
      const gone: ReturnType<typeof start>[] = []
      for (const step of schedule) {
        switch (step.does) {
          case 'add':
            ;(sent[step.key] ??= []).push(++count)
            await broker
              .producer({ topic: 't' })
              .send([{ key: step.key, value: JSON.stringify({ type: 'ADD', by: count }) }])
            break
          case 'deploy':
            version = Math.min(2, version + 1)
            await leave(now)
            now = start()
            break
          case 'crash':
            // It is cut off, and knows nothing of it.
            broker.faults.pause(now.consumer).expire()
            gone.push(now)
            now = start()
            break
          case 'lose':
            broker.faults.lose()
            break
          default: {
            const planned = now.store.faults.plan(step.does)
            setImmediate(() => planned.release())
          }
        }
        await Promise.resolve()
      }
      version = 2
      // Also those that come back with an older version: they stop where a run has gone over.
      for (const one of [...gone, now]) await leave(one)
      const last = start()
      for (const one of Object.keys(sent))
        await broker.producer({ topic: 't' }).send([{ key: one, value: JSON.stringify({ type: 'ADD', by: 0 }) }])
      const caughtUp = last.supervisor.caughtUp()
      await time.advance(60_000)
      await caughtUp
      for (const [one, numbers] of Object.entries(sent)) {
        const head = (await kept.head((await kept.find('t', one))!))!
        const units = await all(kept.read(head.run))
        expect(units.flatMap(({ events }) => events.map(({ by }) => by))).toEqual([...numbers, 0])
        // Never back, and never twice to the same.
        const taken = units.flatMap(({ machine, creation }) => machine ?? creation?.machine ?? [])
        const oids = await Promise.all(taken.map(async oid => (await kept.machine(oid))!.version))
        expect(oids).toEqual([...new Set(oids)].sort())
        expect(oids.at(-1)).toBe('3')
        expect(await verifyRun(kept, [third, second, first], head)).toEqual({ run: head.run, units: head.seq })
        let sum = 0
        let at = 0
        for (const { events, machine, creation } of units) {
          const named = machine ?? creation?.machine
          if (named !== undefined) {
            const next = Number((await kept.machine(named))!.version) - 1
            sum *= worth[next]! / worth[at]!
            at = next
          }
          for (const { by } of events) sum += Number(by) * worth[at]!
        }
        expect(sum).toBe([...numbers].reduce((total, n) => total + n, 0) * 100)
      }
      await leave(last)
      await time.settled()
      expect(time.timers).toBe(0)
    }),
  { memory: 60, servers: 10 },
)
