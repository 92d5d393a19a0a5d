import { expect, test } from 'vitest'
import {
  type ChildDoneEvent,
  type ChildErrorEvent,
  defineMachine,
  invocation,
  random,
  spawnRun,
  tell,
  type UndeliveredEvent,
} from 'xmachines'
import { type SimulatedWorld, simulate } from 'xmachines/testing'
import { assign, enqueueActions, fromCallback, fromPromise, setup } from 'xstate'

/** The world of the seed that is running. */
let world: SimulatedWorld
let started: string[] = []

/** A child of everything at once: a promise that is retried, one that starts once, a callback, timers whose delay is drawn. */
const worker = defineMachine(
  setup({
    types: {} as {
      context: { round: number; added: number; heard: number }
      input: { round: number }
      events: { type: 'ADD' } | { type: 'TICK' } | { type: 'BOOM' }
    },
    actors: {
      flaky: fromPromise(async () => {
        await world.sleep(world.random.below(3000))
        if (world.random.below(4) === 0) throw new Error('flaky')
      }),
      once: fromPromise(async () => {
        started.push(invocation().key)
        await world.sleep(world.random.below(500))
      }),
      ticker: fromCallback(({ sendBack, receive }) => {
        receive(() => sendBack({ type: 'TICK' }))
        sendBack({ type: 'TICK' })
      }),
    },
    delays: { drawn: () => 500 + Math.floor(random() * 2000) },
  }).createMachine({
    id: 'worker',
    context: ({ input }) => ({ round: input.round, added: 0, heard: 0 }),
    invoke: { src: 'ticker', id: 'ticker' },
    on: {
      ADD: { actions: assign({ added: ({ context }) => context.added + 1 }) },
      TICK: { actions: assign({ heard: ({ context }) => context.heard + 1 }) },
      BOOM: '.boom',
    },
    initial: 'trying',
    states: {
      trying: { invoke: { src: 'flaky', onDone: 'closing', onError: 'resting' }, after: { drawn: 'resting' } },
      resting: {
        always: { guard: ({ context }) => context.round >= 3, target: 'boom' },
        after: { drawn: { target: 'trying', actions: assign({ round: ({ context }) => context.round + 1 }) } },
      },
      closing: {
        entry: enqueueActions(({ enqueue }) => enqueue.sendTo('ticker', { type: 'TICK' })),
        invoke: { src: 'once' },
        after: { 1000: 'ended' },
      },
      boom: {
        always: {
          target: 'ended',
          actions: assign(() => {
            throw new Error('boom')
          }),
        },
      },
      ended: { type: 'final' },
    },
  }),
  {
    errors: 'fatal',
    invocations: { flaky: { crash: 'retry', attempts: 2, backoff: { initial: 100 } }, once: 'at-most-once' },
  },
)

const parent = setup({
  types: {} as {
    context: { hired: string[]; ended: string[] }
    events:
      | { type: 'HIRE'; key: string; round: number; restarts: number }
      | { type: 'POKE'; key: string; with: 'ADD' | 'BOOM' }
      | ChildDoneEvent
      | ChildErrorEvent
      | UndeliveredEvent
  },
}).createMachine({
  id: 'parent',
  context: { hired: [], ended: [] },
  on: {
    HIRE: {
      guard: ({ context, event }) => !context.hired.includes(event.key),
      actions: enqueueActions(({ enqueue, context, event: { key, round, restarts } }) => {
        enqueue.assign({ hired: [...context.hired, key] })
        enqueue(spawnRun(worker, { key, input: { round }, policy: restarts > 0 ? { restart: restarts } : 'stop' }))
        enqueue(tell({ namespace: 'worker', key }, { type: 'ADD' }))
      }),
    },
    POKE: {
      actions: enqueueActions(({ enqueue, event }) =>
        enqueue(tell({ namespace: 'worker', key: event.key }, { type: event.with })),
      ),
    },
    'xmachines.done.run': { actions: assign({ ended: ({ context, event }) => [...context.ended, event.key] }) },
    'xmachines.error.run': { actions: assign({ ended: ({ context, event }) => [...context.ended, event.key] }) },
  },
})

test('families of runs, whatever befalls two processes: each child ends, and is told once; what starts once, did', async () => {
  const seeds = Math.max(1, Math.round(0.02 * Number(process.env.FC_RUNS ?? 2_000)))
  const from = Number(process.env.FC_SEED ?? Date.now() % 1_000_000)
  console.log(`families: seeds ${from} to ${from + seeds - 1}`)
  const report = await simulate({
    seeds,
    from,
    processes: 2,
    crashes: 4,
    faults: 4,
    scenario: seen => {
      world = seen
      started = []
      const key = (): string => world.random.pick(['a', 'b', 'c'])
      return {
        machine: [parent, worker] as const,
        events: Array.from({ length: 1 + world.random.below(7) }, () =>
          world.random.below(10) < 4
            ? { type: 'HIRE' as const, key: key(), round: world.random.below(3), restarts: world.random.below(3) }
            : {
                type: 'POKE' as const,
                key: key(),
                with: world.random.below(6) === 0 ? ('BOOM' as const) : ('ADD' as const),
              },
        ),
        atEnd: ({ runs }) => {
          const { hired, ended } = runs.run!.context
          expect([...ended].sort()).toEqual([...hired].sort())
          expect(new Set(started).size).toBe(started.length)
        },
      }
    },
  })
  expect(report.units).toBeGreaterThan(0)
}, 600_000)
