import '../../seed.ts'
import * as nodeFs from 'node:fs'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { createFsFromVolume, Volume } from 'memfs'
import { describe, expect, test, vi } from 'vitest'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, shown, showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { storeConformance } from '../../../src/testing/store-conformance.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { filled } from './filled.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

/** What lies in memory, on the disk, where stock Git finds it. */
function onDisk(volume: Volume): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  const copy = (path: string): void => {
    mkdirSync(join(dir, path), { recursive: true })
    for (const name of volume.readdirSync(path || '/') as string[]) {
      const inside = `${path}/${name}`
      if (volume.statSync(inside).isDirectory()) copy(inside)
      else writeFileSync(join(dir, inside), volume.readFileSync(inside) as Uint8Array)
    }
  }
  copy('')
  return dir
}

/** All files of volumes; those of a later one count for more. */
function copyOf(...volumes: readonly Volume[]): Volume {
  const copy = new Volume()
  for (const volume of volumes) {
    for (const path of Object.keys(volume.toJSON())) {
      if (!volume.statSync(path).isFile()) continue
      copy.mkdirSync(path.slice(0, path.lastIndexOf('/')), { recursive: true })
      copy.writeFileSync(path, volume.readFileSync(path))
    }
  }
  return copy
}

function memory(): { volume: Volume; fs: ReturnType<typeof createFsFromVolume> } {
  const volume = new Volume()
  return { volume, fs: createFsFromVolume(volume) }
}

describe('gitStore over a file system in memory', () => {
  storeConformance(
    async () => {
      const { volume, fs } = memory()
      return {
        open: async options => gitStore({ dir: '/orders', fs, ...options }),
        cleanup: async () => {
          // Stock Git takes minutes for a hundred thousand loose objects: their kinds are all in the smaller ones.
          if (Object.keys(volume.toJSON()).length > 500) return
          const gitdir = join(onDisk(volume), 'orders/.git')
          if (nodeFs.existsSync(join(gitdir, 'HEAD'))) expect(fsck(gitdir)).toBe('')
        },
        durable: true,
      }
    },
    (name, work) => {
      // Three hundred thousand loose objects: in the long form only.
      if (name.includes('25,000 units') && process.env.XM_LONG !== '1') return
      test(name, work, 180_000)
    },
  )
})

test('what it wrote is read by stock Git, and by a store in files of Node, which goes on', async () => {
  const { volume, fs } = memory()
  const store = gitStore({ gitdir: '/r.git', fs })
  const run = await new TestRun('sha1', { key: 'k' }).create(store, {}, 3)
  await store.close()
  const gitdir = join(onDisk(volume), 'r.git')
  expect(fsck(gitdir)).toBe('')
  expect(git(gitdir, 'log', '--format=%s', `r/${run.id}`)).toBe('3 NEXT\n2 NEXT\n1 NEXT\nrun tests/k\nmachine light 1')
  const clone = openClone({ gitdir })
  await showsHistory(clone, run)
  await clone.close()
  const there = gitStore({ gitdir, fsync: false })
  await showsHistory(there, run)
  await there.close()
})

test('without isomorphic-git, what Git has packed says how to install it; what it has not packed is read', async () => {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  const [one, loose, packed] = [join(dir, 'one.git'), join(dir, 'loose.git'), join(dir, 'packed.git')]
  const first = gitStore({ gitdir: one, fs: nodeFs })
  const run = await new TestRun('sha1', { key: 'k' }).create(first, {}, 2)
  await first.close()
  // Clones have no journal: they are read from their objects, which a clone on the same disk copies as they are.
  for (const clone of [loose, packed]) git(one, 'clone', '-q', '--mirror', one, clone)
  git(packed, 'repack', '-adq')
  vi.doMock('isomorphic-git', () => {
    throw new Error("Cannot find package 'isomorphic-git'")
  })
  ends.push(() => vi.doUnmock('isomorphic-git'))
  const again = gitStore({ gitdir: loose, fs: nodeFs })
  await showsHistory(again, run)
  await again.close()
  const store = gitStore({ gitdir: packed, fs: nodeFs })
  await expect(store.head(run.id)).rejects.toMatchObject({
    code: 'LIBRARY_MISSING',
    message: expect.stringContaining('npm install isomorphic-git'),
    details: { package: 'isomorphic-git' },
  })
  await store.close()
})

test('without a `Buffer`, as in a browser that was not given one, it says how to have it', () => {
  vi.stubGlobal('Buffer', undefined)
  ends.push(() => vi.unstubAllGlobals())
  expect(() => gitStore({ gitdir: '/r.git', fs: memory().fs })).toThrow(
    expect.objectContaining({ code: 'LIBRARY_MISSING', details: { package: 'buffer' } }),
  )
})

test('a clone that Git has packed is read with isomorphic-git, and goes on; so are units that were pushed', async () => {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  const [one, packed] = [join(dir, 'one.git'), join(dir, 'packed.git')]
  const first = gitStore({ gitdir: one, fsync: false })
  const run = await new TestRun('sha1', { key: 'k' }).create(first, {}, 40)
  await first.close()
  git(one, 'clone', '-q', '--mirror', one, packed)
  git(packed, 'repack', '-adfq', '--depth=10')
  const store = gitStore({ gitdir: packed, fs: nodeFs })
  await showsHistory(store, run)
  const { seq, revision, beside } = (await store.head(run.id))!
  expect(beside.held).toBe(true)
  await store.append([{ run: run.id, expected: { seq, revision }, units: [testUnit(seq + 1)] }])
  await store.close()
  expect(fsck(packed)).toBe('')
  expect(git(packed, 'log', '-1', '--format=%s', `r/${run.id}`)).toBe('41 NEXT')

  git(one, 'fetch', '-q', packed, '+refs/heads/*:refs/heads/*')
  const there = gitStore({ gitdir: one, fsync: false })
  const head = (await there.head(run.id))!
  await there.append([
    { run: run.id, expected: { seq: head.seq, revision: head.revision }, units: [testUnit(42), testUnit(43)] },
  ])
  await there.close()
  git(one, 'push', '-q', packed, '--all')
  const again = gitStore({ gitdir: packed, fs: nodeFs })
  expect((await collect(again.read(run.id))).map(({ id }) => id).at(-1)).toBe(git(one, 'rev-parse', `r/${run.id}`))
  await again.close()
})

test('an ordinary clone, which has its runs from a remote only, has them here too, and no second run of a key', async () => {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  const [one, clone] = [join(dir, 'one.git'), join(dir, 'clone')]
  const first = gitStore({ gitdir: one, fsync: false })
  const lease = await first.claim({ namespace: 'tests', partition: 0, owner: 'o', group: 'g' })
  const run = await new TestRun('sha1', { key: 'k' }).create(first, { lease }, 5)
  const fork = await new TestRun('sha1', { fork: { of: run, at: 3 } }).create(first, {}, 2)
  await first.close()
  git(one, 'clone', '-q', one, clone)
  for (let opens = 0; opens < 2; opens++) {
    const store = gitStore({ dir: clone, fs: nodeFs })
    expect(await store.find('tests', 'k')).toBe(run.id)
    for (const one of [run, fork]) expect((await store.head(one.id))!.beside.held).toBe(true)
    await showsHistory(store, run)
    await showsHistory(store, fork)
    await store.close()
  }
  for (const { id } of [run, fork]) expect(git(clone, 'rev-parse', `r/${id}`)).toBe(git(one, 'rev-parse', `r/${id}`))
  expect(git(clone, 'rev-parse', 'xmachines/provenance')).toBe(git(one, 'rev-parse', 'xmachines/provenance'))
  expect(fsck(clone)).toBe('')
})

test('what cannot be read here is told: refs that were cut off or say nothing, objects that are borrowed', async () => {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  const place = (name: string): string => join(dir, name)
  const [one, cut, nameless, borrowing] = [place('one.git'), place('cut.git'), place('nameless.git'), place('b.git')]
  const first = gitStore({ gitdir: one, fsync: false })
  const run = await new TestRun('sha1', { key: 'k' }).create(first, {}, 5)
  await first.close()
  git(one, 'clone', '-q', '--bare', one, cut)
  git(one, 'clone', '-q', '--bare', '--shared', one, borrowing)
  writeFileSync(join(cut, 'packed-refs'), '')
  await expect(gitStore({ gitdir: cut, fs: nodeFs }).append([])).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  git(one, 'clone', '-q', '--bare', one, nameless)
  mkdirSync(join(nameless, 'refs/heads/r'), { recursive: true })
  writeFileSync(join(nameless, `refs/heads/r/${run.id}`), '')
  await expect(gitStore({ gitdir: nameless, fs: nodeFs }).append([])).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  await expect(gitStore({ gitdir: borrowing, fs: nodeFs }).append([])).rejects.toMatchObject({
    code: 'STORE_UNSUPPORTED',
    message: expect.stringContaining('git repack -ad'),
  })
  git(borrowing, 'repack', '-adq')
  rmSync(join(borrowing, 'objects/info/alternates'))
  const store = gitStore({ gitdir: borrowing, fs: nodeFs })
  await showsHistory(store, run)
  await store.close()
})

test('a file system that fails at any operation loses nothing that was acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 160 }), fc.integer({ min: 1, max: 4 }), async (fails, units) => {
      const { volume, fs } = memory()
      let count = 0
      const promises = new Proxy(fs.promises, {
        get(target, name) {
          const whole = Reflect.get(target, name)
          if (!['writeFile', 'rename', 'unlink', 'mkdir'].includes(String(name))) return whole
          return async (...args: unknown[]) => {
            if (count++ >= fails) throw Object.assign(new Error('the disk is gone'), { code: 'EIO' })
            return Reflect.apply(whole as () => Promise<unknown>, target, args)
          }
        },
      })
      const store = gitStore({ gitdir: '/r.git', fs: { promises }, interval: 1e9, onWarning: () => {} })
      const run = new TestRun('sha1', { key: 'k' })
      let seq = -1
      try {
        await run.create(store, {}, 1)
        seq = 1
        for (let round = 0; round < 3; round++) {
          const recorded = { state: '1:a', outputs: [{ type: 'SAID' }] }
          await run.goOn(
            store,
            Array.from({ length: units }, (_, at) => testUnit(seq + 1 + at, recorded)),
          )
          seq += units
        }
      } catch {
        // It is gone.
      }
      await store.close()
      const again = gitStore({ gitdir: '/r.git', fs })
      const head = await again.head(run.id)
      expect(head?.seq ?? -1).toBeGreaterThanOrEqual(seq)
      await again.close()
      const gitdir = join(onDisk(volume), 'r.git')
      expect(fsck(gitdir)).toBe('')
      if (head === undefined) return
      expect(git(gitdir, 'log', '-1', '--format=%s', `r/${run.id}`)).toMatch(`${head.seq} NEXT`)
      // Nor what was recorded of it.
      const clone = openClone({ gitdir })
      for (const { seq, state, outputs } of await collect(clone.read(run.id)))
        if (seq > 1) expect({ seq, state, outputs }).toEqual({ seq, state: '1:a', outputs: [{ type: 'SAID' }] })
      await clone.close()
    }),
    { numRuns: 40 },
  )
}, 120_000)

test('a flush that is cut off between any two of its refs is made again, with what was recorded', async () => {
  for (let last = 0, isWhole = false; !isWhole; last++) {
    const { volume, fs } = memory()
    let refs = 0
    const rename = async (from: string, to: string): Promise<void> => {
      if (to.includes('/refs/') && refs++ >= last) throw Object.assign(new Error('the disk is gone'), { code: 'EIO' })
      await fs.promises.rename(from, to)
    }
    const promises = Object.assign(Object.create(fs.promises), { rename })
    const store = gitStore({ gitdir: '/r.git', fs: { promises }, interval: 1e9, onWarning: () => {} })
    const run = await new TestRun('sha1').create(store)
    await run.goOn(store, [testUnit(1, { state: '1:a' })])
    await store.close()
    isWhole = refs <= last
    const again = gitStore({ gitdir: '/r.git', fs })
    await again.append([])
    await again.close()
    const clone = openClone({ gitdir: join(onDisk(volume), 'r.git') })
    expect(await collect(clone.read(run.id)), `${last} refs`).toMatchObject([{ seq: 0 }, { seq: 1, state: '1:a' }])
    await clone.close()
  }
})

test.each([
  ['a disk', () => Object.assign(new Error('no space left'), { code: 'ENOSPC' })],
  ['the quota of a browser', () => new DOMException('The quota has been exceeded.', 'QuotaExceededError')],
])('%s that is full is told, keeps nothing of it, and lets be read what is there', async (_, error) => {
  const { volume, fs } = memory()
  let isFull = false
  const writeFile = async (path: string, data: Uint8Array): Promise<void> => {
    if (isFull) throw error()
    await fs.promises.writeFile(path, data)
  }
  const promises = Object.assign(Object.create(fs.promises), { writeFile })
  const told: string[] = []
  const open = () =>
    gitStore({ gitdir: '/r.git', fs: { promises }, interval: 0, onWarning: ({ code }) => told.push(code) })
  const store = open()
  const run = await new TestRun('sha1').create(store)
  for (let round = 0; round < 70; round++) await run.goOn(store)
  const before = copyOf(volume)
  isFull = true
  await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_FULL' })
  await showsHistory(store, run)
  isFull = false
  await run.goOn(store)
  await showsHistory(store, run)
  await store.close()
  expect(told.filter(code => code !== 'STORE_FULL')).toEqual([])
  isFull = true
  const again = open()
  await showsHistory(again, run)
  await again.close()
  // What is not committed yet has to be, before anything is answered.
  before.rmSync('/r.git/refs/heads/r', { recursive: true, force: true })
  const behind = Object.assign(Object.create(createFsFromVolume(before).promises), { writeFile })
  await expect(gitStore({ gitdir: '/r.git', fs: { promises: behind } }).head(run.id)).rejects.toMatchObject({
    code: 'STORE_FULL',
  })
})

test('a unit whose append ended in doubt, and that is there, is committed by the close', async () => {
  const { volume, fs } = memory()
  let fails = false
  const flush = async (): Promise<void> => {
    if (!fails) return
    fails = false
    throw Object.assign(new Error('the disk does not answer'), { code: 'EIO' })
  }
  const promises = Object.assign(Object.create(fs.promises), { flush })
  const first = gitStore({ gitdir: '/r.git', fs })
  const run = await new TestRun('sha1').create(first, {}, 1)
  await first.close()
  const store = gitStore({ gitdir: '/r.git', fs: { promises }, interval: 1e9 })
  await store.append([])
  fails = true
  await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
  expect((await store.head(run.id))!.seq).toBe(2)
  await store.close()
  expect(git(join(onDisk(volume), 'r.git'), 'log', '-1', '--format=%s', `r/${run.id}`)).toBe('2 NEXT')
})

test('many operations become one file, also if that ends in the middle; a file that is missing is told', async () => {
  const { volume, fs } = memory()
  const list = (): string[] => fs.readdirSync('/r.git/xmachines/operations') as string[]
  const store = gitStore({ gitdir: '/r.git', fs })
  const run = await new TestRun('sha1').create(store)
  for (let round = 0; round < 80; round++) await run.goOn(store)
  await store.close()
  const before = copyOf(volume)
  const again = gitStore({ gitdir: '/r.git', fs })
  await showsHistory(again, run)
  await again.close()
  expect(list()).toEqual(['00000001-00000081.ndjson'])
  // What was merged is still there.
  const both = copyOf(before, volume)
  const third = gitStore({ gitdir: '/r.git', fs: createFsFromVolume(both) })
  await showsHistory(third, run)
  await third.close()
  const cut = copyOf(before)
  cut.unlinkSync('/r.git/xmachines/operations/00000007-00000007.ndjson')
  await expect(gitStore({ gitdir: '/r.git', fs: createFsFromVolume(cut) }).head(run.id)).rejects.toMatchObject({
    code: 'STORE_DAMAGED',
  })
})

test('a branch where ours are, with a name that none of ours has, is refused by its name', async () => {
  const { volume, fs } = memory()
  const store = gitStore({ gitdir: '/r.git', fs })
  const run = await new TestRun('sha1').create(store, {}, 1)
  await store.close()
  volume.mkdirSync('/r.git/refs/heads/r', { recursive: true })
  volume.writeFileSync('/r.git/refs/heads/r/feature', volume.readFileSync('/r.git/refs/heads/xmachines/provenance'))
  await expect(gitStore({ gitdir: '/r.git', fs }).head(run.id)).rejects.toMatchObject({
    code: 'STORE_FOREIGN',
    details: { ref: 'refs/heads/r/feature' },
  })
})

test('a second store is refused while the first is open, and goes on after its close; one that could not open holds nothing', async () => {
  const { volume, fs } = memory()
  const first = gitStore({ gitdir: '/r.git', fs })
  const run = await new TestRun('sha1', { key: 'k' }).create(first, {}, 1)
  const second = gitStore({ gitdir: '/r.git/', fs })
  await expect(second.head(run.id)).rejects.toMatchObject({ code: 'STORE_LOCKED', details: { path: '/r.git' } })
  // Another path, and another file system, are others' business.
  for (const store of [gitStore({ gitdir: '/s.git', fs }), gitStore({ gitdir: '/r.git', fs: memory().fs })]) {
    await store.append([])
    await store.close()
  }
  await run.goOn(first)
  await first.close()
  await run.goOn(second)
  await showsHistory(second, run)
  await second.close()
  const operations = '/r.git/xmachines/operations'
  volume.renameSync(`${operations}/00000002-00000002.ndjson`, `${operations}/moved`)
  await expect(gitStore({ gitdir: '/r.git', fs }).head(run.id)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  volume.renameSync(`${operations}/moved`, `${operations}/00000002-00000002.ndjson`)
  const third = gitStore({ gitdir: '/r.git', fs })
  await showsHistory(third, run)
  await third.close()
})

test('what cannot be is refused', async () => {
  expect(() => gitStore({ dir: '/r', fs: {} as never })).toThrow(/promises.readFile/)
  expect(() => gitStore({ fs: memory().fs } as never)).toThrow(TypeError)
  const { fs } = memory()
  await gitStore({ dir: '/r', fs, objectFormat: 'sha256' }).append([])
  await expect(gitStore({ dir: '/r', fs }).append([])).rejects.toMatchObject({ code: 'OBJECT_FORMAT_MISMATCH' })
})

test('an ordinary clone is gone on with: what follows is pushed back, and what is fetched later is there at the next open', async () => {
  const { store: source, runs } = await filled()
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  const [ledger, clone] = [join(dir, 'ledger.git'), join(dir, 'clone')]
  const following = archive(source, { gitdir: ledger })
  await following.caughtUp()
  await following.close()
  git(ledger, 'clone', '-q', ledger, clone)
  const store = gitStore({ dir: clone, fs: nodeFs, interval: 1e9 })
  for (const run of runs) {
    const wanted = (await collect(source.read(run.id))).map(unit => ({ ...shown(unit), epoch: undefined }))
    expect((await collect(store.read(run.id))).map(unit => ({ ...shown(unit), epoch: undefined }))).toEqual(wanted)
    expect(await store.head(run.id)).toMatchObject({ beside: { held: true } })
  }
  const [run] = runs
  const { seq, revision } = (await store.head(run!.id))!
  await store.append([{ run: run!.id, expected: { seq, revision }, units: [testUnit(seq + 1)] }])
  await store.close()
  expect(git(clone, 'config', 'xmachines.format')).toBe('1')
  expect(fsck(clone)).toBe('')
  for (const folder of ['r', 'm']) {
    const names = ['for-each-ref', '--format=%(refname:lstrip=-2)', `refs/heads/${folder}`] as const
    expect(git(clone, ...names)).toBe(git(ledger, ...names))
  }
  git(clone, 'push', '-q', 'origin', '--all')
  expect(git(ledger, 'log', '-1', '--format=%s', `r/${run!.id}`)).toBe(`${seq + 1} NEXT`)

  // The next open has it all in its journal, and takes what was fetched meanwhile.
  const another = memoryStore()
  const later = await new TestRun('sha1', { key: 'later' }).create(another, {}, 2)
  const more = archive(another, { gitdir: ledger })
  await more.caughtUp()
  await more.close()
  git(clone, 'fetch', '-q')
  const next = gitStore({ dir: clone, fs: nodeFs, interval: 1e9 })
  expect((await next.head(run!.id))?.seq).toBe(seq + 1)
  expect((await next.head(later.id))?.seq).toBe(2)
  await next.close()
  expect(fsck(clone)).toBe('')
})
