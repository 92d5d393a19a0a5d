/** What declarations beside a machine change in its types. Checked by the compiler, here and against the packed package; never run. */
import { expectTypeOf } from 'vitest'
import {
  createRun,
  defineMachine,
  forkRun,
  type InvocationNames,
  invocation,
  type MachineDefinition,
  openRun,
  type Run,
  type RunOf,
  replay,
  tell,
  type UndeliveredEvent,
} from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { createMachine, enqueueActions, fromPromise, setup } from 'xstate'
import { z } from 'zod'
import { light, order } from './machines.ts'

const store = memoryStore()
type OrderEvent = { type: 'ADD'; price: number } | { type: 'CLOSE' }

// Without a schema the events are the machine's.
const plain = defineMachine(order, { version: '2', unhandled: 'reject', errors: () => 'fatal' })
expectTypeOf(plain).toEqualTypeOf<MachineDefinition<typeof order, OrderEvent>>()

// With a schema for each type: callers send what the schemas take, the machine sees what they give.
const declared = defineMachine(order, {
  events: {
    ADD: z.object({ type: z.literal('ADD'), price: z.union([z.string(), z.number()]).transform(Number) }),
    CLOSE: z.object({ type: z.literal('CLOSE') }),
  },
})
const run = createRun(declared, { store, input: { discount: 1 } })
await run.apply({ type: 'ADD', price: '4.50' })
await run.in.getWriter().write([{ type: 'ADD', price: 4.5 }, { type: 'CLOSE' }])
// @ts-expect-error: neither of what the schema takes
await run.apply({ type: 'ADD', price: true })
// @ts-expect-error: a type without a schema may not come from outside
await run.apply({ type: 'REMOVE' })
expectTypeOf(run.getSnapshot().context).toEqualTypeOf<{ total: number }>()
expectTypeOf(run.done).toEqualTypeOf<Promise<{ paid: number }>>()
expectTypeOf<RunOf<typeof declared>>().toEqualTypeOf<typeof run>()
expectTypeOf<RunOf<typeof order>>().toEqualTypeOf<Run<typeof order>>()

// With one schema for all.
const union = defineMachine(order, {
  events: z.discriminatedUnion('type', [
    z.object({ type: z.literal('ADD'), price: z.coerce.number<string>() }),
    z.object({ type: z.literal('CLOSE') }),
  ]),
})
await createRun(union).apply({ type: 'ADD', price: '4.50' })
// @ts-expect-error: the schema takes a string
await createRun(union).apply({ type: 'ADD', price: 4.5 })

// Declarations that cannot be.
// @ts-expect-error: the schema does not give an event
defineMachine(order, { events: z.object({ price: z.number() }) })
// @ts-expect-error: one or the other
defineMachine(order, { unhandled: 'ignore' })
// @ts-expect-error: no such policy
defineMachine(order, { errors: () => 'retry' })
// @ts-expect-error: a version is a string
defineMachine(order, { version: 2 })
// @ts-expect-error: not a machine
defineMachine({ id: 'order' })

// A list: the first machine's types count, whatever the others are.
const listed = createRun([declared, plain, light], { input: { discount: 1 } })
expectTypeOf(listed).toEqualTypeOf<typeof run>()
const opened = await openRun([order, light], { store, key: 'o-1' })
expectTypeOf(opened.in).toEqualTypeOf<WritableStream<OrderEvent | readonly OrderEvent[]>>()
expectTypeOf(opened.done).toEqualTypeOf<Promise<{ paid: number }>>()
// @ts-expect-error: events of the second machine
await createRun([order, light]).apply({ type: 'NEXT' })
// @ts-expect-error: the list has a first
createRun([])

// Forks and replays of declared machines.
const ordinary = createRun(plain)
expectTypeOf(await forkRun(ordinary, { at: 0 })).toEqualTypeOf<typeof ordinary>()
expectTypeOf(await forkRun({ store, id: run.id, machine: declared }, { at: 0 })).toEqualTypeOf<typeof run>()
for await (const step of replay(declared, store.read(run.id)))
  expectTypeOf(step.outputs).toEqualTypeOf<readonly { type: 'CLOSED'; total: number }[]>()

// A machine without types takes any event, as in XState.
await createRun(createMachine({ initial: 'on', states: { on: {} } })).apply({ type: 'ANYTHING', at: 'all' })

// Policies: by the names that the machine, or a machine inside of it, can invoke.
const outer = setup({ actors: { order, mail: fromPromise(async () => {}) } }).createMachine({})
defineMachine(order, { invocations: { charge: 'at-most-once' } })
defineMachine(outer, { invocations: { mail: { attempts: 3, backoff: { initial: 100 } }, charge: 'error' } })
expectTypeOf<InvocationNames<typeof outer>>().toEqualTypeOf<'mail' | 'charge'>()
expectTypeOf(defineMachine(order, { invocations: { charge: 'retry' } })).toEqualTypeOf<
  MachineDefinition<typeof order, OrderEvent>
>()
defineMachine(createMachine({ invoke: { src: 'any' } }), { invocations: { any: 'retry' } })
// @ts-expect-error: no such actor
defineMachine(order, { invocations: { chrage: 'retry' } })
// @ts-expect-error: a machine is stepped inside its run
defineMachine(outer, { invocations: { order: 'retry' } })
// @ts-expect-error: no such policy
defineMachine(order, { invocations: { charge: 'never' } })
// @ts-expect-error: no such option
defineMachine(order, { invocations: { charge: { retries: 3 } } })
// @ts-expect-error: milliseconds
defineMachine(order, { invocations: { charge: { timeout: '1s' } } })
const { key, attempt, signal } = invocation()
expectTypeOf({ key, attempt, signal }).toEqualTypeOf<{ key: string; attempt: number; signal: AbortSignal }>()

// Mail: an action wherever XState takes one, with context, event and params as there.
const teller = setup({
  types: {} as { context: { to: string }; events: { type: 'PAY'; amount: number } | UndeliveredEvent },
  actions: {
    greet: tell({ machine: order, key: 'o-1' }, { type: 'HELLO', from: 'teller' }),
    pay: tell(
      ({ context }) => ({ namespace: 'account', key: context.to }),
      (_, params: { amount: number }) => ({ type: 'DEPOSIT', amount: params.amount }),
    ),
  },
})
teller.createMachine({
  context: { to: 'a' },
  entry: ['greet', tell(({ context }) => ({ machine: 'account', key: context.to }), { type: 'HELLO' })],
  exit: enqueueActions(({ enqueue }) => enqueue(tell({ machine: 'account', key: 'a' }, { type: 'BYE', now: 1 }))),
  on: {
    PAY: {
      actions: [
        { type: 'pay', params: ({ event }) => ({ amount: event.amount }) },
        tell(
          ({ context }) => ({ machine: 'account', key: context.to }),
          ({ event }) => {
            expectTypeOf(event.amount).toEqualTypeOf<number>()
            return { type: 'DEPOSIT', amount: event.amount }
          },
        ),
      ],
    },
    'xmachines.undelivered': { actions: ({ event }) => void event.reason.code },
  },
})
// @ts-expect-error: a receiver has a key
tell({ machine: 'account' }, { type: 'HELLO' })
// @ts-expect-error: a mail is an event
tell({ machine: 'account', key: 'a' }, { amount: 1 })
