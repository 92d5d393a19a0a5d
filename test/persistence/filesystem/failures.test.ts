import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemFiles } from '../../../src/persistence/filesystem/files.ts'
import { collect, showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { SmallDisk } from '../../faults/small-disk.ts'
import { temporaryDirectory } from './directory.ts'
import { Faults, refused } from './faults.ts'
import { contentOf, openStore } from './stores.ts'

let place: ReturnType<typeof temporaryDirectory>
let dir: string

beforeEach(() => {
  place = temporaryDirectory()
  dir = join(place.dir, 'store')
})
afterEach(() => place.remove())

/** Appends that fail as one flush, in front of one that succeeds. */
async function failing(faults: Faults, arrange: () => void, code: string): Promise<void> {
  const { store, warnings } = openStore(dir, { files: faults.files, fsync: true })
  const runs = [new TestRun('sha1', { key: 'a' }), new TestRun('sha1', { key: 'b' })]
  for (const run of runs) await run.create(store)
  const before = await contentOf(store)
  const size = statSync(join(dir, 'log-00000001.ndjson')).size
  arrange()
  const calls = [
    ...runs.map(run => store.append([run.goesOn(3)])),
    store.claim({ namespace: 'n', partition: 1, owner: 'p', group: 'g' }),
  ]
  for (const call of calls) await expect(call).rejects.toMatchObject({ code })
  expect(faults.left).toBe(0)
  expect(await contentOf(store)).toEqual(before)
  for (const run of runs) await run.goOn(store, 2)
  expect(statSync(join(dir, 'log-00000001.ndjson')).size).toBeGreaterThan(size)
  expect(await store.lease({ namespace: 'n', partition: 1 })).toBeUndefined()
  const after = await contentOf(store)
  await store.close()
  const again = openStore(dir)
  expect(await contentOf(again.store)).toEqual(after)
  await again.store.renew('p', 1)
  expect([...warnings, ...again.warnings]).toEqual([])
  await again.store.close()
}

/** Writes a part of what it should, then refuses. */
const partly = (bytes: number, code: string) =>
  ((file: number, buffer: Buffer, offset: number, length: number, position: number) => {
    systemFiles.writeSync(file, buffer, offset, Math.min(bytes, length), position)
    throw refused(code)
  }) as never

describe('a write that fails', () => {
  test.each([
    ['ENOSPC', 'STORE_FULL'],
    ['EDQUOT', 'STORE_FULL'],
    ['EIO', 'STORE_UNAVAILABLE'],
    ['EROFS', 'STORE_READ_ONLY'],
  ])('with %s rejects with %s, is cut back, and the store goes on', async (errno, code) => {
    const faults = new Faults()
    await failing(faults, () => faults.next('writeSync', partly(200, errno)), code)
  })

  test('is continued where the system took a part of it', async () => {
    const faults = new Faults()
    const { store } = openStore(dir, { files: faults.files })
    const run = await new TestRun('sha1').create(store)
    for (let count = 0; count < 3; count++) {
      faults.next('writeSync', ((file: number, bytes: Buffer, offset: number, length: number, position: number) =>
        systemFiles.writeSync(file, bytes, offset, Math.min(7, length), position)) as never)
    }
    await run.goOn(store, 3)
    expect(faults.left).toBe(0)
    await showsHistory(store, run)
    await store.close()
  })

  test('and cannot be cut back at once is cut back before the next', async () => {
    const faults = new Faults()
    await failing(
      faults,
      () => {
        faults.next('writeSync', partly(1e6, 'ENOSPC'))
        faults.fail('ftruncateSync', 'EIO')
      },
      'STORE_FULL',
    )
  })

  test('in a new segment leaves the old one in place', async () => {
    for (const call of ['openSync', 'writeSync', 'fsyncSync', 'renameSync'] as const) {
      const faults = new Faults()
      const path = join(dir, call)
      const { store } = openStore(path, { files: faults.files, segmentBytes: 1, fsync: true })
      const run = await new TestRun('sha1').create(store)
      faults.fail(call, 'ENOSPC')
      await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_FULL' })
      expect([call, faults.left]).toEqual([call, 0])
      await run.goOn(store)
      await run.goOn(store)
      await showsHistory(store, run)
      await store.close()
      const again = openStore(path)
      await showsHistory(again.store, run)
      await again.store.close()
    }
  })
})

test.each<[string, (log: string) => void]>([
  ['removed', log => rmSync(log)],
  ['removed with its directory', log => rmSync(join(log, '..'), { recursive: true })],
  ['cut', log => truncateSync(log, statSync(log).size - 10)],
  [
    'replaced',
    log => {
      copyFileSync(log, `${log}.copy`)
      renameSync(`${log}.copy`, log)
    },
  ],
])(
  'a log that is %s under the one that writes is told, and acknowledges nothing, also when a new segment is due',
  async (_, change) => {
    for (const segmentBytes of [64 << 20, 1]) {
      const path = join(dir, String(segmentBytes))
      const { store } = openStore(path, { segmentBytes })
      const run = await new TestRun('sha1').create(store)
      const log = join(path, 'log-00000001.ndjson')
      change(log)
      const left = existsSync(log) && readFileSync(log, 'latin1')
      for (let time = 0; time < 2; time++) {
        await expect(store.append([run.goesOn()])).rejects.toMatchObject({
          code: 'STORE_DAMAGED',
          details: { file: log },
        })
      }
      await store.close()
      expect(existsSync(log) && readFileSync(log, 'latin1')).toBe(left)
      expect(existsSync(join(path, 'log-00000002.ndjson'))).toBe(false)
    }
  },
)

test('a store whose directory was moved while it was open is gone, not damaged', async () => {
  const first = openStore(dir, { segmentBytes: 1 }).store
  const run = await new TestRun('sha1').create(first)
  // More segments than are kept open.
  for (let n = 0; n < 40; n++) await run.goOn(first)
  await first.close()
  const { store } = openStore(dir)
  await run.goOn(store)
  renameSync(dir, `${dir}-moved`)
  await expect(collect(store.read(run.id))).rejects.toMatchObject({ code: 'STORE_MISSING', details: { path: dir } })
  renameSync(`${dir}-moved`, dir)
  await showsHistory(store, run)
  await store.close()
})

test('a unit that no line can hold is refused, with all of its call', async () => {
  const { store } = openStore(dir)
  const runs = [await new TestRun('sha1').create(store), await new TestRun('sha1').create(store)]
  const large = runs[1]!.goesOn([testUnit(1, { events: [{ type: 'E', text: 'x'.repeat(1e8) }] })])
  await expect(store.append([runs[0]!.goesOn(), large])).rejects.toMatchObject({ code: 'EVENT_TOO_LARGE' })
  for (const run of runs) await run.goOn(store, 2)
  for (const run of runs) await showsHistory(store, run)
  await store.close()
})

describe('a sync that fails', () => {
  test('takes back what it was for', async () => {
    const faults = new Faults()
    await failing(faults, () => faults.failSync('EIO'), 'STORE_UNAVAILABLE')
  })

  test('is never tried again on the same descriptor: that is closed first', async () => {
    const faults = new Faults()
    const events: string[] = []
    const watch = (
      call: 'closeSync' | 'fsyncSync' | 'fdatasync' | 'openSync' | 'ftruncateSync' | 'writeSync',
    ): void => {
      const real = faults.files[call] as (...args: unknown[]) => unknown
      Object.assign(faults.files, {
        [call]: (...args: unknown[]) => {
          const result = real(...args)
          events.push(`${call} ${call === 'openSync' ? result : args[0]}`)
          return result
        },
      })
    }
    const { store } = openStore(dir, { files: faults.files, fsync: true })
    const run = await new TestRun('sha1').create(store)
    for (const call of ['closeSync', 'fsyncSync', 'fdatasync', 'openSync', 'ftruncateSync', 'writeSync'] as const)
      watch(call)
    faults.failSync('EIO')
    await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryable: true })
    const failed = events.findIndex(event => event.startsWith('fdatasync'))
    const descriptor = events[failed]!.split(' ')[1]
    const [closed, opened, ...rest] = events.slice(failed + 1)
    expect(closed).toBe(`closeSync ${descriptor}`)
    expect(opened).toMatch(/^openSync /)
    const fresh = opened!.split(' ')[1]
    // The page at the cut is written again, since the system may have dropped it with the rest.
    expect(rest).toEqual([`ftruncateSync ${fresh}`, `writeSync ${fresh}`, `fsyncSync ${fresh}`])
    await run.goOn(store)
    await showsHistory(store, run)
    await store.close()
  })

  test('and cannot be taken back is STORE_OUTCOME_UNKNOWN; what waited behind it was not written', async () => {
    const faults = new Faults()
    const { store, warnings } = openStore(dir, { files: faults.files, fsync: true })
    const runs = [new TestRun('sha1'), new TestRun('sha1')]
    for (const run of runs) await run.create(store)
    let next: Promise<unknown> | undefined
    faults.next('fdatasync', ((_file: number, done: (error: Error) => void) => {
      // While the flush is on its way, another one is collected behind it.
      next = store.append([runs[0]!.goesOn([testUnit(1)])])
      next.catch(() => {})
      setImmediate(done, refused('EIO'))
    }) as never)
    faults.fail('ftruncateSync', 'EIO')
    await expect(store.append([runs[1]!.goesOn()])).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
    await expect(next).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(faults.left).toBe(0)
    // While the disk refuses to mend the file, nothing is written; then all goes on.
    faults.fail('openSync', 'EIO')
    await expect(store.append([runs[0]!.goesOn()])).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    for (const run of runs) await run.goOn(store)
    for (const run of runs) await showsHistory(store, run)
    await store.close()
    const again = openStore(dir)
    for (const run of runs) await showsHistory(again.store, run)
    await again.store.close()
    expect([...warnings, ...again.warnings]).toEqual([])
  })
})

describe('a place that refuses', () => {
  test('to be written to is STORE_READ_ONLY, and can be read', async () => {
    const first = openStore(dir)
    const run = await new TestRun('sha1').create(first.store, {}, 2)
    await first.store.close()
    const reader = openStore(dir, { readOnly: true })
    await showsHistory(reader.store, run)
    await expect(reader.store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
    await expect(reader.store.renew('p', 1)).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
    await reader.store.saveSnapshot(run.id, { seq: 1, machine: run.machine.oid, format: 1, state: 1 })
    expect(await reader.store.loadSnapshot(run.id)).toBeUndefined()
    await reader.store.close()
    expect(readdirSync(dir).filter(name => name.startsWith('snapshots'))).toEqual([])
  })

  test('to be read is STORE_UNAVAILABLE', async () => {
    const first = openStore(dir)
    const run = await new TestRun('sha1').create(first.store, {}, 2)
    await first.store.close()
    const faults = new Faults()
    const { store } = openStore(dir, {
      files: {
        ...faults.files,
        readSync: (() => {
          throw refused('EIO')
        }) as never,
      },
    })
    await expect(store.head(run.id)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await expect(collect(store.read(run.id))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await store.close()
  })
})

/** A disk of so many bytes; undefined: this process may not mount one. */
function mounted(options: string): SmallDisk | undefined {
  return SmallDisk.mount(join(place.dir, 'mount'), options)
}

describe('a real disk', () => {
  test('that is full refuses, keeps what it acknowledged, and goes on when there is space', async context => {
    const mount = mounted('size=64k')
    if (mount === undefined) return context.skip(SmallDisk.missing)
    try {
      const path = join(mount.path, 'store')
      const { store } = openStore(path, { fsync: true, segmentBytes: 20_000 })
      const run = await new TestRun('sha1').create(store)
      let refusals = 0
      while (refusals < 3) {
        const [outcome] = await store.append([run.goesOn(10)]).catch((error: { code: string }) => {
          expect(error.code).toBe('STORE_FULL')
          return [undefined]
        })
        if (outcome === undefined) refusals++
        else run.follow(run.goesOn(10), outcome)
      }
      await showsHistory(store, run)
      const again = openStore(path, { readOnly: true })
      await showsHistory(again.store, run)
      await again.store.close()
      mount.remount('size=1m')
      await run.goOn(store, 50)
      await showsHistory(store, run)
      await store.close()
    } finally {
      mount.unmount()
    }
  })

  test('that is full from the beginning leaves nothing that is half made', async context => {
    const mount = mounted('size=4k')
    if (mount === undefined) return context.skip(SmallDisk.missing)
    try {
      const path = join(mount.path, 'store')
      const { store } = openStore(path, { fsync: true })
      const run = new TestRun('sha1')
      const error = await store.append([run.creates({}, 200)]).catch((error: unknown) => error)
      expect(error).toMatchObject({ code: 'STORE_FULL' })
      await store.close()
      mount.remount('size=1m')
      const again = openStore(path)
      expect(await collect(again.store.list())).toEqual([])
      await run.create(again.store, {}, 200)
      await showsHistory(again.store, run)
      await again.store.close()
      expect(again.warnings).toEqual([])
    } finally {
      mount.unmount()
    }
  })

  test('that may only be read is STORE_READ_ONLY for who writes, and can be read', async context => {
    const mount = mounted('size=1m')
    if (mount === undefined) return context.skip(SmallDisk.missing)
    try {
      const path = join(mount.path, 'store')
      const first = openStore(path)
      const run = await new TestRun('sha1').create(first.store, {}, 3)
      await first.store.close()
      const log = readFileSync(join(path, 'log-00000001.ndjson'))
      mount.remount('ro')
      const { store, warnings } = openStore(path)
      await showsHistory(store, run)
      await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
      await showsHistory(store, run)
      await store.close()
      await expect(openStore(join(mount.path, 'other')).store.renew('p', 1)).rejects.toMatchObject({
        code: 'STORE_READ_ONLY',
      })
      expect(warnings).toEqual([])
      expect(readFileSync(join(path, 'log-00000001.ndjson'))).toEqual(log)
      expect(existsSync(join(mount.path, 'other'))).toBe(false)
    } finally {
      mount.unmount()
    }
  })
})
