import { assign, fromPromise, sendTo, setup } from 'xstate'

const counter = setup({
  types: { context: {} as { count: number }, events: {} as { type: 'UP' } },
}).createMachine({
  id: 'counter',
  context: { count: 0 },
  on: { UP: { actions: assign({ count: ({ context }) => context.count + 1 }) } },
})

/** A parent with a child machine, a promise and a timer. */
export const parent = setup({
  types: { context: {} as { answer: number }, events: {} as { type: 'ASK' | 'UP' | 'WAIT' } },
  actors: { counter, ask: fromPromise(async () => 42) },
}).createMachine({
  id: 'parent',
  context: { answer: 0 },
  invoke: { src: 'counter', id: 'counter' },
  initial: 'idle',
  on: { UP: { actions: sendTo('counter', { type: 'UP' }) } },
  states: {
    idle: { on: { ASK: 'asking', WAIT: 'waiting' } },
    asking: {
      invoke: {
        src: 'ask',
        id: 'ask',
        onDone: { target: 'idle', actions: assign({ answer: ({ event }) => event.output }) },
      },
    },
    waiting: { after: { 1000: 'idle' } },
  },
})
