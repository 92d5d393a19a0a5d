import { defineMachine, invocation, now, random, uuid } from 'xmachines'
import { assign, emit, fromPromise, setup } from 'xstate'
import { z } from 'zod'

const charge = fromPromise(async ({ input }: { input: { amount: number } }) => {
  const { key, attempt, signal } = invocation()
  if (key === '' || attempt !== 1 || signal.aborted) throw new Error('not what it was started with')
  return { charged: input.amount }
})

/** Plain XState: an actor that is invoked, a timer, outputs. */
export const order = setup({
  types: {} as {
    context: { lines: readonly { sku: string; price: number }[]; number: string; charged: number; placedAt: number }
    events: { type: 'ADD'; sku: string; price: number } | { type: 'PLACE' } | { type: 'CANCEL' }
    emitted: { type: 'PLACED'; total: number } | { type: 'CHARGED'; amount: number }
    input: { discount?: number }
    output: { charged: number }
  },
  actors: { charge },
  delays: { patience: 60_000 },
}).createMachine({
  id: 'order',
  context: () => ({ lines: [], number: `${uuid()}/${Math.floor(random() * 1000)}`, charged: 0, placedAt: 0 }),
  initial: 'open',
  states: {
    open: {
      on: {
        ADD: {
          actions: assign({
            lines: ({ context, event }) => [...context.lines, { sku: event.sku, price: event.price }],
          }),
        },
        PLACE: { target: 'charging', guard: ({ context }) => context.lines.length > 0 },
        CANCEL: 'cancelled',
      },
      after: { patience: 'cancelled' },
    },
    charging: {
      entry: [
        assign({ placedAt: () => now() }),
        emit(({ context }) => ({ type: 'PLACED', total: context.lines.reduce((sum, { price }) => sum + price, 0) })),
      ],
      invoke: {
        src: 'charge',
        input: ({ context }) => ({ amount: context.lines.reduce((sum, { price }) => sum + price, 0) }),
        onDone: {
          target: 'charged',
          actions: [
            assign({ charged: ({ event }) => event.output.charged }),
            emit(({ event }) => ({ type: 'CHARGED', amount: event.output.charged })),
          ],
        },
        onError: 'cancelled',
      },
    },
    charged: { type: 'final' },
    cancelled: { type: 'final' },
  },
  output: ({ context }) => ({ charged: context.charged }),
})

/** What XState has no word for, declared beside it. */
export default defineMachine(order, {
  version: '2',
  events: {
    ADD: z.object({ type: z.literal('ADD'), sku: z.string(), price: z.coerce.number<string | number>().positive() }),
    PLACE: z.object({ type: z.literal('PLACE') }),
    CANCEL: z.object({ type: z.literal('CANCEL') }),
  },
  unhandled: 'reject',
  errors: 'reject',
  invocations: { charge: { crash: 'at-most-once', timeout: 5_000 } },
})
