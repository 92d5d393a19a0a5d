import { defineMachine, now, random, uuid } from 'xmachines'
import {
  assign,
  cancel,
  emit,
  enqueueActions,
  fromCallback,
  fromObservable,
  fromPromise,
  fromTransition,
  raise,
  type Subscribable,
  sendParent,
  sendTo,
  setup,
  stopChild,
} from 'xstate'

/*
 * The machines that the golden logs are of. They never change: a log belongs to its machine. What a later log needs goes
 * into a machine of its own.
 */

const courier = setup({
  types: {} as { input: { stops: number }; context: { left: number }; output: { driven: number } },
}).createMachine({
  id: 'courier',
  context: ({ input }) => ({ left: input.stops }),
  initial: 'driving',
  states: {
    driving: {
      on: {
        STOPPED: [
          { guard: ({ context }) => context.left > 1, actions: assign({ left: ({ context }) => context.left - 1 }) },
          { target: 'home' },
        ],
        ASK: { actions: sendParent(({ context }) => ({ type: 'LEFT', left: context.left })) },
      },
    },
    home: { type: 'final' },
  },
  output: ({ context }) => ({ driven: 10 - context.left }),
})

interface Delivery {
  readonly items: readonly { readonly sku: string; readonly price: number }[]
  readonly note?: string | undefined
  readonly label: string
  readonly weights: readonly number[]
  readonly left: number | null
  readonly failure: string | null
  readonly seen: readonly string[]
}

/** Everything that a machine can be made of: parallel, history, children of every kind, timers, mail, randomness, errors. */
const delivery = setup({
  types: {} as {
    context: Delivery
    events:
      | { type: 'ADD'; sku: string; price: number }
      | { type: 'NOTE'; text: string }
      | { type: 'LABEL' }
      | { type: 'PAY'; amount: number }
      | { type: 'PAUSE' }
      | { type: 'GO_ON' }
      | { type: 'DRIVE' }
      | { type: 'STOPPED' }
      | { type: 'WHERE' }
      | { type: 'LEFT'; left: number }
      | { type: 'HEARD'; text: string }
      | { type: 'LATE' }
      | { type: 'CANCEL' }
    emitted: { type: 'ADDED'; total: number } | { type: 'DONE'; driven: number }
  },
  actors: {
    courier,
    charge: fromPromise(async ({ input }: { input: { amount: number } }) => {
      if (input.amount > 100) throw new Error(`refused ${input.amount}`)
      return { receipt: `r-${input.amount}` }
    }),
    ear: fromCallback(({ sendBack, receive }) => {
      receive(event => sendBack({ type: 'HEARD', text: JSON.stringify(event) }))
    }),
    weights: fromObservable(
      () =>
        ({
          subscribe({ next, complete }: { next: (value: number) => void; complete: () => void }) {
            for (const grams of [3, 1, 2]) next(grams)
            complete()
            return { unsubscribe() {} }
          },
        }) as Subscribable<number>,
    ),
    tally: fromTransition((count: number, event: { type: string }) => (event.type === 'UP' ? count + 1 : count), 0),
  },
  delays: { patience: ({ context }) => context.items.length * 1000 },
}).createMachine({
  id: 'delivery',
  context: { items: [], label: '', weights: [], left: null, failure: null, seen: [] },
  invoke: { src: 'tally', id: 'tally', systemId: 'tally' },
  type: 'parallel',
  on: {
    NOTE: { actions: assign({ note: ({ event }) => event.text }) },
    LABEL: { actions: assign({ label: () => `${uuid()} ${random()} ${now()}` }) },
    HEARD: { actions: assign({ seen: ({ context, event }) => [...context.seen, event.text] }) },
    LATE: { actions: assign({ seen: ({ context }) => [...context.seen, 'late'] }) },
  },
  states: {
    basket: {
      initial: 'filling',
      states: {
        filling: {
          initial: 'empty',
          states: {
            empty: {},
            some: { always: { guard: ({ context }) => context.items.length > 2, target: 'full' } },
            full: {},
            back: { type: 'history' },
          },
          on: {
            ADD: {
              target: '.some',
              actions: [
                assign({ items: ({ context, event: { sku, price } }) => [...context.items, { sku, price }] }),
                sendTo('tally', { type: 'UP' }),
                emit(({ context }) => ({
                  type: 'ADDED' as const,
                  total: context.items.reduce((sum, { price }) => sum + price, 0),
                })),
              ],
            },
            PAUSE: 'paused',
            PAY: 'paying',
          },
          after: { patience: { actions: raise({ type: 'LATE' }) } },
        },
        paused: { on: { GO_ON: 'filling.back' }, after: { 60000: 'filling' } },
        paying: {
          entry: sendTo('ear', ({ event }) => event, { delay: 50, id: 'whisper' }),
          invoke: [
            { src: 'ear', id: 'ear' },
            {
              src: 'charge',
              input: ({ event }) => ({ amount: event.type === 'PAY' ? event.amount : 0 }),
              onDone: 'paid',
              onError: {
                target: 'filling',
                actions: assign({ failure: ({ event }) => (event.error as Error).message }),
              },
            },
          ],
          on: { CANCEL: { actions: cancel('whisper') } },
        },
        paid: {
          invoke: {
            src: 'weights',
            onSnapshot: {
              actions: assign({
                weights: ({ context, event }) =>
                  event.snapshot.context === undefined
                    ? context.weights
                    : [...context.weights, event.snapshot.context as number],
              }),
            },
          },
        },
      },
    },
    road: {
      initial: 'parked',
      states: {
        parked: { on: { DRIVE: 'driving' } },
        driving: {
          invoke: {
            src: 'courier',
            id: 'courier',
            input: { stops: 3 },
            onDone: {
              target: 'parked',
              actions: emit(({ event }) => ({ type: 'DONE' as const, driven: event.output.driven })),
            },
          },
          on: {
            STOPPED: { actions: sendTo('courier', { type: 'STOPPED' }) },
            WHERE: {
              actions: enqueueActions(({ enqueue, check }) => {
                if (check(({ context }) => context.items.length > 0)) enqueue.sendTo('courier', { type: 'ASK' })
                enqueue(() => {})
              }),
            },
            LEFT: { actions: assign({ left: ({ event }) => event.left }) },
            CANCEL: { target: 'parked', actions: stopChild('courier') },
          },
        },
      },
    },
  },
})

export const golden = defineMachine(delivery, { version: 'golden-1' })
