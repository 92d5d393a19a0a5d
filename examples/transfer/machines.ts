import { type ChildDoneEvent, type ChildErrorEvent, spawnRun, tell } from 'xmachines'
import { assign, setup } from 'xstate'

/** What a transfer asks of an account, and by which name it wants to be answered. */
interface Request {
  readonly transfer: string
  readonly amount: number
}

const asker = (event: Request) => ({ machine: 'transfer', key: event.transfer })

/** Money, and no more of it than the limit. It answers whoever asks; it knows of no transfer as a whole. */
export const account = setup({
  types: {} as {
    input: { balance: number; limit: number }
    context: { balance: number; limit: number }
    events: ({ type: 'DEBIT' } & Request) | ({ type: 'CREDIT' } & Request) | ({ type: 'REFUND' } & Request)
  },
}).createMachine({
  id: 'account',
  context: ({ input }) => input,
  on: {
    DEBIT: [
      {
        guard: ({ context, event }) => event.amount <= context.balance,
        actions: [
          assign({ balance: ({ context, event }) => context.balance - event.amount }),
          tell(({ event }) => asker(event), { type: 'DEBITED' }),
        ],
      },
      { actions: tell(({ event }) => asker(event), { type: 'REFUSED' }) },
    ],
    CREDIT: [
      {
        guard: ({ context, event }) => context.balance + event.amount <= context.limit,
        actions: [
          assign({ balance: ({ context, event }) => context.balance + event.amount }),
          tell(({ event }) => asker(event), { type: 'CREDITED' }),
        ],
      },
      { actions: tell(({ event }) => asker(event), { type: 'REFUSED' }) },
    ],
    // What was taken from it is given back, whatever the limit.
    REFUND: {
      actions: [
        assign({ balance: ({ context, event }) => context.balance + event.amount }),
        tell(({ event }) => asker(event), { type: 'REFUNDED' }),
      ],
    },
  },
})

/** What is moved from where to where. */
export interface Order {
  readonly from: string
  readonly to: string
  readonly amount: number
}

/** A saga: takes the money, gives it to the other one, and if that one refuses, gives it back. */
export const transfer = setup({
  types: {} as {
    input: Order & { readonly id: string }
    context: Order & { readonly id: string; readonly outcome: 'done' | 'refused' | 'compensated' | null }
    output: { readonly outcome: string | null }
    events: { type: 'DEBITED' } | { type: 'CREDITED' } | { type: 'REFUNDED' } | { type: 'REFUSED' }
  },
}).createMachine({
  id: 'transfer',
  context: ({ input }) => ({ ...input, outcome: null }),
  initial: 'debiting',
  states: {
    debiting: {
      entry: tell(
        ({ context }) => ({ machine: 'account', key: context.from }),
        ({ context: { id, amount } }) => ({ type: 'DEBIT', transfer: id, amount }),
      ),
      on: { DEBITED: 'crediting', REFUSED: { target: 'over', actions: assign({ outcome: 'refused' }) } },
    },
    crediting: {
      entry: tell(
        ({ context }) => ({ machine: 'account', key: context.to }),
        ({ context: { id, amount } }) => ({ type: 'CREDIT', transfer: id, amount }),
      ),
      on: { CREDITED: { target: 'over', actions: assign({ outcome: 'done' }) }, REFUSED: 'compensating' },
    },
    compensating: {
      entry: tell(
        ({ context }) => ({ machine: 'account', key: context.from }),
        ({ context: { id, amount } }) => ({ type: 'REFUND', transfer: id, amount }),
      ),
      on: { REFUNDED: { target: 'over', actions: assign({ outcome: 'compensated' }) } },
    },
    over: { type: 'final' },
  },
  output: ({ context }) => ({ outcome: context.outcome }),
})

/** Starts a transfer for each order, as a run of its own, and counts how they ended. */
export const bank = setup({
  types: {} as {
    context: { ordered: number; ended: Readonly<Record<string, number>> }
    events: ({ type: 'ORDER' } & Order) | ChildDoneEvent<{ outcome: string }> | ChildErrorEvent
  },
}).createMachine({
  id: 'bank',
  context: { ordered: 0, ended: {} },
  on: {
    ORDER: {
      actions: [
        assign({ ordered: ({ context }) => context.ordered + 1 }),
        spawnRun(transfer, {
          key: ({ context }) => `t-${context.ordered}`,
          input: ({ context, event: { from, to, amount } }) => ({ id: `t-${context.ordered}`, from, to, amount }),
        }),
      ],
    },
    'xmachines.done.run': {
      actions: assign({ ended: ({ context, event }) => counted(context.ended, event.output.outcome) }),
    },
    'xmachines.error.run': {
      actions: assign({ ended: ({ context, event }) => counted(context.ended, event.error.code) }),
    },
  },
})

function counted(counts: Readonly<Record<string, number>>, name: string): Record<string, number> {
  return { ...counts, [name]: (counts[name] ?? 0) + 1 }
}
