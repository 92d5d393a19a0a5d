import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCheckpoint } from '../../../src/persistence/filesystem/read-checkpoint.ts'
import { collect, deepFreeze, showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { contentOf, openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string
let index: string

beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
  index = join(dir, 'index.bin')
})
afterEach(() => place.remove())

const lease = { namespace: 'tests', partition: 3 }

/** A store with something of everything in it, closed with a checkpoint. */
async function filled(settings: Parameters<typeof openStore>[1] = {}): Promise<{ content: unknown; runs: TestRun[] }> {
  const { store, warnings } = openStore(dir, { checkpointBytes: 0, ...settings })
  const runs: TestRun[] = []
  for (let index = 0; index < 60; index++) {
    const run = new TestRun('sha1', {
      key: `ключ ${index}`,
      namespace: `n${index % 3}`,
      time: index % 2 ? 'source' : 'arrival',
    })
    runs.push(await run.create(store, { value: { index }, due: index % 4 ? index : null }, index % 7))
  }
  const fork = new TestRun('sha1', { fork: { of: runs[6]!, at: 4 } })
  runs.push(await fork.create(store, { beside: { held: true } }, 2))
  const held = await store.claim({ ...lease, owner: 'p', group: 'g' })
  await runs[1]!.goOn(store, 1, {
    lease: held,
    status: 'done',
    beside: { sources: [{ id: '__proto__', position: 2n ** 70n }] },
  })
  await runs[2]!.change(store, {
    process: 'p',
    attempts: { constructor: 2 },
    owners: { constructor: 'q' },
    outbox: [0, 2],
    parked: { at: 1, code: 'X', message: 'y' },
  })
  await store.renew('p', 44)
  const mail = deepFreeze({ receiver: runs[4]!.id, sender: runs[5]!.id, seq: 1, index: 0, event: { type: 'E' } })
  await store.deliver([mail])
  runs[4]!.revision++
  await store.saveSnapshot(runs[5]!.id, { seq: 2, machine: runs[5]!.machine.oid, format: 1, state: { n: 2 } })
  const content = await contentOf(store)
  await store.close()
  expect(warnings).toEqual([])
  return { content, runs }
}

/** Opens the store, compares, and writes to it. */
async function holds(content: unknown, runs: TestRun[], codes: readonly string[]): Promise<void> {
  const { store, warnings } = openStore(dir, { checkpointBytes: 0 })
  expect(await contentOf(store)).toEqual(content)
  expect(warnings.map(warning => warning.code)).toEqual(codes)
  for (const warning of warnings) expect(warning.file).toBe(index)
  expect(await store.lease(lease)).toMatchObject({ epoch: 1, owner: 'p' })
  expect(await store.machine(runs[0]!.machine.oid)).toEqual(runs[0]!.machine)
  expect((await store.loadSnapshot(runs[5]!.id))?.state).toEqual({ n: 2 })
  const mail = deepFreeze({ receiver: runs[4]!.id, sender: runs[5]!.id, seq: 1, index: 0, event: { type: 'E' } })
  expect(await store.deliver([mail])).toEqual(['duplicate'])
  expect(await store.append([new TestRun('sha1', { key: 'ключ 7', namespace: 'n1', input: 1 }).creates()])).toEqual([
    { status: 'pinned', run: runs[7]!.id },
  ])
  await store.close()
}

describe('the checkpoint of the index', () => {
  test('holds all that the log says', async () => {
    const { content, runs } = await filled()
    const checkpoint = readCheckpoint(dir, 'sha1')
    if ('unusable' in checkpoint) throw new Error(`unusable: ${checkpoint.unusable}`)
    expect(checkpoint.table.count).toBe(61)
    expect(checkpoint.end.offset).toBe(statSync(join(dir, 'log-00000001.ndjson')).size)
    await holds(content, runs, [])
  })

  test('may be deleted: it is made again', async () => {
    const { content, runs } = await filled()
    const before = readFileSync(index)
    rmSync(index)
    await holds(content, runs, [])
    expect(existsSync(index)).toBe(true)
    expect(readFileSync(index).length).toBe(before.length)
    await holds(content, runs, [])
  })

  test('that was damaged anywhere is thrown away with a warning, and made again', async () => {
    const { content, runs } = await filled()
    const whole = readFileSync(index)
    for (let at = 0; at < whole.length; at += 613) {
      const bytes = Buffer.from(whole)
      bytes[at]! ^= 0x11
      writeFileSync(index, bytes)
      await holds(content, runs, ['INDEX_DROPPED'])
      await holds(content, runs, [])
    }
    for (const length of [0, 3, 100, whole.length - 1]) {
      writeFileSync(index, whole.subarray(0, length))
      await holds(content, runs, ['INDEX_DROPPED'])
    }
  })

  test('that is ahead of the log, or of another log, is thrown away with a warning', async () => {
    const { content, runs } = await filled()
    const log = join(dir, 'log-00000001.ndjson')
    copyFileSync(log, join(place.dir, 'log'))
    const before = openStore(dir, { checkpointBytes: 0 })
    const [later, other] = [new TestRun('sha1', { nonce: 'later' }), new TestRun('sha1', { nonce: 'other' })]
    await later.create(before.store, {}, 40)
    await before.store.close()
    const ahead = readFileSync(index)
    copyFileSync(join(place.dir, 'log'), log)
    await holds(content, runs, ['INDEX_DROPPED'])

    // A log of the same length, with another history.
    const after = openStore(dir, { checkpointBytes: 1e9 })
    await other.create(after.store, {}, 40)
    const now = await contentOf(after.store)
    await after.store.close()
    writeFileSync(index, ahead)
    await holds(now, runs, ['INDEX_DROPPED'])
  })

  test('is not needed: the rest of the log is read behind it', async () => {
    const { runs } = await filled()
    const old = readFileSync(index)
    const { store } = openStore(dir, { checkpointBytes: 0, segmentBytes: 2000 })
    for (const run of runs.slice(10, 30)) await run.goOn(store, 4, { value: 'later', due: 3 })
    await store.claim({ ...lease, partition: 9, owner: 'q', group: 'g' })
    const content = await contentOf(store)
    await store.close()
    writeFileSync(index, old)
    await holds(content, runs, [])
  })

  test('that cannot be written is a warning, and nothing else', async () => {
    const { store, warnings } = openStore(dir, { checkpointBytes: 0 })
    const run = await new TestRun('sha1').create(store)
    // A directory stands where the file would be written.
    const { mkdirSync } = await import('node:fs')
    mkdirSync(join(dir, '.index.bin'))
    await store.close()
    expect(warnings.map(warning => warning.code)).toEqual(['INDEX_NOT_WRITTEN'])
    const again = openStore(dir)
    await showsHistory(again.store, run)
    await again.store.close()
  })

  test('of a log that is gone is a warning, and the store is empty', async () => {
    await filled()
    rmSync(join(dir, 'log-00000001.ndjson'))
    const { store, warnings } = openStore(dir)
    expect(await collect(store.list())).toEqual([])
    expect(warnings.map(warning => warning.code)).toEqual(['INDEX_DROPPED'])
    await store.close()
  })
})

describe('segments', () => {
  test('follow one another, and histories run across them', async () => {
    const { store } = openStore(dir, { segmentBytes: 1500 })
    const runs = [new TestRun('sha1', { key: 'a' }), new TestRun('sha1', { key: 'b' })]
    for (const run of runs) await run.create(store)
    for (let step = 0; step < 40; step++) await runs[step % 2]!.goOn(store, (step % 5) + 1)
    for (const run of runs) await showsHistory(store, run)
    await store.close()
    expect(existsSync(join(dir, 'log-00000008.ndjson'))).toBe(true)
    const again = openStore(dir, { segmentBytes: 1500 })
    for (const run of runs) {
      await showsHistory(again.store, run)
      await showsHistory(again.store, run, { from: 20, to: 33 })
      await run.goOn(again.store, 2)
      await showsHistory(again.store, run)
    }
    await again.store.close()
  })

  test('a long history is found from either end, in any range', async () => {
    const { store } = openStore(dir, { segmentBytes: 200_000 })
    const [run, other] = [new TestRun('sha1'), new TestRun('sha1')]
    await run.create(store, {}, 500)
    await other.create(store)
    for (let step = 0; step < 40; step++) {
      await run.goOn(store, 100)
      await other.goOn(store, 3)
    }
    const fork = await new TestRun('sha1', { fork: { of: run, at: 3000 } }).create(store, {}, 2500)
    for (const [of, from, to] of [
      [run, 0, 0],
      [run, 0, 2],
      [run, 1023, 1025],
      [run, 1024, 1024],
      [run, 2047, 2049],
      [run, 1000, 3100],
      [run, 4499, 4500],
      [run, 4500, 9999],
      [other, 0, 500],
      [fork, 2990, 3010],
      [fork, 3072, 3073],
      [fork, 4095, 5500],
      [fork, 1024, 4097],
    ] as const) {
      const units = await collect(store.read(of.id, { from, to, ids: false }))
      const seqs = units.map(unit => unit.seq)
      const last = Math.min(to, of.seq)
      expect(seqs).toEqual(Array.from({ length: last - from + 1 }, (_, index) => from + index))
      expect(units.every(unit => unit.run === (of === fork && unit.seq <= 3000 ? run.id : of.id))).toBe(true)
    }
    const [tail] = await collect(store.read(fork.id, { from: 5500 }))
    expect(tail?.id).toBe(fork.history().at(-1)?.id)
    const backwards = (await collect(store.read(run.id))).reverse().map(unit => unit.id)
    expect(backwards.reverse()).toEqual(run.history().map(unit => unit.id))
    await store.close()
  })
})
