import { assign, setup } from 'xstate'
// Not the whole package: every command that takes this machine would load it a second time.
import { defineMachine } from '../../../src/actors/machine/definition.ts'
import { counter } from './counter.ts'

const next = setup({
  types: { context: {} as { total: number }, events: {} as { type: 'ADD'; by: number } },
  actions: { add: assign(({ context, event }) => ({ total: context.total + event.by })) },
}).createMachine({
  id: 'counter',
  context: { total: 0 },
  initial: 'awake',
  states: { awake: { on: { ADD: { actions: 'add' } } }, resting: {}, closed: { type: 'final' } },
})

/** The counter, whose runs go over with their count under another name. */
export const migrated = defineMachine(next, {
  version: '2',
  migrations: [{ from: counter, state: ({ context, ...rest }) => ({ ...rest, context: { total: context.count! } }) }],
})

/** The same, with a mistake: it cannot take a run over. */
export const mistaken = defineMachine(next, {
  version: '2',
  migrations: [
    {
      from: counter,
      state: () => {
        throw new Error('what was I thinking')
      },
    },
  ],
})

/** The same, which nothing leads to. */
export const unrelated = defineMachine(next, { version: '2' })

/** The same under another version, which decides alike. */
export const renumbered = defineMachine(next, { version: '3', migrations: [{ from: migrated }] })
