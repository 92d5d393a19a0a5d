import { assign, emit, setup } from 'xstate'

/** What happens to an order. */
export type OrderEvent =
  | { readonly type: 'ADD'; readonly sku: string; readonly price: number }
  | { readonly type: 'PLACE' }
  | { readonly type: 'PAID'; readonly amount: number }
  | { readonly type: 'SHIPPED' }

/** An order: filled, placed, paid, shipped. What it is not told in time it refuses. */
export const order = setup({
  types: {
    context: {} as { total: number; lines: number },
    events: {} as OrderEvent,
    emitted: {} as { type: 'PLACED'; total: number } | { type: 'COMPLETED'; total: number },
  },
  actions: {
    add: assign(({ context, event }) => {
      if (event.type !== 'ADD' || !(event.price > 0)) throw new Error('a line needs a price above 0')
      return { total: context.total + event.price, lines: context.lines + 1 }
    }),
    tellPlaced: emit(({ context }) => ({ type: 'PLACED' as const, total: context.total })),
    tellCompleted: emit(({ context }) => ({ type: 'COMPLETED' as const, total: context.total })),
  },
  guards: {
    covers: ({ context, event }) => event.type === 'PAID' && event.amount >= context.total,
  },
}).createMachine({
  id: 'order',
  context: { total: 0, lines: 0 },
  initial: 'open',
  states: {
    open: { on: { ADD: { actions: 'add' }, PLACE: { target: 'placed', actions: 'tellPlaced' } } },
    placed: { on: { PAID: { guard: 'covers', target: 'paid' } } },
    paid: { on: { SHIPPED: { target: 'completed', actions: 'tellCompleted' } } },
    completed: {},
  },
})
