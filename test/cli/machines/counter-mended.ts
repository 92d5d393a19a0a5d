import { assign } from 'xstate'
import { counter } from './counter.ts'

/** The counter, mended: it counts what it cannot read as nothing. */
export const mended = counter.provide({
  actions: {
    add: assign(({ context, event }) => ({
      count: context.count + (event.type === 'ADD' && Number.isInteger(event.by) ? event.by : 0),
    })),
  },
})
