import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RunHead } from '../../../src/actors/contracts/store.ts'
import { pageSize } from '../../../src/persistence/filesystem/pages.ts'
import { collect, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string
let index: string

beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
  index = join(dir, 'index.bin')
})
afterEach(() => place.remove())

const count = 1200

/** A store whose index has many pages. */
async function filled(): Promise<{ heads: RunHead[]; runs: TestRun[] }> {
  const { store } = openStore(dir, { checkpointBytes: 0 })
  const runs = Array.from({ length: count }, (_, n) => new TestRun('sha1', { key: `key ${n}` }))
  const created = await store.append(
    runs.map((run, n) => run.creates({ due: n % 3 ? null : n, value: { n, text: 'x'.repeat(60) } }, n % 4)),
  )
  for (const [n, outcome] of created.entries()) Object.assign(runs[n]!, outcome)
  await runs[5]!.change(store, { process: 'p' })
  await store.saveSnapshot(runs[7]!.id, { seq: 3, machine: runs[7]!.machine.oid, format: 1, state: { n: 7 } })
  const heads = await collect(store.list())
  await store.close()
  return { heads, runs }
}

/** Where the parts of an index begin. */
function partsOf(bytes: Buffer): Record<'rows' | 'heap' | 'slots' | 'attended' | 'sums', number> {
  const rows = bytes.indexOf(10) + 1
  const head = JSON.parse(bytes.toString('utf8', 0, rows)) as Record<'rows' | 'heap' | 'slots' | 'attended', number>
  const heap = rows + head.rows
  const slots = heap + head.heap
  const attended = slots + head.slots
  return { rows, heap, slots, attended, sums: attended + head.attended }
}

/** Opens, finds every run by id and by key while others are appended to and created, and compares with what was. */
async function serves(heads: RunHead[], runs: TestRun[]): Promise<string[]> {
  const { store, warnings } = openStore(dir, { checkpointBytes: 0 })
  const due = await store.due({ before: count, limit: count })
  expect(due.filter(({ due }) => due !== undefined).length).toBeGreaterThanOrEqual(count / 3)
  const other = new TestRun('sha1', { nonce: 'other' })
  const [created, ...pinned] = await store.append([
    other.creates(),
    ...runs.slice(0, 50).map((_, n) => new TestRun('sha1', { key: `key ${n}`, input: 1 }).creates()),
  ])
  expect(created!.status).toBe('appended')
  expect(pinned).toEqual(runs.slice(0, 50).map(({ id }) => ({ status: 'pinned', run: id })))
  const found = await Promise.all(runs.map((_, n) => store.find('tests', `key ${n}`)))
  expect(found).toEqual(runs.map(({ id }) => id))
  for (const { id, seq } of runs) expect((await store.head(id))?.seq).toBe(seq)
  expect((await store.loadSnapshot(runs[7]!.id))?.state).toEqual({ n: 7 })
  expect((await collect(store.list())).filter(({ run }) => run !== other.id)).toEqual(heads)
  await store.close()
  return warnings.map(({ code }) => code)
}

describe('an index of many pages', () => {
  test('answers as the log does, and is made again where a page of it is damaged', async () => {
    const { heads, runs } = await filled()
    const [whole, log] = [readFileSync(index), readFileSync(join(dir, 'log-00000001.ndjson'))]
    const parts = partsOf(whole)
    expect(parts.heap - parts.rows).toBeGreaterThan(5 * pageSize)
    const restore = (): void => {
      writeFileSync(index, whole)
      writeFileSync(join(dir, 'log-00000001.ndjson'), log)
    }
    restore()
    expect(await serves(heads, runs)).toEqual([])
    const damages = [parts.rows, parts.rows + 3 * pageSize + 9, parts.heap - 1, parts.heap + pageSize + 1, parts.slots]
    for (const at of [...damages, parts.attended - 1, parts.attended, parts.sums + 5, whole.length - 1, 20]) {
      restore()
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 0x20
      writeFileSync(index, bytes)
      expect(await serves(heads, runs), `byte ${at}`).toEqual(['INDEX_DROPPED'])
      // The close has written it anew.
      const { store, warnings } = openStore(dir, { checkpointBytes: 0 })
      expect(await store.head(runs.at(-1)!.id)).toBeDefined()
      await store.close()
      expect(warnings).toEqual([])
    }
  })

  test('whose damage is met by a checkpoint is made again there, with what changed since', async () => {
    const { runs } = await filled()
    const bytes = readFileSync(index)
    bytes[partsOf(bytes).heap - 9]! ^= 1
    writeFileSync(index, bytes)
    const { store, warnings } = openStore(dir, { checkpointBytes: 0 })
    // Changes without a look at the damaged page; the close packs all of them.
    const first = [...runs].sort((a, b) => (a.id < b.id ? -1 : 1))[0]!
    await first.goOn(store, 2)
    await store.close()
    expect(warnings.map(({ code }) => code)).toEqual(['INDEX_DROPPED'])
    const again = openStore(dir)
    for (const { id, seq } of runs) expect((await again.store.head(id))?.seq).toBe(seq)
    await again.store.close()
    expect(again.warnings).toEqual([])
  })

  test('is followed by a reader while a writer replaces it', async () => {
    const { runs } = await filled()
    const reader = openStore(dir, { readOnly: true })
    expect((await reader.store.head(runs[0]!.id))?.seq).toBe(runs[0]!.seq)
    const writer = openStore(dir, { checkpointBytes: 0 })
    for (const run of runs.slice(0, 20)) await run.goOn(writer.store, 1)
    await writer.store.close()
    for (const { id, seq } of runs) expect((await reader.store.head(id))?.seq).toBe(seq)
    await reader.store.close()
    expect([...reader.warnings, ...writer.warnings]).toEqual([])
  })
})
