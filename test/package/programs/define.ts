/** api.md §1: a plain machine, and one with its declarations. */
import { deepEqual, equal, match, throws } from 'node:assert/strict'
import { createRun, defineMachine, XMachinesError } from 'xmachines'
import orderDefinition, { order } from './order.ts'

// An XState machine is accepted as it is …
await using plain = createRun(order, { input: {} })
match(plain.id, /^[0-9a-f]{40}$/)
equal((await plain.apply({ type: 'PLACE' })).ok, true)

// … and with its declarations: the schema's output is what is recorded, what it refuses changes nothing.
await using declared = createRun(orderDefinition, { input: {} })
const added = await declared.apply({ type: 'ADD', sku: 'tea', price: '4.5' })
deepEqual(added.ok && added.snapshot.context.lines, [{ sku: 'tea', price: 4.5 }])
const refused = await declared.apply({ type: 'ADD', sku: 'tea', price: -1 })
equal(!refused.ok && refused.error.code, 'EVENT_REJECTED_BY_SCHEMA')
equal(refused.seq, 1)

// The declarations are checked when they are made.
throws(() => defineMachine(order, { version: '' }), { code: 'POLICY_INVALID' })
throws(() => defineMachine({} as never), { code: 'MACHINE_INVALID' })
throws(
  () => defineMachine(order, { invocations: { nobody: 'retry' } } as object),
  (error: unknown) => XMachinesError.is(error, 'POLICY_INVALID'),
)
