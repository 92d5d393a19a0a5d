import { defineMachine } from 'xmachines'
import { assign, emit, setup } from 'xstate'

/** Counts what it is told, and says so. @param step is called in the middle of each step */
export function orderMachine(step: () => void = () => {}) {
  const machine = setup({
    types: {
      context: {} as { count: number },
      events: {} as { type: 'ADD'; by: string },
      emitted: {} as { type: 'COUNTED'; count: number; by: string },
    },
  }).createMachine({
    id: 'order',
    context: { count: 0 },
    on: {
      ADD: {
        actions: [
          assign({
            count: ({ context }) => {
              step()
              return context.count + 1
            },
          }),
          emit(({ context, event }) => ({ type: 'COUNTED' as const, count: context.count, by: event.by })),
        ],
      },
    },
  })
  return defineMachine(machine, { unhandled: 'reject' })
}
