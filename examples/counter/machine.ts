import { assign, setup } from 'xstate'

/** Counts once it was started. */
export const counterMachine = setup({
  types: {} as {
    context: { count: number }
    events: { type: 'START' } | { type: 'INCREMENT'; value: number }
  },
}).createMachine({
  id: 'counter',
  context: { count: 0 },
  initial: 'idle',
  states: {
    idle: { on: { START: 'counting' } },
    counting: {
      on: { INCREMENT: { actions: assign({ count: ({ context, event }) => context.count + event.value }) } },
    },
  },
})
