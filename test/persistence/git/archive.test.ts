import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { gitBlob } from '../../../src/actors/identity/index.ts'
import { inTurns } from '../../../src/persistence/filesystem/turns.ts'
import { RepositoryWriter } from '../../../src/persistence/git/archive.ts'
import { Archiver } from '../../../src/persistence/git/archiver.ts'
import { type FileContent, type GitFiles, systemFiles } from '../../../src/persistence/git/files.ts'
import { type Archive, archive } from '../../../src/persistence/git/index.ts'
import { packDepot } from '../../../src/persistence/git/pack-depot.ts'
import { PackWriter } from '../../../src/persistence/git/pack-writer.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, TestRun, testMachine, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { override } from '../store-door.ts'
import { filled } from './filled.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

/** A directory where no repository is yet. */
function place(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, 'archive.git')
}

function started(store: Store, gitdir: string, more: object = {}): Archive {
  // No pass but those that are asked for.
  const archived = archive(store, { gitdir, interval: 1e9, onError: () => {}, ...more })
  ends.push(() => archived.close())
  return archived
}

/** Every branch has the commits that the store's histories have, and stock Git finds nothing wrong. */
function expectWhole(gitdir: string, runs: readonly TestRun[]): void {
  for (const run of runs) {
    const commits = git(gitdir, 'log', '--reverse', '--format=%H', `refs/heads/r/${run.id}`).split('\n')
    // A fork's own commit stands between the shared units and its own; before all of them stands the machine.
    const ids = run.history().map(({ id }) => id)
    const expected = chainOf(run)
    expect(commits).toEqual(expected)
    expect(expected.slice(1)).toEqual(expect.arrayContaining(ids))
  }
  expect(fsck(gitdir)).toBe('')
}

function chainOf(run: TestRun): string[] {
  const own = run
    .history()
    .filter(unit => unit.run === run.id)
    .map(({ id }) => id)
  if (run.parent === undefined) return [run.machine.oid, ...own]
  const { of, at } = run.parent
  const shared = chainOf(of)
  return [...shared.slice(0, shared.indexOf(of.history()[at]!.id) + 1), run.id, ...own]
}

describe.each(['sha1', 'sha256'] as const)('a store of %s', format => {
  test('is archived as branches of commits that have the ids of its units', async () => {
    const { store, runs } = await filled(format)
    const gitdir = place()
    const archived = started(store, gitdir)
    const { units } = await archived.caughtUp()
    expect(units).toBe(runs.reduce((sum, run) => sum + run.appended.length - (run.parent ? 0 : 1), 0))
    expectWhole(gitdir, runs)
    expect(git(gitdir, 'branch', '--format=%(refname)').split('\n').sort()).toEqual(
      [
        ...runs.map(({ id }) => `refs/heads/r/${id}`),
        `refs/heads/m/${testMachine(format).oid}`,
        `refs/heads/m/${testMachine(format, '2').oid}`,
        'refs/heads/xmachines/provenance',
      ].sort(),
    )
  })
})

test('a log reads as the story of the run, and a commit as what arrived', async () => {
  const { store, runs } = await filled()
  const gitdir = place()
  await started(store, gitdir).caughtUp()
  const story = git(gitdir, 'log', '--reverse', '--format=%s %at', `r/${runs[2]!.id}`).split('\n')
  expect(story).toEqual(['machine light 1 0', 'run tests/ключ 2 0', '1 NEXT 1', '2 NEXT 1'])
  const shown = git(gitdir, 'show', '--format=', runs[2]!.history()[1]!.id)
  expect(shown).toContain('+    "type": "NEXT"')
})

test('what is committed is not committed again, by this archive or by the next', async () => {
  const { store, runs } = await filled()
  const gitdir = place()
  const first = started(store, gitdir)
  const { units, flushes } = await first.caughtUp()
  expect(await first.caughtUp()).toEqual({ units, flushes })
  await runs[3]!.goOn(store, 2)
  expect(await first.caughtUp()).toEqual({ units: units + 2, flushes: flushes + 1 })
  await first.close()
  await expect(first.caughtUp()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  await runs[0]!.goOn(store, 1)
  const fresh = await new TestRun('sha1', { key: 'fresh' }).create(store, {}, 1)
  const second = started(store, gitdir)
  expect((await second.caughtUp()).units).toBe(2)
  expectWhole(gitdir, [...runs, fresh])
})

test('a store that grows is followed without being asked, and never waits', async () => {
  const store = memoryStore()
  const run = await new TestRun('sha1').create(store)
  const gitdir = place()
  const archived = started(store, gitdir, { interval: 1 })
  let units = 0
  for (let round = 0; round < 20; round++) {
    await run.goOn(store, 3)
    await new Promise(setImmediate)
  }
  // Passes follow each other by themselves: this one is not the first.
  while (units < 60) ({ units } = await archived.caughtUp())
  expectWhole(gitdir, [run])
})

test('others have a turn in the middle of a long run, and of a pack, by the time that it took', async () => {
  const store = memoryStore()
  const run = await new TestRun('sha1').create(store, {}, 4000)
  const head = (await store.head(run.id))!
  const writer = await RepositoryWriter.open(place(), { bare: true, source: store })
  const pack = new PackWriter('sha1')
  for (let at = 0; at < 20_000; at++) pack.add(gitBlob('sha1', Buffer.from(`${at}`)))
  // Each look at the clock is a millisecond: every few of them are as long as others should wait.
  let now = performance.now()
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now++)
  const turns = async (work: Promise<unknown>): Promise<number> => {
    let [count, isOver] = [0, false]
    const next = (): void => {
      count++
      if (!isOver) setImmediate(next)
    }
    setImmediate(next)
    await work
    isOver = true
    return count
  }
  expect(await turns(writer.archiver.take(store, head))).toBeGreaterThan(4000 / 8)
  expect(await turns(inTurns(pack.finish()))).toBeGreaterThan(2)
  clock.mockRestore()
  await writer.close()
})

test('a run that moved long ago is looked up again, one that moved last is not; both go on, each unit once', async () => {
  const store = memoryStore()
  const runs = await Promise.all(Array.from({ length: 12 }, () => new TestRun('sha1').create(store, {}, 2)))
  const gitdir = place()
  const writer = await RepositoryWriter.open(gitdir, { bare: true, source: store })
  const { repository } = writer
  const archiver = new Archiver(repository, packDepot(repository, repository.refs, systemFiles), { mostKnown: 4 })
  const take = async (run: TestRun): Promise<void> => archiver.take(store, (await store.head(run.id))!)
  for (const run of runs) await take(run)
  await archiver.commit()
  const looks = vi.spyOn(repository.refs, 'get')
  const looked = (run: TestRun): boolean => looks.mock.calls.some(([name]) => name === `refs/heads/r/${run.id}`)
  for (const run of runs) {
    await run.goOn(store)
    await take(run)
    // A second time before it is committed: what is in hand is never forgotten.
    await run.goOn(store)
    await take(run)
  }
  expect(runs.map(looked)).toEqual(runs.map((_, at) => at < 8))
  await archiver.commit()
  expect(archiver.counts.units).toBe(12 * 4)
  // Nothing has happened since: a listing looks at no branch, whichever runs are known.
  looks.mockClear()
  for await (const head of store.list()) expect(archiver.isTaken(head)).toBe(true)
  expect(looks).not.toHaveBeenCalled()
  await writer.close()
  expectWhole(gitdir, runs)
})

test('many packs become few', async () => {
  const store = memoryStore()
  const runs = await Promise.all(Array.from({ length: 3 }, () => new TestRun('sha1').create(store)))
  const gitdir = place()
  const archived = started(store, gitdir)
  for (let round = 0; round < 120; round++) {
    await runs[round % 3]!.goOn(store)
    await archived.caughtUp()
    expect(readdirSync(join(gitdir, 'objects/pack')).filter(name => name.endsWith('.pack')).length).toBeLessThan(50)
  }
  expectWhole(gitdir, runs)
})

test('Git may repack, collect and pack refs meanwhile, and push', async () => {
  const { store, runs } = await filled()
  const gitdir = place()
  const archived = started(store, gitdir)
  await archived.caughtUp()
  git(gitdir, 'tag', '-a', 'v1', '-m', 'kept', `r/${runs[1]!.id}`)
  git(gitdir, 'update-ref', 'refs/heads/main', runs[1]!.history()[0]!.id)
  for (const command of [
    ['gc', '-q', '--prune=now'],
    ['pack-refs', '--all', '--prune'],
    ['repack', '-adq'],
  ]) {
    git(gitdir, ...command)
    await Promise.all(runs.map(run => run.goOn(store, 2)))
    await archived.caughtUp()
    expectWhole(gitdir, runs)
  }
  // A loose ref counts for more than a packed one.
  const head = git(gitdir, 'rev-parse', `r/${runs[0]!.id}`)
  mkdirSync(join(gitdir, 'refs/heads/r'), { recursive: true })
  writeFileSync(join(gitdir, 'refs/heads/r', runs[0]!.id), `${head}\n`)
  await runs[0]!.goOn(store)
  await archived.caughtUp()
  expectWhole(gitdir, runs)
  expect(existsSync(join(gitdir, 'refs/heads/r', runs[0]!.id))).toBe(false)
  expect(git(gitdir, 'cat-file', '-t', 'v1')).toBe('tag')
  const plain = place()
  git(gitdir, 'clone', '-q', '--mirror', gitdir, plain)
  await runs[0]!.goOn(store)
  await archived.caughtUp()
  git(gitdir, 'push', '-q', plain, '+refs/*:refs/*')
  git(gitdir, 'bundle', 'create', '-q', `${plain}.bundle`, '--all')
  expectWhole(plain, runs)
})

test("what the store cannot give is told as the store's; what the repository cannot take as its own", async () => {
  const store = memoryStore()
  await new TestRun('sha1').create(store, {}, 2)
  let isBroken = true
  const read: Store['read'] = (run, options) => {
    if (isBroken) throw new Error('no connection')
    return store.read(run, options)
  }
  const gitdir = place()
  const archived = started(override(store, { read }), gitdir)
  await expect(archived.caughtUp()).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(/^What the store memory holds could not be read, .*no connection/),
  })
  isBroken = false
  expect((await archived.caughtUp()).units).toBe(2)
  await archived.close()
  rmSync(join(gitdir, 'packed-refs'))
  mkdirSync(join(gitdir, 'packed-refs'))
  await expect(started(store, gitdir).caughtUp()).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringMatching(/^The repository .* could not be written to: EISDIR/),
  })
})

test('a foreign branch is refused until it is renamed; another hash for good', async () => {
  const { store } = await filled()
  const gitdir = place()
  const first = started(store, gitdir)
  await first.caughtUp()
  await first.close()
  git(gitdir, 'update-ref', 'refs/heads/r/feature', 'refs/heads/xmachines/provenance')
  const archived = started(store, gitdir)
  await expect(archived.caughtUp()).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  git(gitdir, 'branch', '-m', 'r/feature', 'feature')
  await expect(archived.caughtUp()).resolves.toBeDefined()
  const other = started(memoryStore({ objectFormat: 'sha256' }), gitdir)
  for (let round = 0; round < 2; round++)
    await expect(other.caughtUp()).rejects.toMatchObject({ code: 'OBJECT_FORMAT_MISMATCH' })
})

describe('a repository', () => {
  test('of another process that archives is locked', async () => {
    const { store } = await filled()
    const gitdir = place()
    await started(store, gitdir).caughtUp()
    await expect(started(store, gitdir).caughtUp()).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  })

  test('of another hash is refused, and so is a foreign branch or a directory of other things', async () => {
    const { store } = await filled()
    const gitdir = place()
    await expect(started(memoryStore({ objectFormat: 'sha256' }), gitdir).caughtUp()).resolves.toBeDefined()
    await ends.pop()!()
    await expect(started(store, gitdir).caughtUp()).rejects.toMatchObject({
      code: 'OBJECT_FORMAT_MISMATCH',
      details: { objectFormat: 'sha256' },
    })
    const other = place()
    const archived = started(store, other)
    await archived.caughtUp()
    await archived.close()
    git(other, 'update-ref', 'refs/heads/r/feature', 'refs/heads/xmachines/provenance')
    await expect(started(store, other).caughtUp()).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
      details: { ref: 'refs/heads/r/feature' },
    })
  })

  test('with another history of a run keeps it; the other runs are archived', async () => {
    const [one, other] = [memoryStore(), memoryStore()]
    const [mine, theirs] = [new TestRun('sha1', { key: 'a' }), new TestRun('sha1', { key: 'a' })]
    await mine.create(one, {}, 2)
    await theirs.create(other)
    await theirs.goOn(other, [{ ...testUnit(1), events: [{ type: 'OTHER' }] }])
    const gitdir = place()
    const first = started(one, gitdir)
    await first.caughtUp()
    await first.close()
    // As long as what is there, and nothing will follow that would show it.
    await theirs.goOn(other, [{ ...testUnit(2), at: testUnit(2).at + 1 }])
    const equal = started(other, gitdir)
    await expect(equal.caughtUp()).rejects.toMatchObject({ code: 'ARCHIVE_DIFFERS', details: { run: mine.id } })
    await equal.close()
    await theirs.goOn(other, 1)
    const more = await new TestRun('sha1', { key: 'b' }).create(other, {}, 2)
    const second = started(other, gitdir)
    await expect(second.caughtUp()).rejects.toMatchObject({
      code: 'ARCHIVE_DIFFERS',
      details: { run: mine.id, seq: 2 },
    })
    expectWhole(gitdir, [mine, more])
  })

  test('with other histories of several runs names each of them', async () => {
    const [one, other] = [memoryStore(), memoryStore()]
    const ids: string[] = []
    for (const key of ['a', 'b', 'c']) {
      const [mine, theirs] = [new TestRun('sha1', { key }), new TestRun('sha1', { key })]
      ids.push((await mine.create(one, {}, 1)).id)
      await theirs.create(other)
      await theirs.goOn(other, [{ ...testUnit(1), at: testUnit(1).at + 1 }])
    }
    const gitdir = place()
    const first = started(one, gitdir)
    await first.caughtUp()
    await first.close()
    const error: unknown = await started(other, gitdir)
      .caughtUp()
      .catch((thrown: unknown) => thrown)
    if (!XMachinesError.is(error, 'ARCHIVE_DIFFERS')) throw error
    const others = error.details.others as unknown as readonly { readonly run: string; readonly code: string }[]
    expect(others.map(({ code }) => code)).toEqual(['ARCHIVE_DIFFERS', 'ARCHIVE_DIFFERS'])
    expect([error.details.run, ...others.map(({ run }) => run)].sort()).toEqual(ids.sort())
    for (const { run } of others) expect(error.message).toContain(run)
  })
})

async function firstHalf(content: FileContent): Promise<FileContent> {
  if (typeof content === 'string') return content.slice(0, content.length >> 1)
  const bytes = content instanceof Uint8Array ? content : Buffer.concat(await collected(content))
  return bytes.subarray(0, bytes.length >> 1)
}

async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return all
}

/** Files that end at the `last`-th step, in the middle of it. */
function endingAt(last: number): { files: GitFiles; readonly steps: () => number } {
  let steps = 0
  const step = async (half: () => Promise<void>, whole: () => Promise<void>): Promise<void> => {
    if (++steps > last) {
      if (steps === last + 1) await half()
      throw new Error('the process has ended')
    }
    await whole()
  }
  const nothing = async (): Promise<void> => {}
  const files: GitFiles = {
    write: (path, bytes, options) =>
      step(
        async () => systemFiles.write(path, await firstHalf(bytes), options),
        () => systemFiles.write(path, bytes, options),
      ),
    link: (from, to) => step(nothing, () => systemFiles.link(from, to)),
    rename: (from, to) => step(nothing, () => systemFiles.rename(from, to)),
    remove: path => step(nothing, () => systemFiles.remove(path)),
    syncFolder: path => step(nothing, () => systemFiles.syncFolder(path)),
    makeFolder: path => step(nothing, () => systemFiles.makeFolder(path)),
  }
  return { files, steps: () => steps }
}

test('a crash at any step leaves a whole repository, and the next archive ends what was begun', async () => {
  const { store, runs } = await filled()
  const loose = runs[0]!
  let finished = false
  for (let last = 0; !finished; last++) {
    const gitdir = place()
    // One flush is there before the crash, with a loose ref.
    const before = await RepositoryWriter.open(gitdir, { bare: true, source: store })
    await before.archiver.take(store, (await store.head(loose.id))!)
    await before.archiver.commit()
    await before.close()
    mkdirSync(join(gitdir, 'refs/heads/r'), { recursive: true })
    const older = loose.history().at(-1)!.id
    writeFileSync(join(gitdir, 'refs/heads/r', loose.id), `${older}\n`)
    await loose.goOn(store)

    const { files, steps } = endingAt(last)
    const writer = await RepositoryWriter.open(gitdir, { bare: true, source: store, files }).catch(() => undefined)
    try {
      for (const head of await collect(store.list())) await writer?.archiver.take(store, head)
      await writer?.archiver.commit()
      finished = steps() <= last && writer !== undefined
    } catch (error) {
      expect((error as Error).message).toContain('the process has ended')
    }
    await writer?.close()
    expect(fsck(gitdir), `after ${last} steps`).toBe('')
    const heads = git(gitdir, 'for-each-ref', '--format=%(refname:lstrip=3) %(objectname)', 'refs/heads/r').split('\n')
    expect([older, loose.history().at(-1)!.id]).toContain(heads.find(line => line.startsWith(loose.id))?.split(' ')[1])

    // The next pack is another one, and takes nothing of the first one's place.
    await loose.goOn(store)
    const archived = started(store, gitdir)
    await archived.caughtUp()
    expectWhole(gitdir, runs)
    await archived.close()
    const left = readdirSync(gitdir, { recursive: true }).map(String)
    expect(left.filter(name => /tmp_|\.keep$|\.lock$|\.new$/.test(name) && !name.startsWith('xmachines'))).toEqual([])
  }
  expect(finished).toBe(true)
}, 120_000)
