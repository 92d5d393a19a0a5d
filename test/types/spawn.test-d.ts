/** What `spawnRun` and its events tell. Checked by the compiler, here and against the packed package; never run. */
import { expectTypeOf } from 'vitest'
import { type ChildDoneEvent, type ChildErrorEvent, defineMachine, openRun, spawnRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { assign, setup } from 'xstate'
import { light, order } from './machines.ts'

const parent = setup({
  types: {} as {
    context: { rate: number; paid: number }
    events:
      | { type: 'BUY'; id: string; discount: number }
      | { type: 'LIGHT' }
      | ChildDoneEvent<{ paid: number }>
      | ChildErrorEvent
  },
}).createMachine({
  id: 'parent',
  context: { rate: 1, paid: 0 },
  on: {
    BUY: {
      // The child's input, and the parent's context and event, are known where they are used.
      actions: spawnRun(order, {
        key: ({ context, event }) => {
          expectTypeOf(context).toEqualTypeOf<{ rate: number; paid: number }>()
          expectTypeOf(event).toEqualTypeOf<{ type: 'BUY'; id: string; discount: number }>()
          return event.id
        },
        input: ({ event }) => ({ discount: event.discount }),
        policy: { restart: 2 },
        linked: false,
      }),
    },
    // A machine without an input needs none; a definition serves as well as a machine.
    LIGHT: {
      actions: [spawnRun(light, { key: 'l' }), spawnRun(defineMachine(light), { key: 'm', policy: 'escalate' })],
    },
    'xmachines.done.run': { actions: assign({ paid: ({ event }) => event.output.paid }) },
    'xmachines.error.run': { actions: assign({ paid: ({ event }) => event.error.code.length }) },
  },
})
await openRun(parent, { store: memoryStore(), key: 'p' })

// @ts-expect-error: the child's input is missing
spawnRun(order, { key: 'o' })
// @ts-expect-error: the child's input is of another type
spawnRun(order, { key: 'o', input: { discount: '1' } })
// @ts-expect-error: there is no such policy
spawnRun(light, { key: 'l', policy: 'again' })
// @ts-expect-error: a key is needed
spawnRun(light, {})
// @ts-expect-error: no machine
spawnRun({ id: 'light' }, { key: 'l' })
