import { fromPromise, setup } from 'xstate'

/** Says so when an effect of it is started. */
export default setup({
  types: { events: {} as { type: 'SEND' } },
  actors: { charge: fromPromise(async () => console.error('charged')) },
  actions: { ring: () => console.error('rang') },
}).createMachine({
  id: 'noisy',
  initial: 'idle',
  states: {
    idle: { entry: 'ring', on: { SEND: { target: 'charging', actions: 'ring' } } },
    charging: { invoke: { src: 'charge', onDone: 'charged' }, after: { 1000: 'reminded' } },
    reminded: {},
    charged: {},
  },
})
