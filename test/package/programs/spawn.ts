/** api.md §2: runs inside an app, on a store in a directory. */
import { deepEqual, equal, rejects } from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHost, createRun, forkRun, openRun, XMachinesError } from 'xmachines'
import { fileStore } from 'xmachines/persistence/filesystem'
import { memoryStore } from 'xmachines/persistence/memory'
import { createActor } from 'xstate'
import orderDefinition from './order.ts'

const directory = await mkdtemp(join(tmpdir(), 'xmachines-spawn-'))
const store = fileStore(directory)

// A run of a key: created, closed, opened again.
const run = createRun(orderDefinition, { store, key: 'o-1', input: {} })
await run.ready
const receipts = await Promise.all([
  run.apply({ type: 'ADD', sku: 'tea', price: 4 }, { id: 'webhook-1' }),
  run.apply({ type: 'ADD', sku: 'tea', price: 4 }, { id: 'webhook-1' }),
  run.apply([], {}),
  run.apply([{ type: 'ADD', sku: 'milk', price: 1 }], { source: { id: 'import', position: 7 } }),
  run.apply([{ type: 'ADD', sku: 'milk', price: 1 }], { source: { id: 'import', position: 7n } }),
])
deepEqual(
  receipts.map(receipt => [receipt.ok, receipt.seq, receipt.ok && receipt.duplicate === true]),
  [
    [true, 1, false],
    [true, 1, true],
    [true, 1, false],
    [true, 2, false],
    [true, 2, true],
  ],
)
equal(run.getSnapshot().matches('open'), true)
equal(run.getSnapshot().can({ type: 'PLACE' }), true)
equal(run.actorRef.getSnapshot().context.lines.length, 2)
await run.close()
await rejects(run.apply({ type: 'PLACE' }), { code: 'RUN_CLOSED' })

const again = await openRun(orderDefinition, { store, key: 'o-1' })
equal(again.id, run.id)
deepEqual(again.getSnapshot().context, run.getSnapshot().context)
await rejects(openRun(orderDefinition, { store, key: 'o-2', create: false }), { code: 'RUN_UNKNOWN' })

// A second createRun of a key with another input is another run: the key is pinned.
const rival = createRun(orderDefinition, { store, key: 'o-1', input: { discount: 1 } })
await rejects(rival.ready, { code: 'RUN_EXISTS' })

// The ports.
const out = again.out.getReader()
const err = again.err.getReader()
const writer = again.in.getWriter()
await writer.write([{ type: 'ADD', sku: 'jam', price: 5 }, { type: 'PLACE' }])
const { value: placed } = await out.read()
deepEqual(placed, { runId: run.id, seq: 3, index: 0, at: placed?.at, event: { type: 'PLACED', total: 10 } })
deepEqual((await out.read()).value?.event, { type: 'CHARGED', amount: 10 })
deepEqual(await again.done, { charged: 10 })
equal((await out.read()).done, true)
await writer.write({ type: 'CANCEL' })
equal((await err.read()).done, true) // the run has ended, and so have its ports
const late = await again.apply({ type: 'CANCEL' })
equal(!late.ok && late.error.code, 'RUN_FINISHED')

// Its history, from the store and through a further reader.
const units = await collect(store.read(run.id))
deepEqual(
  units.map(({ seq, origin }) => [seq, origin.kind]),
  [
    [0, 'outside'],
    [1, 'outside'],
    [2, 'outside'],
    [3, 'outside'],
    [4, 'effect'],
  ],
)
const all = await collect(again.subscribe('out', { from: 0 }))
deepEqual(
  all.map(({ seq, event }) => [seq, event.type]),
  [
    [3, 'PLACED'],
    [4, 'CHARGED'],
  ],
)

// A fork before the order was placed, with something else in its place; its effects are held.
const fork = await forkRun(again, { at: 2, key: 'what-if', replace: { type: 'CANCEL' } })
equal(fork.getSnapshot().value, 'cancelled')
equal(again.getSnapshot().value, 'charged')
await Promise.all([fork.close(), again.close()])
await store.close()
await rejects(openRun(orderDefinition, { store, key: 'o-1' }), (error: unknown) =>
  XMachinesError.is(error, 'STORE_CLOSED'),
)
await rm(directory, { recursive: true })

// Time that the source gives, and the end of a run that somebody decides on.
await using timed = createRun(orderDefinition, { store: memoryStore(), time: 'source', at: 1_000, input: {} })
await timed.apply({ type: 'ADD', sku: 'tea', price: 4 }, { at: 2_000 })
await timed.advance(60_999)
equal(timed.getSnapshot().value, 'open')
await timed.advance(61_000)
equal(timed.getSnapshot().value, 'cancelled')
await using stopped = createRun(orderDefinition, { input: {} })
await stopped.stop('the customer left')
await rejects(stopped.done, { code: 'RUN_FINISHED' })

// What XState persisted of an actor, adopted; steps watched for calls that a replay would answer otherwise.
const actor = createActor(orderDefinition.machine, { input: {} }).start()
actor.send({ type: 'ADD', sku: 'tea', price: 4 })
await using adopted = createRun(orderDefinition, { snapshot: actor.getPersistedSnapshot(), strict: true })
deepEqual(adopted.getSnapshot().context, actor.getSnapshot().context)
actor.stop()

// Runs that nobody has open are looked after.
{
  await using host = createHost({ machine: orderDefinition, store: memoryStore(), residents: 100, idle: 1_000 })
  const hosted = await host.open({ key: 'o-9', input: {} })
  await hosted.apply([{ type: 'ADD', sku: 'tea', price: 4 }, { type: 'PLACE' }])
  deepEqual(await hosted.done, { charged: 4 })
  await hosted.close()
}

async function collect<T>(stream: ReadableStream<T>): Promise<T[]> {
  const values: T[] = []
  for await (const value of stream) values.push(value)
  return values
}
