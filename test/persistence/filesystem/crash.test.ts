import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { contentOf, copyStore, openStore } from './stores.ts'

const places: (() => void)[] = []
afterEach(() => {
  for (const remove of places.splice(0)) remove()
})

function place(): string {
  const { dir, remove } = temporaryDirectory()
  places.push(remove)
  return dir
}

/** What a disk may hold behind the last byte that came through. */
const leftovers: Readonly<Record<string, (rest: Buffer) => Buffer>> = {
  nothing: () => Buffer.alloc(0),
  zeros: rest => Buffer.alloc(rest.length),
  garbage: rest => Buffer.from(rest.map((byte, index) => byte ^ (index * 31 + 7))),
  'other bytes of a log': rest => Buffer.concat([Buffer.from('x\n{"flush":           3,"lines":'), rest]),
}

/** A store with some flushes, and what it held before and after the last one, which changes three runs. */
async function crashing(
  dir: string,
  segmentBytes: number,
): Promise<{ before: unknown; after: unknown; size: number; log: string }> {
  const { store } = openStore(dir, { segmentBytes })
  const runs = [new TestRun('sha1', { key: 'a' }), new TestRun('sha1', { key: 'ключ' })]
  for (const run of runs) await run.create(store, { value: 'red', due: 7 })
  await runs[0]!.goOn(store)
  const before = await contentOf(store)
  const last = runs.map((run, index) =>
    run.goesOn(index + 1, { beside: { sources: [{ id: 's', position: 4n }] }, due: null }),
  )
  const fresh = new TestRun('sha1', { key: 'fresh' })
  const log = join(dir, segmentBytes < 1000 ? 'log-00000004.ndjson' : 'log-00000001.ndjson')
  const header = readFileSync(join(dir, 'log-00000001.ndjson')).indexOf(10) + 1
  const size = segmentBytes < 1000 ? header : statSync(log).size
  const outcomes = await store.append([...last, fresh.creates()])
  expect(outcomes.map(outcome => outcome.status)).toEqual(['appended', 'appended', 'appended'])
  const after = await contentOf(store)
  await store.close()
  return { before, after, size, log }
}

describe.each([
  ['in the segment of others', 64 << 20],
  ['alone in a new segment', 1],
])('a crash in the last flush, %s', (_where, segmentBytes) => {
  test.each(Object.keys(leftovers))(
    'leaves what was acknowledged, wherever it is cut off, with %s behind it',
    async leftover => {
      const origin = place()
      const { before, after, size, log } = await crashing(origin, segmentBytes)
      const whole = readFileSync(log)
      const dir = place()
      copyStore(origin, dir)
      const copy = join(dir, log.slice(origin.length + 1))
      // Every byte where the file just ends; with something behind it, every fifth and the last ones.
      const next = (cut: number): number => (leftover === 'nothing' || cut > whole.length - 10 ? cut + 1 : cut + 5)
      for (let cut = size; cut <= whole.length; cut = next(cut)) {
        const rest = leftovers[leftover]!(whole.subarray(cut))
        writeFileSync(copy, Buffer.concat([whole.subarray(0, cut), rest]))
        const end = cut < whole.length ? size : whole.length
        const bytes = cut + rest.length - end
        const reader = openStore(dir, { readOnly: true })
        expect(await contentOf(reader.store), `a reader after ${cut} bytes`).toEqual(
          cut < whole.length ? before : after,
        )
        expect(reader.warnings).toEqual([])
        await reader.store.close()

        // Opening to write costs some milliseconds: at every byte once, else now and then.
        const everywhere = leftover === 'nothing' && segmentBytes > 1
        if (!everywhere && cut % 8 !== 0 && cut < whole.length - 3) continue
        const writer = openStore(dir, { segmentBytes: 64 << 20 })
        const late = await new TestRun('sha1', { key: 'late', nonce: 'n' }).create(writer.store)
        expect(writer.warnings.map(warning => [warning.code, warning.file, warning.offset, warning.bytes])).toEqual(
          bytes > 0 ? [['TAIL_CUT', copy, end, bytes]] : [],
        )
        expect(await writer.store.head(late.id)).toMatchObject({ seq: 0, revision: 1 })
        await writer.store.close()

        if (cut % 16 !== 0) continue
        const again = openStore(dir)
        const content = (await contentOf(again.store)) as { heads: { run: string }[] }
        const runs = ((cut < whole.length ? before : after) as typeof content).heads.map(head => head.run)
        expect(content.heads.map(head => head.run)).toEqual([...runs, late.id].sort())
        await again.store.renew('p', 1)
        expect(again.warnings).toEqual([])
        await again.store.close()
      }
    },
  )
})

describe('a crash elsewhere', () => {
  test('while a segment is made leaves the one before', async () => {
    const origin = place()
    const { after } = await crashing(origin, 1)
    const dir = place()
    copyStore(origin, dir)
    const header = readFileSync(join(origin, 'log-00000004.ndjson'))
    for (const length of [0, 1, header.indexOf(10), header.indexOf(10) + 1]) {
      writeFileSync(join(dir, '.log-00000005.ndjson'), header.subarray(0, length))
      const { store, warnings } = openStore(dir)
      expect(await contentOf(store)).toEqual(after)
      await store.close()
      expect(warnings).toEqual([])
    }
    const { store } = openStore(dir, { segmentBytes: 1 })
    const run = await new TestRun('sha1').create(store, {}, 3)
    await store.close()
    const again = openStore(dir)
    expect((await again.store.head(run.id))?.seq).toBe(3)
    await again.store.close()
  })

  test('in the very first flush leaves an empty store', async () => {
    const origin = place()
    const { store } = openStore(origin)
    const run = await new TestRun('sha1').create(store)
    await store.close()
    const log = readFileSync(join(origin, 'log-00000001.ndjson'))
    const dir = place()
    for (let cut = log.indexOf(10) + 1; cut < log.length; cut += 7) {
      rmSync(dir, { recursive: true, force: true })
      copyStore(origin, dir)
      writeFileSync(join(dir, 'log-00000001.ndjson'), log.subarray(0, cut))
      const opened = openStore(dir)
      expect(await contentOf(opened.store)).toMatchObject({ heads: [] })
      await run.append(opened.store, run.creates())
      expect(opened.warnings.length).toBe(cut > log.indexOf(10) + 1 ? 1 : 0)
      await opened.store.close()
      expect(readFileSync(join(dir, 'log-00000001.ndjson'))).toEqual(log)
    }
  })

  test('a flush that is whole but was never answered is there', async () => {
    const origin = place()
    const { after, log } = await crashing(origin, 64 << 20)
    const dir = place()
    copyStore(origin, dir)
    copyFileSync(log, join(dir, 'log-00000001.ndjson'))
    const synced: number[] = []
    const { systemFiles } = await import('../../../src/persistence/filesystem/files.ts')
    const files = { ...systemFiles, fsyncSync: (file: number) => void synced.push(file) }
    const { store, warnings } = openStore(dir, { fsync: true, files })
    await store.renew('p', 1)
    expect(await contentOf(store)).toEqual(after)
    expect([warnings, synced.length]).toEqual([[], 1])
    await store.close()
  })

  test('units of an item are never there in part', async () => {
    const dir = place()
    const { store } = openStore(dir)
    const run = await new TestRun('sha1').create(store)
    await run.goOn(store, [testUnit(1), testUnit(2), testUnit(3)])
    await store.close()
    const log = join(dir, 'log-00000001.ndjson')
    const whole = readFileSync(log)
    writeFileSync(log, whole.subarray(0, whole.length - 1))
    const opened = openStore(dir)
    expect((await opened.store.head(run.id))?.seq).toBe(0)
    await opened.store.close()
  })
})
