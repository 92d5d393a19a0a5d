import fc from 'fast-check'
import { expect } from 'vitest'
import { type Store, type Supervisor, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { assign, setup } from 'xstate'
import { onEveryStore } from './every-store.ts'

const notes = setup({ types: {} as { context: { sum: number }; events: { type: 'NOTE'; n: number } } }).createMachine({
  id: 'notes',
  context: { sum: 0 },
  on: { NOTE: { actions: assign({ sum: ({ context, event }) => context.sum + event.n }) } },
})

/** What happens to the fleet while records come. */
type Happening =
  | { readonly does: 'join' }
  | { readonly does: 'leave' | 'lose' | 'crash' | 'redeliver'; readonly pick: number }
  | { readonly does: 'send'; readonly count: number }
  | { readonly does: 'yield'; readonly turns: number }

const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ does: fc.constant('join' as const) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constantFrom('leave' as const, 'lose' as const, 'crash' as const, 'redeliver' as const),
        pick: fc.nat(5),
      }),
    },
    { weight: 4, arbitrary: fc.record({ does: fc.constant('send' as const), count: fc.integer({ min: 1, max: 30 }) }) },
    {
      weight: 4,
      arbitrary: fc.record({ does: fc.constant('yield' as const), turns: fc.integer({ min: 1, max: 40 }) }),
    },
  ),
  { maxLength: 25 },
)

const keys = 5

/** The history of every key: what was applied, and the ids of its units. */
async function histories(store: Store): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {}
  for await (const head of store.list()) {
    const units: unknown[] = []
    for await (const { seq, id, at, events } of store.read(head.run)) units.push({ seq, id, at, n: events[0]?.n })
    found[head.key!] = units
  }
  return found
}

/** One consumer that nothing happens to, over the same records. */
async function undisturbed(sent: number): Promise<Record<string, unknown>> {
  const broker = memoryBroker({ partitions: 3 })
  const store = memoryStore()
  await broker.producer({ topic: 't' }).send(records(0, sent))
  const supervisor = supervise({
    machine: notes,
    store,
    consumer: broker.consumer({ topic: 't', group: 'g' }),
    time: 'source',
  })
  await supervisor.caughtUp()
  await supervisor.close()
  return histories(store)
}

function records(from: number, count: number) {
  return Array.from({ length: count }, (_, i) => ({
    key: `k${(from + i) % keys}`,
    value: JSON.stringify({ type: 'NOTE', n: from + i }),
    timestamp: 1000 + from + i,
  }))
}

onEveryStore(
  'any schedule of joins, leaves, losses, crashes and redeliveries: each record once per run, in order, nothing lost, the same ids',
  (open, elsewhere) =>
    fc.asyncProperty(happenings, async schedule => {
      const broker = memoryBroker({ partitions: 3 })
      const store = open()
      const producer = broker.producer({ topic: 't' })
      const fleet: { supervisor: Supervisor; consumer: ReturnType<typeof broker.consumer> }[] = []
      const gone: Supervisor[] = []
      let sent = 0
      const join = (): void => {
        const consumer = broker.consumer({ topic: 't', group: 'g' })
        fleet.push({
          consumer,
          supervisor: supervise({ machine: notes, store: elsewhere(store), consumer, time: 'source' }),
        })
      }
      for (const step of schedule) {
        const member = 'pick' in step && fleet.length > 0 ? fleet[step.pick % fleet.length] : undefined
        if (step.does === 'join' && fleet.length < 4) join()
        else if (step.does === 'send') {
          await producer.send(records(sent, step.count))
          sent += step.count
        } else if (step.does === 'yield') for (let i = 0; i < step.turns; i++) await Promise.resolve()
        else if (step.does === 'lose') broker.faults.lose()
        else if (step.does === 'redeliver') broker.faults.redeliver({}, 7)
        else if (member !== undefined) {
          fleet.splice(fleet.indexOf(member), 1)
          if (step.does === 'leave') await member.supervisor.close()
          else {
            broker.faults.pause(member.consumer).expire()
            gone.push(member.supervisor)
          }
        }
      }
      if (fleet.length === 0) join()
      await fleet[0]!.supervisor.caughtUp()
      for (const { supervisor } of fleet) await supervisor.close()
      expect(await histories(store)).toEqual(await undisturbed(sent))
      void gone // crashed: nobody closes them
    }),
  { memory: 60, servers: 15 },
)
