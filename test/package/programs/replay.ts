/** api.md §4: a history, decided again. */
import { deepEqual, equal } from 'node:assert/strict'
import { createRun, defineMachine, type RunSnapshot, replay, verifyRun } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import orderDefinition, { order } from './order.ts'

const store = memoryStore({ objectFormat: 'sha256' })
const run = createRun(orderDefinition, { store, key: 'o-1', input: {} })
await run.apply({ type: 'ADD', sku: 'tea', price: 4 })
await run.apply({ type: 'PLACE' })
await run.done
await run.close()
equal(run.id.length, 64)

const steps: unknown[] = []
let last: RunSnapshot<typeof order> | undefined
for await (const step of replay(orderDefinition, store.read(run.id), { verify: true })) {
  equal(step.divergence, undefined)
  steps.push([step.seq, step.events.map(({ type }) => type), step.outputs.map(({ type }) => type)])
  steps.push(step.effects.map(effect => effect.kind))
  last = step.snapshot
}
deepEqual(steps, [
  [0, [], []],
  ['timer'],
  [1, ['ADD'], []],
  [],
  [2, ['PLACE'], ['PLACED']],
  ['invoke'],
  [3, ['xmachines.resolve'], ['CHARGED']],
  [],
])
const { status, context, output } = last!
deepEqual({ status, context, output }, { status: 'done', context: run.getSnapshot().context, output: { charged: 4 } })

// Until a unit, and with another version of the machine: the first unit that differs is told.
const until = []
for await (const { seq } of replay(orderDefinition, store.read(run.id), { until: 1 })) until.push(seq)
deepEqual(until, [0, 1])
const changed = defineMachine(order.provide({ guards: {} }), { version: '3' })
const head = (await store.head(run.id))!
equal((await verifyRun(store, [orderDefinition], head)).divergence, undefined)
equal((await verifyRun(store, changed, head)).units, 3)
