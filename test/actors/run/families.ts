import { type ChildDoneEvent, type ChildErrorEvent, defineMachine, spawnRun, tell } from 'xmachines'
import { assign, enqueueActions, setup } from 'xstate'

/** A child that works for a while, and ends as it is told. */
const working = setup({
  types: {} as {
    context: { amount: number }
    input: { amount: number }
    output: { made: number }
    events: { type: 'FINISH' } | { type: 'FAIL' } | { type: 'ADD'; amount: number }
  },
}).createMachine({
  id: 'worker',
  context: ({ input }) => ({ amount: input.amount }),
  initial: 'working',
  states: {
    working: {
      always: { guard: ({ context }) => context.amount === 0, target: 'done' },
      on: {
        FINISH: 'done',
        ADD: { actions: assign({ amount: ({ context, event }) => context.amount + event.amount }) },
        FAIL: {
          actions: assign(() => {
            throw Object.assign(new Error('out of paper'), { code: 'PAPER' })
          }),
        },
      },
      after: { 1000: 'done' },
    },
    done: { type: 'final' },
  },
  output: ({ context }) => ({ made: context.amount }),
})

/** What its steps throw ends it. */
export const worker = defineMachine(working, { errors: 'fatal' })

const terms = { machine: 'worker' }

/** A parent that starts workers, each as its event says, and keeps what it hears of them. */
export const foreman = setup({
  types: {} as {
    context: { heard: { type: string; key: string; what: unknown }[] }
    events:
      | { type: 'HIRE' | 'HIRE_RESTARTED' | 'HIRE_CRITICAL' | 'HIRE_FREE'; keys: string[]; amount: number }
      | { type: 'TELL'; key: string; event: 'FINISH' | 'FAIL' }
      | { type: 'END' }
      | ChildDoneEvent<{ made: number }>
      | ChildErrorEvent
  },
}).createMachine({
  id: 'foreman',
  context: { heard: [] },
  initial: 'open',
  states: {
    open: {
      on: {
        HIRE: {
          actions: enqueueActions(({ enqueue, event }) => {
            for (const key of event.keys) enqueue(spawnRun(worker, { key, input: { amount: event.amount } }))
          }),
        },
        HIRE_RESTARTED: {
          actions: spawnRun(worker, {
            key: ({ event }) => event.keys[0]!,
            input: ({ event }) => ({ amount: event.amount }),
            policy: { restart: 2 },
          }),
        },
        HIRE_CRITICAL: {
          actions: spawnRun(worker, {
            key: ({ event }) => event.keys[0]!,
            input: ({ event }) => ({ amount: event.amount }),
            policy: 'escalate',
          }),
        },
        HIRE_FREE: {
          actions: spawnRun(worker, {
            key: ({ event }) => event.keys[0]!,
            input: ({ event }) => ({ amount: event.amount }),
            linked: false,
          }),
        },
        TELL: {
          actions: tell(
            ({ event }) => ({ ...terms, key: event.key }),
            ({ event }) => ({ type: event.event }),
          ),
        },
        END: 'ended',
        'xmachines.done.run': {
          actions: assign({
            heard: ({ context, event }) => [
              ...context.heard,
              { type: 'done', key: event.key, what: event.output.made },
            ],
          }),
        },
        'xmachines.error.run': {
          actions: assign({
            heard: ({ context, event }) => [
              ...context.heard,
              { type: 'error', key: event.key, what: event.error.code },
            ],
          }),
        },
      },
    },
    ended: { type: 'final' },
  },
})
