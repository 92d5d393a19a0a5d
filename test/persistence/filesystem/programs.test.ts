import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import type { AppendItem, Store } from '../../../src/actors/contracts/store.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, deepFreeze, shown, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { contentOf, openStore } from './stores.ts'

const place = temporaryDirectory()
afterAll(() => place.remove())

const parts = 3
const lease = (partition: number) => ({ namespace: 'tests', partition })
const position = fc.oneof(fc.integer({ min: 0, max: 9 }), fc.bigInt({ min: 0n, max: 2n ** 64n }))
const source = fc.record({ id: fc.constantFrom('s', 't', '__proto__', 'ключ'), position })
const runAt = fc.integer({ min: 0, max: 5 })

const beside = fc.record(
  {
    sources: fc.array(source, { maxLength: 2 }),
    outbox: fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 2 }),
    published: fc.record({ seq: fc.integer({ min: -1, max: 20 }), index: fc.nat(2) }),
    attempts: fc.dictionary(fc.constantFrom('a', 'constructor'), fc.option(fc.nat(3)), { maxKeys: 2 }),
    parked: fc.option(fc.constant({ at: 1, code: 'X', message: 'y' })),
    held: fc.boolean(),
    process: fc.option(fc.constantFrom('p', 'q')),
    owners: fc.dictionary(fc.constantFrom('a', 'constructor'), fc.option(fc.constantFrom('p', 'q')), { maxKeys: 2 }),
    taken: fc.array(fc.record({ sender: fc.constantFrom('a'.repeat(40)), seq: fc.nat(3), index: fc.nat(1) }), {
      maxLength: 2,
    }),
  },
  { requiredKeys: [] },
)

/** An item for a run of the program: where the run stands, or somewhere else. */
const item = fc.record({
  run: runAt,
  units: fc.integer({ min: 0, max: 4 }),
  wrong: fc.constantFrom(0, 0, 0, 0, 1, -1),
  partition: fc.option(fc.nat(parts - 1), { freq: 3 }),
  stale: fc.constantFrom(0, 0, 1),
  sources: fc.option(fc.array(source, { maxLength: 1 })),
  beside: fc.option(beside),
  due: fc.constantFrom(undefined, null, 3, 9.5),
  value: fc.constantFrom(undefined, null, 'x', deepFreeze({ y: [1] })),
  status: fc.constantFrom(undefined, undefined, 'done' as const, 'active' as const),
})

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      items: fc.array(item, { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('claim' as const), partition: fc.nat(parts - 1) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('release' as const), partition: fc.nat(parts - 1), epoch: fc.nat(3) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('deliver' as const),
      mail: fc.array(
        fc.record({ receiver: runAt, seq: fc.nat(3), index: fc.nat(1), failure: fc.constantFrom(undefined, true) }),
        { maxLength: 3 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('renew' as const),
      process: fc.constantFrom('p', 'q'),
      until: fc.nat(20),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('reopen' as const), checkpoint: fc.boolean() }) },
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

/** The runs of a program: two of one key, one fork. */
function runsOf(): TestRun[] {
  const runs = ['a', 'b', 'b', undefined, undefined].map(
    (key, input) => new TestRun('sha1', { input, nonce: `n${input}`, ...(key === undefined ? {} : { key }) }),
  )
  runs[0]!.follow(runs[0]!.creates(), { status: 'appended', seq: 0, revision: 1 })
  runs.push(new TestRun('sha1', { key: 'fork', fork: { of: runs[0]!, at: 0 } }))
  return runs
}

async function itemsOf(of: Step & { kind: 'append' }, runs: readonly TestRun[], store: Store): Promise<AppendItem[]> {
  const items: AppendItem[] = []
  for (const { run: index, units, wrong, partition, stale, sources, beside, due, value, status } of of.items) {
    const run = runs[index]!
    const head = await store.head(run.id)
    const held = partition === null ? undefined : await store.lease(lease(partition))
    const rest = {
      ...(partition !== null && { lease: { ...lease(partition), epoch: (held?.epoch ?? 0) + stale } }),
      ...(beside && { beside: deepFreeze(beside) }),
      ...(due !== undefined && { due }),
      ...(value !== undefined && { value }),
      ...(status !== undefined && { status }),
    }
    if (head === undefined) {
      items.push(run.creates(rest, units))
      continue
    }
    const seq = head.seq + wrong
    const made = Array.from({ length: units }, (_, at) => testUnit(seq + 1 + at, sources ? { sources } : {}))
    items.push({ run: run.id, expected: { seq, revision: head.revision }, units: made, ...rest })
  }
  return items
}

async function act(of: Step, runs: readonly TestRun[], store: Store, items: readonly AppendItem[]): Promise<unknown> {
  if (of.kind === 'append') return store.append(items).catch(error => (error as Error).constructor.name)
  if (of.kind === 'claim') return store.claim({ ...lease(of.partition), owner: 'p', group: 'g' })
  if (of.kind === 'release') return store.release({ ...lease(of.partition), epoch: of.epoch })
  if (of.kind === 'renew') return store.renew(of.process, of.until)
  if (of.kind === 'reopen') return undefined
  return store.deliver(
    of.mail.map(({ receiver, seq, index, failure }) =>
      deepFreeze({
        receiver: runs[receiver]!.id,
        sender: 'a'.repeat(40),
        seq,
        index,
        event: { type: 'E', seq },
        ...(failure === undefined ? {} : { failure }),
      }),
    ),
  )
}

async function everything(store: Store, runs: readonly TestRun[]): Promise<unknown> {
  const leases = await Promise.all(Array.from({ length: parts }, (_, partition) => store.lease(lease(partition))))
  const due = await Promise.all(
    Array.from({ length: parts }, (_, partition) => store.due({ before: 10, limit: 9, lease: lease(partition) })),
  )
  const ranges: unknown[] = []
  for (const run of runs) {
    if ((await store.head(run.id)) !== undefined)
      ranges.push((await collect(store.read(run.id, { from: 2, to: 4 }))).map(shown))
  }
  // Which of those that are due at the same time come first is nobody's promise.
  const early = (await store.due({ before: 4, limit: 2 })).map(entry => entry.due)
  return { content: await contentOf(store), leases, due, ranges, early }
}

describe('a file store', () => {
  test('answers as a memory store does, whatever it is asked and however often it is reopened', async () => {
    let count = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 25 }),
        fc.constantFrom(300, 3000, 1 << 20),
        async (steps, segmentBytes) => {
          const dir = join(place.dir, `${count++}`)
          const settings = { segmentBytes, checkpointBytes: 0 }
          const runs = runsOf()
          const model = memoryStore()
          const warnings: unknown[] = []
          let opened = openStore(dir, settings)
          for (const of of steps) {
            const items = of.kind === 'append' ? await itemsOf(of, runs, model) : []
            expect(await act(of, runs, opened.store, items)).toEqual(await act(of, runs, model, items))
            if (of.kind !== 'reopen') continue
            await opened.store.close()
            warnings.push(...opened.warnings)
            if (!of.checkpoint) rmSync(join(dir, 'index.bin'), { force: true })
            opened = openStore(dir, settings)
            expect(await everything(opened.store, runs)).toEqual(await everything(model, runs))
          }
          expect(await everything(opened.store, runs)).toEqual(await everything(model, runs))
          const reader = openStore(dir)
          expect(await everything(reader.store, runs)).toEqual(await everything(model, runs))
          await reader.store.close()
          await opened.store.close()
          expect([...warnings, ...opened.warnings, ...reader.warnings]).toEqual([])
          rmSync(dir, { recursive: true, force: true })
        },
      ),
    )
  })

  test('judges calls that overlap in their order, durable or not', async () => {
    let count = 0
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 30 }),
        fc.constantFrom(300, 1 << 20),
        async (steps, segmentBytes) => {
          const dir = join(place.dir, `overlapping ${count++}`)
          const runs = runsOf()
          const model = memoryStore()
          const answers: unknown[] = []
          const calls: (() => Promise<unknown>)[] = []
          const { store } = openStore(dir, { segmentBytes })
          for (const of of steps) {
            const items = of.kind === 'append' ? await itemsOf(of, runs, model) : []
            answers.push(await act(of, runs, model, items))
            calls.push(() => act(of, runs, store, items))
          }
          expect(await Promise.all(calls.map(call => call()))).toEqual(answers)
          expect(await everything(store, runs)).toEqual(await everything(model, runs))
          await store.close()
          const again = openStore(dir)
          expect(await everything(again.store, runs)).toEqual(await everything(model, runs))
          await again.store.close()
          rmSync(dir, { recursive: true, force: true })
        },
      ),
    )
  })
})
