import { copyFileSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StoredSnapshot } from '../../../src/actors/contracts/store.ts'
import {
  collect,
  deepFreeze,
  showsHistory,
  TestRun,
  testUnit,
} from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from './directory.ts'
import { openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string

beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
})
afterEach(() => place.remove())

const files = (): string[] =>
  readdirSync(dir)
    .filter(name => name.startsWith('snapshots'))
    .sort()

function snapshotOf(run: TestRun, seq: number, state: StoredSnapshot['state'] = { seq }): StoredSnapshot {
  return deepFreeze({ seq, machine: run.machine.oid, format: 1, state })
}

describe('snapshots', () => {
  test('are found again, with or without a checkpoint', async () => {
    for (const checkpointBytes of [0, 1e9]) {
      dir = join(place.dir, `${checkpointBytes}`)
      const first = openStore(dir, { checkpointBytes })
      const runs = [new TestRun('sha1'), new TestRun('sha1')]
      for (const run of runs) await run.create(first.store, {}, 2000)
      for (const run of runs)
        for (const seq of [3, 1500, 2000]) await first.store.saveSnapshot(run.id, snapshotOf(run, seq))
      await first.store.close()
      for (let round = 0; round < 2; round++) {
        const { store, warnings } = openStore(dir, { checkpointBytes })
        for (const run of runs) {
          expect(await store.loadSnapshot(run.id)).toEqual(snapshotOf(run, 2000))
          expect(await store.loadSnapshot(run.id, { atMost: 1999 })).toEqual(snapshotOf(run, 1500))
          expect(await store.loadSnapshot(run.id, { atMost: 1000 })).toEqual(snapshotOf(run, 3))
          expect(await store.loadSnapshot(run.id, { atMost: 2 })).toBeUndefined()
          await run.goOn(store)
        }
        expect(warnings).toEqual([])
        await store.close()
      }
    }
  })

  test('may be deleted at any time', async () => {
    const { store } = openStore(dir, { checkpointBytes: 0 })
    const run = await new TestRun('sha1').create(store, {}, 5)
    await store.saveSnapshot(run.id, snapshotOf(run, 4))
    for (const name of files()) rmSync(join(dir, name))
    expect(await store.loadSnapshot(run.id)).toBeUndefined()
    await store.close()
    const again = openStore(dir, { checkpointBytes: 0 })
    expect(await again.store.loadSnapshot(run.id)).toBeUndefined()
    await again.store.saveSnapshot(run.id, snapshotOf(run, 5))
    expect(await again.store.loadSnapshot(run.id)).toEqual(snapshotOf(run, 5))
    await again.store.close()
    const third = openStore(dir)
    expect(await third.store.loadSnapshot(run.id)).toEqual(snapshotOf(run, 5))
    await showsHistory(third.store, run)
    await third.store.close()
  })

  test('that are damaged are not used: the older one is, or none', async () => {
    const first = openStore(dir, { checkpointBytes: 0 })
    const run = await new TestRun('sha1').create(first.store, {}, 9)
    for (const seq of [2, 6]) await first.store.saveSnapshot(run.id, snapshotOf(run, seq, 'ключ'))
    await first.store.close()
    const path = join(dir, files()[0]!)
    const whole = readFileSync(path)
    for (const index of [true, false]) {
      if (!index) rmSync(join(dir, 'index.bin'))
      for (let at = 0; at < whole.length; at++) {
        const bytes = Buffer.from(whole)
        // A blank becomes a zero.
        bytes[at]! ^= bytes[at] === 32 ? 0x10 : 0x11
        writeFileSync(path, bytes)
        const { store } = openStore(dir, { readOnly: true })
        const found = await store.loadSnapshot(run.id)
        const second = whole.indexOf(10) + 1
        if (found !== undefined) expect(found).toEqual(snapshotOf(run, at < second ? 6 : 2, 'ключ'))
        else expect(at >= second || !index).toBe(true)
        await store.close()
      }
    }
  })

  test('that were not written to the end are written over', async () => {
    const first = openStore(dir)
    const run = await new TestRun('sha1').create(first.store, {}, 9)
    for (const seq of [2, 6]) await first.store.saveSnapshot(run.id, snapshotOf(run, seq))
    await first.store.close()
    const path = join(dir, files()[0]!)
    writeFileSync(path, readFileSync(path).subarray(0, -5))
    const second = openStore(dir)
    expect((await second.store.loadSnapshot(run.id))?.seq).toBe(2)
    await second.store.saveSnapshot(run.id, snapshotOf(run, 7))
    expect((await second.store.loadSnapshot(run.id))?.seq).toBe(7)
    await second.store.close()
    const third = openStore(dir)
    expect((await third.store.loadSnapshot(run.id))?.seq).toBe(7)
    expect((await third.store.loadSnapshot(run.id, { atMost: 6 }))?.seq).toBe(2)
    await third.store.close()
  })

  test('ahead of the log, or of another history of the same run, are not used', async () => {
    const first = openStore(dir)
    const run = await new TestRun('sha1', { key: 'a' }).create(first.store, {}, 3)
    await first.store.close()
    const log = join(dir, 'log-00000001.ndjson')
    copyFileSync(log, join(place.dir, 'log'))
    const second = openStore(dir)
    await run.goOn(second.store, 4)
    await second.store.saveSnapshot(run.id, snapshotOf(run, 2))
    await second.store.saveSnapshot(run.id, snapshotOf(run, 7, 'of the history that was lost'))
    await second.store.close()
    copyFileSync(join(place.dir, 'log'), log)

    const third = openStore(dir)
    expect((await third.store.loadSnapshot(run.id))?.seq).toBe(2)
    expect(third.warnings.map(warning => warning.code)).toEqual(['SNAPSHOTS_DROPPED'])
    const other = {
      run: run.id,
      expected: { seq: 3, revision: 1 },
      units: [4, 5, 6, 7].map(seq => testUnit(seq, { events: [{ type: 'OTHER', seq }] })),
    }
    expect((await third.store.append([other]))[0]?.status).toBe('appended')
    expect((await third.store.loadSnapshot(run.id))?.seq).toBe(2)
    await third.store.close()
  })

  test('old ones are cleared away, and the newest of every run stays', async () => {
    const settings = { segmentBytes: 4000, checkpointBytes: 0 }
    let { store, warnings } = openStore(dir, settings)
    const runs = Array.from({ length: 5 }, () => new TestRun('sha1'))
    for (const run of runs) await run.create(store, {}, 400)
    const quiet = await new TestRun('sha1').create(store)
    await store.saveSnapshot(quiet.id, snapshotOf(quiet, 0, 'quiet'))
    for (let seq = 0; seq <= 400; seq++) {
      for (const run of runs) if (seq % 5 < 2) await store.saveSnapshot(run.id, snapshotOf(run, seq))
      if (seq % 100 !== 50) continue
      await store.close()
      expect(warnings).toEqual([])
      ;({ store, warnings } = openStore(dir, settings))
    }
    for (const run of runs) expect(await store.loadSnapshot(run.id)).toEqual(snapshotOf(run, 400))
    expect(await store.loadSnapshot(quiet.id)).toEqual(snapshotOf(quiet, 0, 'quiet'))
    await store.close()
    const bytes = files().reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)
    expect(bytes).toBeLessThan(6 * 4000 * 1.3)
    expect(files()[0]).not.toBe('snapshots-00000001.ndjson')
    const again = openStore(dir, settings)
    for (const run of runs) expect(await again.store.loadSnapshot(run.id)).toEqual(snapshotOf(run, 400))
    await again.store.close()
  })

  test('with an id spare the ids behind it the whole history', async () => {
    const { store } = openStore(dir)
    const run = await new TestRun('sha1').create(store, {}, 3000)
    const history = run.history()
    await store.saveSnapshot(run.id, { ...snapshotOf(run, 2500), id: history[2500]!.id })
    const units = await collect(store.read(run.id, { from: 2600, to: 2610 }))
    expect(units.map(unit => unit.id)).toEqual(history.slice(2600, 2611).map(unit => unit.id))
    const before = await collect(store.read(run.id, { from: 2400, to: 2410 }))
    expect(before.map(unit => unit.id)).toEqual(history.slice(2400, 2411).map(unit => unit.id))
    await store.close()
  })
})
