import type { StandardSchemaV1 } from '@standard-schema/spec'
import { expect, test } from 'vitest'
import {
  copyStore,
  createHost,
  createRun,
  defineMachine,
  forkRun,
  inspectHistory,
  openRun,
  replay,
  supervise,
  watchRun,
} from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { memoryBroker } from 'xmachines/transports/memory'
import { createMachine } from 'xstate'
import { openRunIn } from '../../../src/actors/run/open.ts'
import { VirtualEnvironment } from '../supervisor/virtual-environment.ts'
import { counter } from './machines.ts'

const event = { type: 'ADD', by: 1 } as const

/** What a caller without types gives, or with a variable of the environment that is not set. */
const misused: Readonly<Record<string, object>> = {
  'a source without a name': { source: { position: 1 } },
  'a source whose name is a number': { source: { id: 7, position: 1 } },
  'a source whose name UTF-8 cannot hold': { source: { id: '\ud800', position: 1 } },
  'a source without a position': { source: { id: 's' } },
  'a position that is text': { source: { id: 's', position: '1' } },
  'a position that is no number': { source: { id: 's', position: Number.NaN } },
  'a position without end': { source: { id: 's', position: Number.POSITIVE_INFINITY } },
  'no source': { source: null },
  'an id that is a number': { id: 5 },
  'an id that UTF-8 cannot hold': { id: '\ud800' },
}

test.each(Object.entries(misused))('%s is refused at the border: no store could read it back', async (_, options) => {
  const store = memoryStore()
  const run = await openRun(counter, { store, key: 'a' })
  await expect(run.apply(event, options)).rejects.toThrow(TypeError)
  expect(await run.apply(event)).toMatchObject({ ok: true, seq: 1 })
  await run.close()
})

test('a source is taken as it is at the call', async () => {
  const store = memoryStore()
  const run = await openRun(counter, { store, key: 'a' })
  const source = { id: 's', position: 1 }
  const applied = run.apply(event, { source })
  source.position = 9
  await applied
  expect((await store.head(run.id))!.beside.sources).toEqual({ s: 1 })
  await run.close()
})

test('a reason that UTF-8 cannot hold is refused: the unit could have no id', async () => {
  const store = memoryStore()
  const run = await openRun(counter, { store, key: 'a' })
  expect(() => run.stop('\ud800')).toThrow(TypeError)
  await run.stop('enough')
  const ids: string[] = []
  for await (const unit of store.read(run.id)) ids.push(unit.id)
  expect(ids).toHaveLength(2)
  await run.close()
})

test('a reason is no larger than an event may be', async () => {
  const run = await openRun(counter, { store: memoryStore(), key: 'a', limits: { maxBytes: 100 } })
  await expect(run.stop('x'.repeat(100))).rejects.toMatchObject({ code: 'EVENT_TOO_LARGE' })
  expect(run.getSnapshot().status).toBe('active')
  await run.stop('enough')
  await run.close()
})

test('a schema that never answers holds up a close no longer than its timeout', async () => {
  const answers = new Map<number, () => void>()
  const slow: StandardSchemaV1<{ type: string; at: number }, { type: string; at: number }> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: value =>
        new Promise(resolve => answers.set((value as { at: number }).at, () => resolve({ value } as never))),
    },
  }
  const store = memoryStore()
  const machine = defineMachine(createMachine({ id: 'slow' }), { events: slow })
  const environment = new VirtualEnvironment()
  const run = await openRunIn(environment, machine, { store, key: 'a' })
  const receipts = [1, 2, 3].map(at => run.apply({ type: 'X', at }))
  const answered = Promise.allSettled(receipts)
  answers.get(1)!()
  expect(await receipts[0]).toMatchObject({ ok: true, seq: 1 })
  const closing = run.close({ timeout: 50 })
  await environment.advance(50)
  await closing
  const [, ...late] = await answered
  for (const answer of late) expect(answer).toMatchObject({ reason: { code: 'RUN_CLOSED' } })
  answers.get(2)!()
  const again = await openRunIn(environment, machine, { store, key: 'a' })
  expect((await store.head(run.id))!.seq).toBe(1)
  await again.close()
})

test.each([
  ['out', { from: Number.NaN }],
  ['out', { from: 1.5 }],
  ['out', { from: -1 }],
  ['out', { buffer: Number.NaN }],
  ['out', { buffer: -1 }],
  ['err', { buffer: 0 }],
] as const)('a reader of %s with %o is refused: it would wait for ever', (port, options) => {
  expect(() => createRun(counter).subscribe(port, options)).toThrow(TypeError)
})

test('a limit that is `undefined` is the default, and one that is no number is refused', async () => {
  const run = createRun(counter, { limits: { maxBytes: undefined as never, maxBatch: 2 } })
  const large = { ...event, text: 'x'.repeat(2_000_000) }
  expect(await run.apply(large)).toMatchObject({ ok: false, error: { code: 'EVENT_TOO_LARGE' } })
  expect(await run.apply([event, event, event])).toMatchObject({ ok: false, error: { code: 'EVENT_TOO_LARGE' } })
  expect(() => createRun(counter, { limits: { maxBytes: Number.NaN } })).toThrow('limits.maxBytes')
})

test('openRun does not lift the hold of a fork for a word that it does not know', async () => {
  const store = memoryStore()
  const run = await openRun(counter, { store, key: 'a' })
  await using fork = await forkRun(run, { at: 0 })
  await expect(openRun(counter, { store, id: fork.id, effects: 'hold' as 'run' })).rejects.toThrow('effects')
  expect((await store.head(fork.id))!.beside.held).toBe(true)
  await run.close()
})

test('what is no machine is named so, also where it is nothing at all', async () => {
  for (const nothing of [undefined, null, 'order'] as never[]) {
    expect(() => createRun(nothing)).toThrow(expect.objectContaining({ code: 'MACHINE_INVALID' }))
    await expect(openRun(nothing, { store: memoryStore(), key: 'a' })).rejects.toMatchObject({
      code: 'MACHINE_INVALID',
    })
  }
  await expect(openRun(counter, { store: memoryStore(), id: 5 as never })).rejects.toThrow('`id`')
})

test.each(['\ud800', 5 as never])(
  'a host or a supervisor of the namespace %o is refused at once, not at its first run',
  namespace => {
    const store = memoryStore()
    const consumer = memoryBroker().consumer({ topic: 't', group: 'g' })
    expect(() => createHost({ machine: counter, store, namespace })).toThrow('`namespace`')
    expect(() => supervise({ machine: counter, store, consumer, namespace })).toThrow('`namespace`')
  },
)

test.each([
  [undefined, 'undefined'],
  [null, 'null'],
  ['orders', "the text 'orders'"],
  [memoryStore, 'a function: call it'],
  [Promise.resolve(memoryStore()), 'a promise: await it'],
  [{}, 'object'],
])('what is no store is named so by whoever takes one: %o', async (given, named) => {
  const store = given as never
  const machine = counter
  const consumer = memoryBroker().consumer({ topic: 't', group: 'g' })
  const said = new RegExp(`^Expected .store. .* .memoryStore\\(\\).* got ${named}`)
  expect(() => createHost({ machine, store })).toThrow(said)
  expect(() => supervise({ machine, store, consumer })).toThrow(said)
  expect(() => watchRun(store, 'a')).toThrow(said)
  await expect(openRun(machine, { store, key: 'a' })).rejects.toThrow(said)
  await expect(forkRun({ machine, store, id: 'a' }, { at: 0 })).rejects.toThrow(said)
  if (given !== undefined) expect(() => createRun(machine, { store })).toThrow(said)
  await expect(openRun(machine, undefined as never)).rejects.toThrow('Expected `store`')
})

test.each(['abc', undefined, memoryStore(), createRun(counter)])(
  'what is no history is named so, with what gives one: %o',
  async given => {
    const said = /^Expected units .* `store\.read\(run\.id\)` gives; got /
    expect(() => replay(counter, given as never)).toThrow(said)
    await expect(inspectHistory(counter, given as never, () => {})).rejects.toThrow(said)
  },
)

test('a copy says which of its two ends is no store', async () => {
  await expect(copyStore('a' as never, memoryStore())).rejects.toThrow('Expected `from` to be a store, ')
  await expect(copyStore(memoryStore(), undefined as never)).rejects.toThrow('Expected `to` to be a store, ')
})

test('a supervisor says which of its ends is not what a broker gives', () => {
  const broker = memoryBroker()
  const [machine, store] = [counter, memoryStore()]
  const consumer = broker.consumer({ topic: 't', group: 'g' })
  expect(() => supervise({ machine, store, consumer: broker as never })).toThrow('Expected `consumer` to be what')
  for (const end of ['results', 'deadLetters'])
    expect(() => supervise({ machine, store, consumer, [end]: 'topic' })).toThrow(`Expected \`${end}\` to be what`)
})
