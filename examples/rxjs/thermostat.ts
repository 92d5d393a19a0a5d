import { emit, setup } from 'xstate'

/** Heats below 18° until it is 21°. */
export const thermostat = setup({
  types: {} as {
    context: { room: string }
    events: { type: 'MEASURED'; celsius: number }
    emitted: { type: 'HEATING' | 'RESTING'; room: string; celsius: number }
    input: { room: string }
  },
}).createMachine({
  id: 'thermostat',
  context: ({ input }) => ({ room: input.room }),
  initial: 'resting',
  states: {
    resting: {
      on: {
        MEASURED: {
          guard: ({ event }) => event.celsius < 18,
          target: 'heating',
          actions: emit(({ context, event }) => ({ type: 'HEATING', room: context.room, celsius: event.celsius })),
        },
      },
    },
    heating: {
      on: {
        MEASURED: {
          guard: ({ event }) => event.celsius >= 21,
          target: 'resting',
          actions: emit(({ context, event }) => ({ type: 'RESTING', room: context.room, celsius: event.celsius })),
        },
      },
    },
  },
})
