/** What a run's types tell. Checked by the compiler, here and against the packed package; never run. */
import { expectTypeOf } from 'vitest'
import {
  createRun,
  type ErrorCode,
  type Output,
  openRun,
  type Receipt,
  type Run,
  type RunError,
  type RunSnapshot,
  replay,
  XMachinesError,
} from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import type { SnapshotFrom } from 'xstate'
import { light, order } from './machines.ts'

type OrderEvent = { type: 'ADD'; price: number } | { type: 'CLOSE' }
type Closed = { type: 'CLOSED'; total: number }

const store = memoryStore()
const run = createRun(order, { store, input: { discount: 1 } })
expectTypeOf(run).toEqualTypeOf<Run<typeof order, OrderEvent>>()
expectTypeOf(await openRun(order, { store, key: 'o-1' })).toEqualTypeOf<typeof run>()

// Events: those of the machine, one or a batch, and no others.
expectTypeOf(run.in).toEqualTypeOf<WritableStream<OrderEvent | readonly OrderEvent[]>>()
await run.apply({ type: 'ADD', price: 1 })
await run.apply([{ type: 'ADD', price: 1 }, { type: 'CLOSE' }])
// @ts-expect-error: no such event
await run.apply({ type: 'REMOVE' })
// @ts-expect-error: the payload is of another type
await run.apply({ type: 'ADD', price: '1' })
// @ts-expect-error: the payload is missing
await run.apply([{ type: 'CLOSE' }, { type: 'ADD' }])
// @ts-expect-error: events are objects
await run.apply('CLOSE')
// @ts-expect-error: no such event
run.actorRef.send({ type: 'REMOVE' })
// @ts-expect-error: events of another machine
await createRun(light).apply({ type: 'CLOSE' })

// Receipts: outputs as the machine emits them, and a snapshot with its context.
const receipt = await run.apply({ type: 'CLOSE' })
expectTypeOf(receipt).toEqualTypeOf<Receipt<typeof order>>()
if (receipt.ok) {
  expectTypeOf(receipt.outputs).toEqualTypeOf<readonly Closed[]>()
  expectTypeOf(receipt.snapshot.context).toEqualTypeOf<{ total: number }>()
  expectTypeOf(receipt.snapshot.output).toEqualTypeOf<{ paid: number } | undefined>()
  // @ts-expect-error: the context has no such property
  receipt.snapshot.context.sum
  // @ts-expect-error: the machine emits nothing of the kind
  receipt.outputs.filter(({ type }) => type === 'OPENED')
} else {
  expectTypeOf(receipt.error.retryable).toEqualTypeOf<boolean>()
  // @ts-expect-error: a refusal has no outputs
  receipt.outputs
}

// Ports and further readers.
expectTypeOf(run.out).toEqualTypeOf<ReadableStream<Output<Closed>>>()
expectTypeOf(run.err).toEqualTypeOf<ReadableStream<RunError>>()
expectTypeOf(run.snapshot).toEqualTypeOf<ReadableStream<RunSnapshot<typeof order>>>()
expectTypeOf(run.subscribe('out', { from: 0 })).toEqualTypeOf<typeof run.out>()
// @ts-expect-error: there is no such port
run.subscribe('in')
expectTypeOf((await run.out.getReader().read()).value?.event.total).toEqualTypeOf<number | undefined>()

// XState's own snapshot.
expectTypeOf(run.getSnapshot()).toEqualTypeOf<SnapshotFrom<typeof order>>()
run.getSnapshot().matches('open')
// @ts-expect-error: the machine has no such state
run.getSnapshot().matches('shut')
// @ts-expect-error: no state has such a tag
run.getSnapshot().hasTag('idle')

// The end.
expectTypeOf(run.done).toEqualTypeOf<Promise<{ paid: number }>>()

// An error with a code is of that code; without it, whatever else it was before.
function codeOf(error: XMachinesError): string {
  if (XMachinesError.is(error, 'RUN_CLOSED')) {
    expectTypeOf(error.code).toEqualTypeOf<'RUN_CLOSED'>()
    return error.message
  }
  return error.code
}
run.apply({ type: 'CLOSE' }).catch((error: unknown) => {
  if (XMachinesError.is(error)) expectTypeOf(error.code).toEqualTypeOf<ErrorCode>()
  // @ts-expect-error: there is no such code
  return XMachinesError.is(error, 'RUN_SHUT') || codeOf(error as XMachinesError)
})

// What a run is made of.
// @ts-expect-error: the input is of another type
createRun(order, { input: { discount: 'much' } })
// @ts-expect-error: there is no such option
createRun(order, { inputs: {} })
// @ts-expect-error: a run is opened somewhere
openRun(order, { key: 'o-1' })
// @ts-expect-error: not a machine
createRun({})

// A replay gives the same types.
for await (const step of replay(order, store.read(run.id))) {
  expectTypeOf(step.outputs).toEqualTypeOf<readonly Closed[]>()
  expectTypeOf(step.snapshot.context).toEqualTypeOf<{ total: number }>()
}
