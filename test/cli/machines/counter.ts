import { assign, emit, setup } from 'xstate'
import { random } from '../../../src/actors/step.ts'

/** Counts; rests after a minute; refuses what it cannot add; ends when it is closed. */
export const counter = setup({
  types: {
    context: {} as { count: number; lucky: number },
    events: {} as { type: 'ADD'; by: number } | { type: 'DRAW' } | { type: 'CLOSE' },
    emitted: {} as { type: 'TOTAL'; count: number },
  },
  actions: {
    add: assign(({ context, event }) => {
      if (event.type !== 'ADD' || !Number.isInteger(event.by)) throw new Error('by is no whole number')
      return { count: context.count + event.by }
    }),
    tell: emit(({ context }) => ({ type: 'TOTAL' as const, count: context.count })),
  },
}).createMachine({
  id: 'counter',
  context: { count: 0, lucky: 0 },
  initial: 'awake',
  on: {
    ADD: { target: '.awake', reenter: true, actions: ['add', 'tell'] },
    DRAW: { actions: assign({ lucky: () => random() }) },
    CLOSE: '.closed',
  },
  states: {
    awake: { after: { 60000: 'resting' } },
    resting: {},
    closed: { type: 'final' },
  },
})
