import { appendFileSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { collect, showsHistory, TestRun } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { contentOf, copyStore, openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string
let log: string
beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
  log = join(dir, 'log-00000001.ndjson')
})
afterEach(() => place.remove())

test('a flush that is being written is not there until it is whole', async () => {
  const origin = join(place.dir, 'origin')
  const { store } = openStore(origin)
  const run = await new TestRun('sha1', { key: 'a' }).create(store)
  copyStore(origin, dir)
  const before = await contentOf(store)
  await run.goOn(store, 2)
  const middle = await contentOf(store)
  const size = statSync(join(origin, 'log-00000001.ndjson')).size
  await run.goOn(store, 1)
  const after = await contentOf(store)
  await store.close()
  const whole = readFileSync(join(origin, 'log-00000001.ndjson'))
  const reader = openStore(dir)
  expect(await contentOf(reader.store)).toEqual(before)
  for (let at = statSync(log).size; at < whole.length; at++) {
    appendFileSync(log, whole.subarray(at, at + 1))
    const wanted = at + 1 < size ? before : at + 1 < whole.length ? middle : after
    expect(await reader.store.head(run.id)).toEqual((wanted as { heads: unknown[] }).heads[0])
  }
  expect(await contentOf(reader.store)).toEqual(after)
  expect(reader.warnings).toEqual([])
  await reader.store.close()
})

test('a flush that was taken back, and another one in its place, are noticed', async () => {
  const { store } = openStore(dir)
  const runs = [0, 1].map(input => new TestRun('sha1', { key: 'a', input }))
  await new TestRun('sha1', { key: 'first' }).create(store)
  const size = statSync(log).size
  await runs[0]!.create(store)
  await store.close()
  const reader = openStore(dir, { readOnly: true })
  await showsHistory(reader.store, runs[0]!)

  const written = statSync(log).size
  truncateSync(log, size)
  const again = openStore(dir)
  await runs[1]!.create(again.store)
  expect(statSync(log).size).toBe(written)
  expect(await reader.store.head(runs[0]!.id)).toBeUndefined()
  await showsHistory(reader.store, runs[1]!)
  expect(await reader.store.find('tests', 'a')).toBe(runs[1]!.id)
  await runs[1]!.goOn(again.store)
  await showsHistory(reader.store, runs[1]!)
  await again.store.close()
  await reader.store.close()
})

test('new segments, new checkpoints and new snapshots are followed', async () => {
  const settings = { segmentBytes: 1500, checkpointBytes: 0 }
  const reader = openStore(dir)
  expect(await collect(reader.store.list())).toEqual([])
  const run = new TestRun('sha1', { key: 'a' })
  for (let round = 0; round < 4; round++) {
    const { store } = openStore(dir, settings)
    if (round === 0) await run.create(store)
    for (let step = 0; step < 10; step++) {
      await run.goOn(store, 2)
      if (step % 3 > 0) continue
      await showsHistory(reader.store, run)
      await store.saveSnapshot(run.id, { seq: run.seq, machine: run.machine.oid, format: 1, state: run.seq })
      expect((await reader.store.loadSnapshot(run.id))?.state).toBe(run.seq)
    }
    await store.close()
    await showsHistory(reader.store, run)
  }
  expect(reader.warnings).toEqual([])
  // In the end it writes itself.
  await run.goOn(reader.store)
  await showsHistory(reader.store, run)
  await reader.store.close()
})

test('another store in the same place is noticed', async () => {
  const other = join(place.dir, 'other')
  const runs = [dir, other].map((path, input) => ({ path, run: new TestRun('sha1', { key: 'a', input }) }))
  for (const { path, run } of runs) {
    const { store } = openStore(path)
    await run.create(store)
    await store.close()
  }
  const reader = openStore(dir, { readOnly: true })
  await showsHistory(reader.store, runs[0]!.run)
  rmSync(dir, { recursive: true })
  await expect(reader.store.head(runs[0]!.run.id)).rejects.toMatchObject({ code: 'STORE_MISSING' })
  renameSync(other, dir)
  await showsHistory(reader.store, runs[1]!.run)
  expect(await reader.store.head(runs[0]!.run.id)).toBeUndefined()
  writeFileSync(log, readFileSync(log).subarray(0, 100))
  await expect(reader.store.head(runs[1]!.run.id)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  await reader.store.close()
})

test('a snapshot of units that were written while it was looked for is found, and no cause to warn', async () => {
  const origin = `${dir}-origin`
  const writer = openStore(origin)
  const run = await new TestRun('sha1').create(writer.store)
  copyStore(origin, dir)
  const reader = openStore(dir, { readOnly: true })
  expect((await reader.store.head(run.id))?.seq).toBe(0)
  await run.goOn(writer.store, 3)
  const snapshot = { seq: 3, machine: run.machine.oid, format: 1, state: { n: 3 } }
  await writer.store.saveSnapshot(run.id, snapshot)
  const loading = reader.store.loadSnapshot(run.id)
  for (const name of ['log-00000001.ndjson', 'snapshots-00000001.ndjson'])
    writeFileSync(join(dir, name), readFileSync(join(origin, name)))
  expect(await loading).toEqual(snapshot)
  expect(reader.warnings).toEqual([])
  for (const { store } of [writer, reader]) await store.close()
})

test('units tell all they know also when their store is closed', async () => {
  const { store } = openStore(dir)
  const run = await new TestRun('sha1', { key: 'a' }).create(store, {}, 20)
  const units = await collect(store.read(run.id))
  await store.close()
  expect(units.map(unit => [unit.id, unit.outputs, unit.origin])).toEqual(
    run.history().map(unit => [unit.id, unit.outputs, unit.origin]),
  )
  expect(JSON.parse(JSON.stringify(units[3]))).toMatchObject({
    run: run.id,
    seq: 3,
    id: units[3]!.id,
    outputs: [{ n: 3 }],
  })
})
