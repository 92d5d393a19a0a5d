import { describe, expect, test } from 'vitest'
import { createRun, defineMachine, type ErrorCode, openRun, type Store, supervise, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type MemoryBroker, memoryBroker } from 'xmachines/transports/memory'
import { assign, createMachine, fromTransition, setup } from 'xstate'

/*
 * Errors that take some doing: each is made to happen through public doors only.
 */

const counter = setup({ types: {} as { context: { count: number }; events: { type: 'ADD' } } }).createMachine({
  id: 'counter',
  context: { count: 0 },
  on: { ADD: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
})

/** Runs of `counter`, driven by a broker of its own with so many partitions. */
function superviseCounter(store: Store, broker: MemoryBroker, machine = defineMachine(counter)) {
  return supervise({
    machine,
    store,
    consumer: broker.consumer({ topic: 'counts', group: 'counters' }),
    deadLetters: broker.producer({ topic: 'counts.dlq' }),
    time: 'source',
    restart: { attempts: 1 },
  })
}

describe('a run', () => {
  test('refuses more than its mailbox holds, and goes on', async () => {
    await using run = createRun(counter)
    const sent = Array.from({ length: 70_000 }, () => run.apply({ type: 'ADD' }))
    const settled = await Promise.allSettled(sent)
    const taken = settled.filter(({ status }) => status === 'fulfilled')
    const refused = settled.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[]
    expect(taken.length + refused.length).toBe(70_000)
    expect(refused.length).toBeGreaterThan(0)
    for (const { reason } of refused.slice(0, 10)) expectCode(reason, 'MAILBOX_FULL')
    expect(await run.apply({ type: 'ADD' })).toMatchObject({ ok: true, seq: taken.length + 1 })
  })

  test('has no mailbox for a child: only the machine may send to one', async () => {
    const parent = setup({ actors: { child: fromTransition((state: number) => state, 0) } }).createMachine({
      id: 'parent',
      invoke: { src: 'child', id: 'child' },
    })
    await using run = createRun(parent)
    const child = run.getSnapshot().children.child!
    expectCode(
      thrownBy(() => child.send({ type: 'ANYTHING' })),
      'CHILD_SEND_OUTSIDE_STEP',
    )
    // It has no observers of its own, and says what has.
    for (const watch of [() => child.subscribe(() => {}), () => child.on('*', () => {})]) {
      expectCode(thrownBy(watch), 'MACHINE_UNSUPPORTED')
      expect(() => watch()).toThrow("the child actor 'child', which is a part of its run. Subscribe to the run")
    }
  })

  test('gives up when another writer is first, again and again', { timeout: 5_000 }, async () => {
    const store = memoryStore()
    const created = createRun(counter, { store, key: 'a' })
    await created.ready
    await created.close()
    const append = store.append.bind(store)
    store.append = async (items, options) =>
      items.some(({ units }) => units.length > 0)
        ? items.map(() => ({ status: 'conflict' as const, seq: 0, revision: 1 }))
        : append(items, options)
    const run = await openRun(counter, { store, key: 'a' })
    expectCode(await rejectionOf(run.apply({ type: 'ADD' })), 'RUN_CONFLICT')
  })
})

describe('a supervisor', () => {
  test('refuses a record of a run that belongs to another partition', async () => {
    const store = memoryStore()
    const before = memoryBroker({ partitions: 1 })
    const records = Array.from({ length: 8 }, (_, index) => ({ key: `key-${index}`, value: '{"type":"ADD"}' }))
    await before.producer({ topic: 'counts' }).send(records)
    {
      await using supervisor = superviseCounter(store, before)
      await supervisor.caughtUp()
    }
    // The same topic with more partitions: most keys are in another one now.
    const after = memoryBroker({ partitions: 8 })
    after.createTopic('counts.dlq', 1)
    const places = await after.producer({ topic: 'counts' }).send(records)
    await using supervisor = superviseCounter(store, after)
    await supervisor.caughtUp()
    const moved = places.filter(({ partition }) => partition !== 0).length
    expect(supervisor.status().deadLettered).toBe(moved)
    const [letter] = await readOne(after, 'counts.dlq')
    expect(letter).toContain('LEASE_MISPLACED')
    await Promise.all([before.close(), after.close()])
  })

  test('stops a lease, loudly, when a record is refused and there are no dead letters', async () => {
    const broker = memoryBroker()
    await broker.producer({ topic: 'counts' }).send([{ key: 'a', value: 'no event' }])
    const consumer = broker.consumer({ topic: 'counts', group: 'counters' })
    await using supervisor = supervise({ machine: counter, store: memoryStore(), consumer })
    expectCode(await rejectionOf(supervisor.caughtUp()), 'SUPERVISOR_STOPPED')
    const { state, error } = supervisor.status().leases[0]!
    expect({ state, cause: error?.cause }).toMatchObject({ state: 'stopped', cause: { code: 'RECORD_UNDECODABLE' } })
    await supervisor.close()
    await broker.close()
  })

  test('parks a run whose history has lost a unit, and refuses its records', async () => {
    const store = memoryStore()
    store.loadSnapshot = async () => undefined // so that the history has to be decided again
    const broker = memoryBroker()
    const producer = broker.producer({ topic: 'counts' })
    const send = () => producer.send([{ key: 'a', value: '{"type":"ADD"}' }])
    await send()
    await send()
    {
      await using supervisor = superviseCounter(store, broker)
      await supervisor.caughtUp()
    }
    const read = store.read.bind(store)
    store.read = (run, options) =>
      read(run, options).pipeThrough(
        new TransformStream({ transform: (unit, to) => void (unit.seq !== 1 && to.enqueue(unit)) }),
      )
    await send()
    await using supervisor = superviseCounter(store, broker)
    await supervisor.caughtUp()
    expect(supervisor.status()).toMatchObject({ parked: [{ key: 'a', code: 'RUN_DAMAGED' }], deadLettered: 1 })
    const [letter] = await readOne(broker, 'counts.dlq')
    expect(letter).toContain('RUN_PARKED')
    await broker.close()
  })

  test('stops, and parks nothing, when the code was changed under an unchanged version', async () => {
    const store = memoryStore()
    store.loadSnapshot = async () => undefined
    const broker = memoryBroker()
    const producer = broker.producer({ topic: 'counts' })
    const send = () => producer.send([{ key: 'a', value: '{"type":"ADD"}' }])
    await send()
    {
      await using supervisor = superviseCounter(store, broker, machineThatAdds(1) as never)
      await supervisor.caughtUp()
    }
    await send()
    await using supervisor = superviseCounter(store, broker, machineThatAdds(2) as never)
    expect(await rejectionOf(supervisor.caughtUp())).toMatchObject({
      code: 'SUPERVISOR_STOPPED',
      cause: { code: 'REPLAY_DIVERGED', details: { seq: 1, path: '$.context' } },
    })
    expect(supervisor.status()).toMatchObject({ parked: [], deadLettered: 0 })
    await broker.close()
  })
})

/** One config, and functions that differ. */
function machineThatAdds(by: number) {
  return defineMachine(
    createMachine({
      id: 'counter',
      context: { count: 0 },
      on: { ADD: { actions: assign({ count: ({ context }: { context: { count: number } }) => context.count + by }) } },
    }),
  )
}

function expectCode(error: unknown, code: ErrorCode): void {
  expect(XMachinesError.is(error) ? error.code : error).toBe(code)
}

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (thrown) {
    return thrown
  }
  return undefined
}

function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
}

/** The headers and the value of the first record of a topic, as text. */
async function readOne(broker: MemoryBroker, topic: string): Promise<string[]> {
  const text = new TextDecoder()
  const consumer = broker.consumer({ topic, group: 'check' })
  for await (const lease of consumer.leases) {
    for await (const { value, headers } of lease.records) {
      void consumer.close()
      await lease.release()
      return [[...headers.map(([name, bytes]) => `${name}: ${text.decode(bytes!)}`), text.decode(value!)].join('\n')]
    }
  }
  return []
}
