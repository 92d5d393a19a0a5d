import { defineMachine } from 'xmachines'
import { assign, emit, setup } from 'xstate'
import { z } from 'zod'

interface Line {
  sku: string
  price: number
}

const order = setup({
  types: {} as {
    context: { lines: readonly Line[]; parcel: string | null }
    events: ({ type: 'ADD' } & Line) | { type: 'PLACE' } | { type: 'SHIP'; parcel: string } | { type: 'CANCEL' }
    emitted: { type: 'PLACED'; total: number } | { type: 'SHIPPED'; parcel: string }
  },
  guards: {
    hasLines: ({ context }) => context.lines.length > 0,
  },
}).createMachine({
  id: 'order',
  context: { lines: [], parcel: null },
  initial: 'open',
  states: {
    open: {
      on: {
        ADD: {
          actions: assign({
            lines: ({ context, event }) => [...context.lines, { sku: event.sku, price: event.price }],
          }),
        },
        PLACE: { target: 'placed', guard: 'hasLines' },
        CANCEL: 'cancelled',
      },
    },
    placed: {
      entry: emit(({ context }) => ({
        type: 'PLACED',
        total: context.lines.reduce((total, { price }) => total + price, 0),
      })),
      on: {
        SHIP: {
          target: 'shipped',
          actions: [
            assign({ parcel: ({ event }) => event.parcel }),
            emit(({ event }) => ({ type: 'SHIPPED', parcel: event.parcel })),
          ],
        },
        CANCEL: 'cancelled',
      },
    },
    shipped: { type: 'final' },
    cancelled: { type: 'final' },
  },
})

/** The machine with what a server needs beside it: the events that may come in, and no silent no. */
export default defineMachine(order, {
  events: {
    ADD: z.object({ type: z.literal('ADD'), sku: z.string().min(1), price: z.number().positive() }),
    PLACE: z.object({ type: z.literal('PLACE') }),
    SHIP: z.object({ type: z.literal('SHIP'), parcel: z.string().min(1) }),
    CANCEL: z.object({ type: z.literal('CANCEL') }),
  },
  unhandled: 'reject',
})
