import {
  type ChildDoneEvent,
  type ChildErrorEvent,
  defineMachine,
  invocation,
  spawnRun,
  tell,
  type UndeliveredEvent,
} from 'xmachines'
import { assign, fromCallback, fromObservable, fromPromise, sendTo, setup } from 'xstate'

/*
 * The machines of the golden logs of runs among runs: mail, child runs, migrations, forks, retries, supervision. They never change, as
 * those of machines.ts.
 */

const parcelMachine = setup({
  types: {} as {
    input: { to: string }
    context: { to: string }
    events: { type: 'ARRIVE' } | { type: 'BREAK' }
    output: { to: string }
  },
}).createMachine({
  id: 'parcel',
  context: ({ input }) => ({ to: input.to }),
  initial: 'under way',
  states: {
    'under way': {
      on: {
        ARRIVE: 'arrived',
        BREAK: {
          actions: assign(() => {
            throw Object.assign(new Error('broken'), { code: 'BROKEN' })
          }),
        },
      },
    },
    arrived: { type: 'final' },
  },
  output: ({ context }) => ({ to: context.to }),
})

/** A child run: what its steps throw ends it. */
export const parcel = defineMachine(parcelMachine, { version: 'golden-parcel-1', errors: 'fatal' })

interface Shop {
  readonly heard: readonly string[]
}

const add = (context: Shop, text: string) => ({ heard: [...context.heard, text] })

const shopMachine = setup({
  types: {} as {
    context: Shop
    events:
      | { type: 'TELL'; machine: string; key: string; event: 'GREET' | 'ARRIVE' | 'BREAK' }
      | { type: 'GREET' }
      | { type: 'SEND'; key: string }
      | { type: 'LISTEN' }
      | { type: 'ASK' }
      | { type: 'HEARD'; text: string }
      | { type: 'CHARGE' }
      | { type: 'WATCH' }
      | { type: 'CLOSE' }
      | UndeliveredEvent
      | ChildDoneEvent<{ to: string }>
      | ChildErrorEvent
  },
  actors: {
    // What hears, and answers.
    ear: fromCallback<{ type: 'ASK' }>(({ sendBack, receive }) => {
      receive(({ type }) => sendBack({ type: 'HEARD', text: `answer to ${type}` }))
      sendBack({ type: 'HEARD', text: 'hello' })
    }),
    charge: fromPromise(async () => {
      const { attempt } = invocation()
      if (attempt < 3) throw new Error(`attempt ${attempt}`)
      return { attempt }
    }),
    feed: fromObservable(
      () =>
        ({
          subscribe({ next, error }: { next: (value: number) => void; error: (error: unknown) => void }) {
            next(1)
            error(Object.assign(new RangeError('no more'), { code: 'DRY' }))
            return { unsubscribe() {} }
          },
        }) as never,
    ),
  },
}).createMachine({
  id: 'shop',
  context: { heard: [] },
  on: {
    TELL: {
      actions: tell(
        ({ event }) => ({ machine: event.machine, key: event.key }),
        ({ event }) => ({ type: event.event }),
      ),
    },
    GREET: { actions: assign(({ context }) => add(context, 'greeted')) },
    HEARD: { actions: assign(({ context, event }) => add(context, event.text)) },
    SEND: {
      actions: spawnRun(parcel, {
        key: ({ event }) => event.key,
        input: ({ event }) => ({ to: `the house of ${event.key}` }),
        policy: { restart: 1 },
      }),
    },
    'xmachines.undelivered': { actions: assign(({ context, event }) => add(context, event.reason.code)) },
    'xmachines.done.run': { actions: assign(({ context, event }) => add(context, event.output.to)) },
    'xmachines.error.run': {
      actions: assign(({ context, event }) => add(context, `${event.key} ${event.error.code}`)),
    },
    CLOSE: '.closed',
  },
  initial: 'open',
  states: {
    open: { on: { LISTEN: 'listening', CHARGE: 'charging', WATCH: 'watching' } },
    listening: {
      invoke: { src: 'ear', id: 'ear' },
      on: { ASK: { actions: sendTo('ear', { type: 'ASK' }) }, CHARGE: 'charging' },
    },
    charging: {
      invoke: {
        src: 'charge',
        onDone: {
          target: 'open',
          actions: assign(({ context, event }) => add(context, `paid by ${event.output.attempt}`)),
        },
      },
    },
    watching: {
      invoke: {
        src: 'feed',
        onError: {
          target: 'open',
          actions: assign(({ context, event }) => add(context, (event.error as { code: string }).code)),
        },
      },
    },
    closed: { type: 'final' },
  },
})

export const shop = defineMachine(shopMachine, {
  version: 'golden-shop-1',
  invocations: { charge: { attempts: 3, backoff: { initial: 1 } } },
})

const nextMachine = setup({
  types: {} as { context: { heard: string; greetings: number }; events: { type: 'GREET' } },
}).createMachine({
  id: 'shop',
  context: { heard: '', greetings: 0 },
  on: { GREET: { actions: assign({ greetings: ({ context }) => context.greetings + 1 }) } },
  initial: 'open',
  states: { open: { after: { 60000: 'late' } }, late: {} },
})

/** What a run of {@link shop} goes over to. */
export const nextShop = defineMachine(nextMachine, {
  version: 'golden-shop-2',
  migrations: [
    {
      from: shop,
      state: state => ({
        ...state,
        value: 'open',
        context: { heard: (state.context.heard as string[]).join(), greetings: 0 },
      }),
    },
  ],
})
