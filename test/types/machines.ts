import { fromPromise, setup } from 'xstate'

/** Everything that a run's types are inferred from: events, context, outputs, input, output. */
export const order = setup({
  types: {} as {
    context: { total: number }
    events: { type: 'ADD'; price: number } | { type: 'CLOSE' }
    emitted: { type: 'CLOSED'; total: number }
    input: { discount: number }
    output: { paid: number }
    tags: 'busy'
  },
  actors: { charge: fromPromise(async () => 1) },
}).createMachine({
  id: 'order',
  context: { total: 0 },
  initial: 'open',
  states: { open: { on: { CLOSE: 'closed' } }, closed: { type: 'final' } },
  output: ({ context }) => ({ paid: context.total }),
})

/** Another machine, with events of its own. */
export const light = setup({ types: {} as { events: { type: 'NEXT' } } }).createMachine({
  id: 'light',
  initial: 'red',
  states: { red: { on: { NEXT: 'green' } }, green: {} },
})
