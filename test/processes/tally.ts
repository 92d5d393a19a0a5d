import { assign, emit, setup } from 'xstate'

/** Counts, and says after each event how far it is. */
export const tally = setup({
  types: {
    context: {} as { count: number },
    events: {} as { type: 'ADD'; by: string },
    emitted: {} as { type: 'COUNTED'; count: number; by: string },
  },
}).createMachine({
  id: 'tally',
  context: { count: 0 },
  on: {
    ADD: {
      actions: [
        assign({ count: ({ context }) => context.count + 1 }),
        emit(({ context, event }) => ({ type: 'COUNTED' as const, count: context.count, by: event.by })),
      ],
    },
  },
})
