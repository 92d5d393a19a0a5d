import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { openFilePlace } from '../../../src/persistence/git/file-place.ts'
import { type GitFiles, systemFiles } from '../../../src/persistence/git/files.ts'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, shown, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { filled } from './filled.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

function place(name: string): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, name)
}

async function archived(store: Store, gitdir = place('ledger.git')): Promise<string> {
  const following = archive(store, { gitdir })
  await following.caughtUp()
  await following.close()
  return gitdir
}

function opened(dir: string, more: object = {}): Store {
  const store = gitStore({ dir, fsync: false, interval: 1e9, ...more })
  ends.push(() => store.close())
  return store
}

/** Appends a unit to a run, in a store that is opened for it. */
async function goOn(dir: string, { id }: TestRun, ...events: readonly string[]): Promise<void> {
  const store = opened(dir)
  for (const type of events) {
    const { seq, revision } = (await store.head(id))!
    const unit = { ...testUnit(seq + 1), events: [{ type }] }
    await store.append([{ run: id, expected: { seq, revision }, units: [unit] }])
  }
  await store.close()
}

test('an ordinary clone is gone on with: the same runs, with what was recorded, and what follows is pushed back', async () => {
  const { store: source, runs } = await filled()
  const ledger = await archived(source)
  const clone = place('clone')
  git(ledger, 'clone', '-q', ledger, clone)
  const store = opened(clone, { fsync: true })
  for (const run of runs) {
    const wanted = (await collect(source.read(run.id))).map(unit => ({ ...shown(unit), epoch: undefined }))
    expect((await collect(store.read(run.id))).map(unit => ({ ...shown(unit), epoch: undefined }))).toEqual(wanted)
    expect(await store.head(run.id)).toMatchObject({ beside: { held: true } })
  }
  // Nothing is committed again: every branch is the one that was there.
  const branches = (dir: string, folder: string): string =>
    git(dir, 'for-each-ref', '--format=%(objectname) %(refname:lstrip=-2)', folder)
  for (const folder of ['r', 'm'])
    expect(branches(clone, `refs/heads/${folder}`)).toBe(branches(ledger, `refs/heads/${folder}`))
  expect(git(clone, 'rev-parse', 'xmachines/provenance')).toBe(git(ledger, 'rev-parse', 'xmachines/provenance'))
  const [run] = runs
  await store.close()
  await goOn(clone, run!, 'MORE')
  expect(fsck(clone)).toBe('')
  git(clone, 'push', '-q', 'origin', '--all')
  expect(git(ledger, 'log', '-1', '--format=%s', `r/${run!.id}`)).toMatch(/ MORE$/)
  expect(fsck(ledger)).toBe('')
})

test.each(['after a close that left all in step', 'while it is open, and packed by Git'])(
  'runs that are fetched later are there at the next open: %s',
  async when => {
    const source = memoryStore()
    await new TestRun('sha1', { key: 'first' }).create(source)
    const ledger = await archived(source)
    const clone = place('clone')
    git(ledger, 'clone', '-q', ledger, clone)
    const before = opened(clone, { fsync: true })
    await before.append([])
    const isOpen = when.startsWith('while')
    if (!isOpen) await before.close()
    const later = await new TestRun('sha1', { key: 'later' }).create(source)
    await later.goOn(source, [testUnit(1, { outputs: [{ type: 'SAID' }] })])
    await archived(source, ledger)
    git(clone, 'fetch', '-q')
    if (isOpen) {
      git(clone, 'pack-refs', '--all')
      await before.close()
    }
    const store = opened(clone, { fsync: true })
    expect(await store.find('tests', 'later')).toBe(later.id)
    expect((await collect(store.read(later.id))).at(-1)!.outputs).toEqual([{ type: 'SAID' }])
    expect(git(clone, 'rev-parse', `refs/heads/r/${later.id}`)).toBe(later.history().at(-1)!.id)
  },
)

test('runs of a remote whose record went another way are recorded after ours', async () => {
  const [one, two] = [memoryStore(), memoryStore()]
  const mine = await new TestRun('sha1', { key: 'mine' }).create(one)
  const theirs = await new TestRun('sha1', { key: 'theirs' }).create(two)
  await theirs.goOn(two, [testUnit(1, { outputs: [{ type: 'SAID' }], state: '1:a' })])
  const [ledger, other] = [await archived(one), await archived(two, place('other.git'))]
  git(ledger, 'remote', 'add', 'other', other)
  git(ledger, 'fetch', '-q', 'other')
  const store = opened(ledger)
  expect((await store.head(mine.id))!.seq).toBe(mine.seq)
  expect((await store.head(theirs.id))!.seq).toBe(1)
  await store.close()
  const reader = openClone({ dir: ledger })
  ends.push(() => reader.close())
  expect((await collect(reader.read(theirs.id))).at(-1)).toMatchObject({ outputs: [{ type: 'SAID' }], state: '1:a' })
  expect(fsck(ledger)).toBe('')
})

test('an open of a clone that ends at any step is mended by the next one', async () => {
  const source = memoryStore()
  const run = await new TestRun('sha1', { key: 'k' }).create(source)
  await run.goOn(source, [testUnit(1, { outputs: [{ type: 'SAID' }] })])
  const ledger = await archived(source)
  let finished = false
  for (let last = 0; !finished; last++) {
    const clone = place('clone')
    git(ledger, 'clone', '-q', ledger, clone)
    const gitdir = join(clone, '.git')
    let steps = 0
    const dying: GitFiles = { ...systemFiles }
    for (const name of Object.keys(systemFiles) as (keyof GitFiles)[]) {
      const whole = systemFiles[name] as (...args: unknown[]) => Promise<void>
      Object.assign(dying, {
        [name]: async (...args: unknown[]) => {
          if (++steps > last) throw Object.assign(new Error('the disk is gone'), { code: 'EIO' })
          await whole(...args)
        },
      })
    }
    const settings = {
      gitdir,
      bare: false,
      objectFormat: 'sha1',
      fsync: false,
      files: dying,
      onWarning: () => {},
    } as const
    finished = await openFilePlace(settings).then(
      async opening => {
        await opening.close(false).catch(() => {})
        return steps <= last
      },
      () => false,
    )
    const store = opened(clone)
    expect((await collect(store.read(run.id))).at(-1)!.outputs).toEqual([{ type: 'SAID' }])
    await store.close()
    for (const name of [`r/${run.id}`, 'xmachines/provenance'])
      expect(git(clone, 'rev-parse', `refs/heads/${name}`), `step ${last}`).toBe(git(ledger, 'rev-parse', name))
    expect(fsck(clone)).toBe('')
  }
})

describe('two remotes', () => {
  /** A repository that has fetched from two clones, which went on with one run. */
  async function fetched(one: readonly string[], two: readonly string[]): Promise<{ dir: string; run: TestRun }> {
    const source = memoryStore()
    const run = await new TestRun('sha1', { key: 'k' }).create(source, {}, 3)
    const ledger = await archived(source)
    const dir = place('reader')
    git(ledger, 'init', '-q', dir)
    for (const [name, events] of Object.entries({ one, two })) {
      const clone = place(name)
      git(ledger, 'clone', '-q', '--mirror', ledger, clone)
      await goOn(clone, run, ...events)
      git(dir, 'remote', 'add', name, clone)
      git(dir, 'fetch', '-q', name)
    }
    return { dir, run }
  }

  test('that have a run up to different units are one history', async () => {
    const { dir, run } = await fetched(['A'], ['A', 'B'])
    for (const store of [openClone({ dir }), opened(dir)]) {
      expect((await store.head(run.id))!.seq).toBe(5)
      await store.close()
    }
    expect(git(dir, 'rev-parse', `r/${run.id}`)).toBe(git(dir, 'rev-parse', `two/r/${run.id}`))
  })

  test('of which one is damaged hide no run but that one', async () => {
    const { dir, run } = await fetched(['A'], ['A', 'B'])
    const other = await new TestRun('sha1', { key: 'other' }).create(memoryStore(), {}, 1)
    const head = git(dir, 'rev-parse', `one/r/${run.id}`)
    rmSync(join(dir, '.git/objects', head.slice(0, 2), head.slice(2)))
    const store = openClone({ dir })
    await expect(store.head(run.id)).rejects.toMatchObject({ code: 'COMMIT_DAMAGED', details: { run: run.id } })
    expect(await store.head(other.id)).toBeUndefined()
    await store.close()
  })

  test('that have it differently are refused, until it is said which one counts', async () => {
    const { dir, run } = await fetched(['A'], ['X', 'Y'])
    for (const store of [openClone({ dir }), opened(dir)]) {
      await expect(store.head(run.id)).rejects.toMatchObject({
        code: 'ARCHIVE_DIFFERS',
        message: expect.stringContaining(`git branch r/${run.id} two/r/${run.id}`),
        details: { run: run.id, remotes: ['one', 'two'] },
      })
      await store.close()
    }
    git(dir, 'branch', `r/${run.id}`, `one/r/${run.id}`)
    const store = opened(dir)
    expect((await collect(store.read(run.id))).at(-1)!.events).toEqual([{ type: 'A' }])
  })
})

test('a remote run whose key has another run here is refused, until it is forgotten', async () => {
  const source = memoryStore()
  const theirs = await new TestRun('sha1', { key: 'k', input: 1 }).create(source)
  const ledger = await archived(source)
  const dir = place('mine')
  const mine = new TestRun('sha1', { key: 'k', input: 2 })
  const store = opened(dir)
  await mine.create(store)
  await store.close()
  git(dir, 'fetch', '-q', ledger, '+refs/heads/*:refs/remotes/origin/*')
  await expect(opened(dir).head(mine.id)).rejects.toMatchObject({
    code: 'ARCHIVE_DIFFERS',
    message: expect.stringContaining(`git branch -d -r origin/r/${theirs.id}`),
    details: { run: theirs.id },
  })
  git(dir, 'branch', '-d', '-r', `origin/r/${theirs.id}`)
  expect((await opened(dir).head(mine.id))!.seq).toBe(0)
})
