import { tell, type UndeliveredEvent } from 'xmachines'
import { assign, enqueueActions, setup } from 'xstate'

/** An account that pays others by mail, and takes back what could not be delivered. */
export const account = setup({
  types: {} as {
    context: { balance: number; seen: string[] }
    input: { balance: number } | undefined
    events:
      | { type: 'PAY'; to: string; amounts: number[] }
      | { type: 'DEPOSIT'; amount: number; note: string }
      | { type: 'CLOSE' }
      | UndeliveredEvent
  },
  guards: { covered: ({ context }, { amount }: { amount: number }) => amount <= context.balance },
}).createMachine({
  id: 'account',
  context: ({ input }) => ({ balance: input?.balance ?? 0, seen: [] }),
  initial: 'open',
  states: {
    open: {
      on: {
        PAY: {
          guard: { type: 'covered', params: ({ event }) => ({ amount: sum(event.amounts) }) },
          actions: [
            assign({ balance: ({ context, event }) => context.balance - sum(event.amounts) }),
            enqueueActions(({ enqueue, event }) => {
              for (const amount of event.amounts)
                enqueue(tell({ machine: 'account', key: event.to }, { type: 'DEPOSIT', amount, note: `${amount}` }))
            }),
          ],
        },
        DEPOSIT: {
          actions: assign({
            balance: ({ context, event }) => context.balance + event.amount,
            seen: ({ context, event }) => [...context.seen, event.note],
          }),
        },
        'xmachines.undelivered': {
          actions: assign({
            balance: ({ context, event }) => context.balance + (event.event as unknown as { amount: number }).amount,
            seen: ({ context, event }) => [...context.seen, event.reason.code],
          }),
        },
        CLOSE: 'closed',
      },
    },
    closed: { type: 'final' },
  },
})

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0)
}
