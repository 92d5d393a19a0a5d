import { assign, emit, setup } from 'xstate'

/** The machine of most benchmarks: two working states and an end, six events, small contexts. Cheap steps are the hardest to compare with. */
export const order = setup({
  types: {} as {
    context: { lines: number; total: number; note: string }
    events:
      | { type: 'ADD'; sku: string; price: number }
      | { type: 'REMOVE'; price: number }
      | { type: 'NOTE'; text: string }
      | { type: 'HOLD' }
      | { type: 'RESUME' }
      | { type: 'CLOSE' }
    emitted: { type: 'HELD'; total: number }
  },
}).createMachine({
  id: 'order',
  context: { lines: 0, total: 0, note: '' },
  initial: 'open',
  states: {
    open: {
      on: {
        ADD: {
          actions: assign({
            lines: ({ context }) => context.lines + 1,
            total: ({ context, event }) => context.total + event.price,
          }),
        },
        REMOVE: {
          actions: assign({
            lines: ({ context }) => context.lines - 1,
            total: ({ context, event }) => context.total - event.price,
          }),
        },
        NOTE: { actions: assign({ note: ({ event }) => event.text }) },
        HOLD: { target: 'held', actions: emit(({ context }) => ({ type: 'HELD' as const, total: context.total })) },
        CLOSE: 'closed',
      },
    },
    held: { on: { RESUME: 'open', NOTE: { actions: assign({ note: ({ event }) => event.text }) } } },
    closed: { type: 'final' },
  },
})

/** The events of `order`, never its end. */
export type OrderEvent = Exclude<Parameters<typeof order.transition>[1], { type: 'CLOSE' }>

/** A mixed log: mostly assignments, every tenth event a transition. Deterministic. */
export function orderEvents(count: number): OrderEvent[] {
  const events: OrderEvent[] = []
  for (let i = 0; i < count; i++) {
    if (i % 20 === 9) events.push({ type: 'HOLD' })
    else if (i % 20 === 10) events.push({ type: 'RESUME' })
    else if (i % 5 === 0) events.push({ type: 'NOTE', text: `note ${i}` })
    else if (i % 7 === 0) events.push({ type: 'REMOVE', price: i % 13 })
    else events.push({ type: 'ADD', sku: `sku-${i % 100}`, price: i % 17 })
  }
  return events
}
