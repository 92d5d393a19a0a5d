import '../../seed.ts'
import { spawn } from 'node:child_process'
import { readdirSync, rmSync, statSync, truncateSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { openFilePlace } from '../../../src/persistence/git/file-place.ts'
import { type GitFiles, systemFiles } from '../../../src/persistence/git/files.ts'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { GitStore } from '../../../src/persistence/git/store.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, shown, showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { nodeScript } from '../../node-script.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { Faults } from '../filesystem/faults.ts'
import { openStore } from '../filesystem/stores.ts'
import { filled } from './filled.ts'
import { fsck, git, gitTries } from './stock-git.ts'

const ends = endings()

function place(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, 'store.git')
}

function opened(gitdir: string, more: object = {}): Store {
  const store = gitStore({ gitdir, fsync: false, interval: 1e9, ...more })
  ends.push(() => store.close())
  return store
}

/** Where the branch of a run stands. */
function branch(gitdir: string, run: TestRun): string {
  return git(gitdir, 'rev-parse', `refs/heads/r/${run.id}`)
}

function headOf(run: TestRun): string {
  return run.history().at(-1)!.id
}

test('after a close the branches have every unit, and a clone shows the same', async () => {
  const gitdir = place()
  const store = opened(gitdir)
  const runs = await Promise.all(
    Array.from({ length: 20 }, (_, index) => new TestRun('sha1', { key: `k${index}` }).create(store, {}, index)),
  )
  await Promise.all(runs.map(run => run.goOn(store, 3)))
  await store.close()
  expect(fsck(gitdir)).toBe('')
  const clone = openClone({ gitdir })
  for (const run of runs) {
    expect(branch(gitdir, run)).toBe(headOf(run))
    await showsHistory(clone, run)
  }
  await clone.close()
})

test('what is under way when it is closed is committed too', async () => {
  const gitdir = place()
  const store = opened(gitdir, { fsync: true })
  await store.append([])
  const runs = Array.from({ length: 30 }, () => new TestRun('sha1'))
  const appends = runs.map(run => store.append([run.creates({}, 2)]))
  await store.close()
  expect((await Promise.all(appends)).flat().every(({ status }) => status === 'appended')).toBe(true)
  const heads = git(gitdir, 'for-each-ref', '--format=%(subject)', 'refs/heads/r').split('\n')
  expect(heads).toEqual(runs.map(() => '2 NEXT'))
})

test('an open after a close looks at no branch, unless something has changed since', async () => {
  const gitdir = place()
  const store = opened(gitdir, { fsync: true })
  const run = await new TestRun('sha1').create(store, {}, 2)
  await store.close()
  const packs = join(gitdir, 'objects/pack')
  // Whoever looked would find that the objects are gone.
  for (const name of readdirSync(packs)) rmSync(join(packs, name))
  const again = opened(gitdir, { fsync: true })
  expect((await again.head(run.id))!.seq).toBe(2)
  await again.close()
  utimesSync(join(gitdir, 'packed-refs'), 1, 1)
  await expect(opened(gitdir, { fsync: true }).head(run.id)).rejects.toMatchObject({ code: 'COMMIT_DAMAGED' })
})

test('commits follow in the background', async () => {
  const gitdir = place()
  const store = opened(gitdir, { interval: 1 })
  const run = await new TestRun('sha1').create(store)
  let seen = ''
  // Each append is one more chance for the flush behind it: it is waited for by looking, not by time.
  while (seen === '' || seen === run.id) {
    await run.goOn(store)
    await new Promise(setImmediate)
    const ref = git(gitdir, 'for-each-ref', '--format=%(objectname)', `refs/heads/r/${run.id}`)
    seen = ref
  }
  expect(run.history().map(({ id }) => id)).toContain(seen)
})

describe('a crash', () => {
  test('of the process at any time loses nothing that was acknowledged', async () => {
    const gitdir = place()
    const script = nodeScript(new URL('./child.ts', import.meta.url))
    for (let round = 0; round < 5; round++) {
      const child = spawn(process.execPath, [script, gitdir, `round ${round}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const gone = new Promise(resolve => child.once('exit', resolve))
      const acknowledged = new Map<string, number>()
      let lines = 0
      for await (const line of createInterface({ input: child.stdout! })) {
        if (line !== 'ready') {
          const [run, seq] = JSON.parse(line.endsWith(']') ? line : '["",0]') as [string, number]
          acknowledged.set(run, seq)
        }
        // Each round ends somewhere else: in the creation of the repository, or in the middle of a flush.
        if (++lines === 1 + round * 400) child.kill('SIGKILL')
      }
      await gone
      acknowledged.delete('')
      expect(fsck(gitdir), `round ${round}`).toBe('')

      const store = opened(gitdir)
      for (const [run, seq] of acknowledged) {
        expect((await store.head(run))!.seq).toBeGreaterThanOrEqual(seq)
        const last = (await collect(store.read(run))).at(-1)!
        // The branch stands there right after the open.
        expect(git(gitdir, 'rev-parse', `refs/heads/r/${run}`)).toBe(last.id)
      }
      await store.close()
      expect(fsck(gitdir)).toBe('')
    }
  }, 120_000)

  test('at any step of a flush is mended by the next open', async () => {
    let finished = false
    for (let last = 0; !finished; last++) {
      const gitdir = place()
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
      const warnings: string[] = []
      const settings = {
        gitdir,
        objectFormat: 'sha1',
        onWarning: ({ code }: { code: string }) => warnings.push(code),
      } as const
      const open = () => openFilePlace({ ...settings, bare: true, fsync: false, files: dying })
      const store = new GitStore({ ...settings, interval: 1e9, open })
      const run = new TestRun('sha1')
      const created = await run.create(store, {}, 4).then(
        () => true,
        () => false,
      )
      await store.close()
      finished = created && warnings.length === 0
      const again = opened(gitdir)
      if (created) {
        expect((await again.head(run.id))!.seq).toBe(4)
        expect(branch(gitdir, run)).toBe(headOf(run))
      } else expect(await again.head(run.id)).toBeUndefined()
      expect(fsck(gitdir)).toBe('')
      await again.close()
    }
    expect(finished).toBe(true)
  }, 60_000)

  test('that loses the refs, or objects of the last flush, is mended from the journal', async () => {
    const gitdir = place()
    const store = opened(gitdir)
    const run = await new TestRun('sha1').create(store, {}, 4)
    await store.close()
    rmSync(join(gitdir, 'packed-refs'))
    const again = opened(gitdir)
    expect((await again.head(run.id))!.seq).toBe(4)
    expect(branch(gitdir, run)).toBe(headOf(run))
    await again.close()
    truncateSync(join(gitdir, 'packed-refs'), 0)
    await expect(opened(gitdir).head(run.id)).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
  })
})

test('a unit whose append ended in doubt, and that is there at the next open, is on its branch then', async () => {
  const gitdir = place()
  const faults = new Faults()
  const settings = { gitdir, objectFormat: 'sha1', onWarning: () => {} } as const
  const openJournal = (dir: string): Store => openStore(dir, { files: faults.files, fsync: true }).store
  const open = () => openFilePlace({ ...settings, bare: true, fsync: true, openJournal })
  const store = new GitStore({ ...settings, interval: 1e9, open })
  const run = await new TestRun('sha1').create(store, {}, 2)
  faults.failSync('EIO')
  faults.fail('ftruncateSync', 'EIO')
  await expect(store.append([run.goesOn()])).rejects.toMatchObject({ code: 'STORE_OUTCOME_UNKNOWN' })
  expect(faults.left).toBe(0)
  await store.close()
  const again = opened(gitdir, { fsync: true })
  expect((await again.head(run.id))!.seq).toBe(3)
  const last = (await collect(again.read(run.id))).at(-1)!
  expect(branch(gitdir, run)).toBe(last.id)
})

test('appends and readers do not wait for commits: the disk of the repository may stand still', async () => {
  const gitdir = place()
  let isStill = false
  let stops = (): void => {}
  let goOn = (): void => {}
  const stopped = new Promise<void>(resolve => (stops = resolve))
  const still = new Promise<void>(resolve => (goOn = resolve))
  const files: GitFiles = {
    ...systemFiles,
    async write(...args) {
      if (isStill) {
        stops()
        await still
      }
      await systemFiles.write(...args)
    },
  }
  const settings = { gitdir, objectFormat: 'sha1', interval: 1, onWarning: () => {} } as const
  const open = () => openFilePlace({ ...settings, bare: true, fsync: true, files })
  const store = new GitStore({ ...settings, open })
  await store.append([])
  isStill = true
  const run = await new TestRun('sha1').create(store)
  await stopped
  for (let round = 0; round < 50; round++) await run.goOn(store, 20)
  expect((await store.head(run.id))?.seq).toBe(1000)
  await showsHistory(store, run)
  expect(gitTries(gitdir, 'rev-parse', `refs/heads/r/${run.id}`).code).toBe(128)
  goOn()
  await store.close()
  expect(branch(gitdir, run)).toBe(headOf(run))
  expect(fsck(gitdir)).toBe('')
})

/** A store whose steps on the repository the test may refuse. */
function refusing(
  gitdir: string,
  refuses: (step: keyof GitFiles, path: string) => boolean,
  more: object = {},
): GitStore {
  const files: GitFiles = { ...systemFiles }
  for (const name of Object.keys(systemFiles) as (keyof GitFiles)[]) {
    const whole = systemFiles[name] as (...args: unknown[]) => Promise<void>
    Object.assign(files, {
      [name]: async (...args: unknown[]) => {
        if (refuses(name, String(args.at(name === 'write' ? 0 : -1))))
          throw Object.assign(new Error('EACCES: as the test wants it'), { code: 'EACCES' })
        await whole(...args)
      },
    })
  }
  const settings = { gitdir, objectFormat: 'sha1', interval: 1e9, onWarning: () => {}, ...more } as const
  const open = () => openFilePlace({ ...settings, bare: true, fsync: true, files })
  return new GitStore({ ...settings, open })
}

describe('a repository that may not be written to', () => {
  test('for a while is told, tried again, and has everything once it may', async () => {
    const gitdir = place()
    let isRefused = false
    const warned: string[] = []
    let warn = (): void => {}
    let set = (): void => {}
    const store = refusing(
      gitdir,
      (step, path) => {
        const isSet = step === 'rename' && path.endsWith('packed-refs')
        if (isSet && !isRefused) setImmediate(() => set())
        return isRefused && step === 'link'
      },
      {
        interval: 1,
        onWarning: ({ code }: { code: string }) => {
          warned.push(code)
          warn()
        },
      },
    )
    await store.append([])
    isRefused = true
    const told = new Promise<void>(resolve => {
      warn = () => {
        if (warned.length >= 3) resolve()
      }
    })
    const run = await new TestRun('sha1').create(store, {}, 2)
    await told
    expect(new Set(warned)).toEqual(new Set(['STORE_READ_ONLY']))
    const written = new Promise<void>(resolve => {
      set = resolve
    })
    isRefused = false
    await written
    expect(branch(gitdir, run)).toBe(headOf(run))
    await store.close()
  })

  test('in the middle of a pass loses no run that the pass had taken before', async () => {
    const gitdir = place()
    let isRefused = false
    let warn = (_: unknown): void => {}
    const more = { interval: 1, onWarning: (warning: unknown) => warn(warning) }
    const store = refusing(gitdir, step => isRefused && step === 'link', more)
    await store.append([])
    isRefused = true
    const told = new Promise(resolve => {
      warn = resolve
    })
    // Of the second one the beginning fills a pack, which is written before the pass is at its end.
    const [small, large] = [new TestRun('sha1'), new TestRun('sha1')]
    const text = 'x'.repeat(1e6)
    const units = Array.from({ length: 10 }, (_, n) => testUnit(n + 1, { events: [{ type: 'E', n, text }] }))
    const items = [small.creates({}, 2), { ...large.creates(), units: [large.beginning, ...units] }]
    const outcomes = await store.append(items)
    for (const [at, run] of [small, large].entries()) run.follow(items[at]!, outcomes[at])
    expect(await told).toMatchObject({ code: 'STORE_READ_ONLY' })
    isRefused = false
    await store.close()
    for (const run of [small, large]) expect(branch(gitdir, run)).toBe(headOf(run))
  })
})

describe('what others brought', () => {
  test('a clone without a journal goes on: the same runs, ids and what was recorded; they are held', async () => {
    const { store: source, runs } = await filled()
    const gitdir = place()
    const first = archive(source, { gitdir })
    await first.caughtUp()
    await first.close()
    const clone = place()
    git(gitdir, 'clone', '-q', '--mirror', gitdir, clone)
    const store = opened(clone)
    for (const run of runs) {
      const wanted = (await collect(source.read(run.id))).map(unit => ({ ...shown(unit), epoch: undefined }))
      expect((await collect(store.read(run.id))).map(unit => ({ ...shown(unit), epoch: undefined }))).toEqual(wanted)
      const [head, known] = [await store.head(run.id), await source.head(run.id)]
      expect(head).toMatchObject({ machine: known!.machine, status: known!.status, beside: { held: true } })
      expect(head!.beside.sources).toEqual(known!.beside.sources)
    }
    const [run] = runs
    const { seq, revision } = (await store.head(run!.id))!
    const [outcome] = await store.append([{ run: run!.id, expected: { seq, revision }, units: [testUnit(seq + 1)] }])
    expect(outcome).toMatchObject({ status: 'appended', seq: seq + 1 })
    await store.close()
    expect(fsck(clone)).toBe('')
    expect(git(clone, 'rev-parse', `r/${run!.id}^`)).toBe(git(gitdir, 'rev-parse', `r/${run!.id}`))
  })

  test('units that were pushed while it was closed are taken into the journal; other histories are refused', async () => {
    const [one, other] = [place(), place()]
    const store = opened(one)
    const run = await new TestRun('sha1', { key: 'shared' }).create(store, {}, 3)
    await store.close()
    git(one, 'clone', '-q', '--mirror', one, other)
    const there = opened(other)
    const { seq, revision } = (await there.head(run.id))!
    await there.append([{ run: run.id, expected: { seq, revision }, units: [testUnit(seq + 1), testUnit(seq + 2)] }])
    await there.close()
    git(other, 'push', '-q', one, `r/${run.id}`)
    const again = opened(one)
    expect(await again.head(run.id)).toMatchObject({ seq: seq + 2, beside: { held: true } })
    await again.close()

    // Both go on, each in its own way.
    const mine = opened(one)
    const at = (await mine.head(run.id))!
    const changed = { ...testUnit(at.seq + 1), events: [{ type: 'MINE' }] }
    await mine.append([{ run: run.id, expected: { seq: at.seq, revision: at.revision }, units: [changed] }])
    await mine.close()
    const theirs = opened(other)
    const head = (await theirs.head(run.id))!
    await theirs.append([
      {
        run: run.id,
        expected: { seq: head.seq, revision: head.revision },
        units: [testUnit(head.seq + 1), testUnit(head.seq + 2)],
      },
    ])
    await theirs.close()
    expect(gitTries(other, 'push', '-qf', one, `+r/${run.id}`).said).toContain('non-fast-forward')
    git(one, 'fetch', '-q', other, `+refs/heads/r/${run.id}:refs/heads/r/${run.id}`)
    await expect(opened(one).head(run.id)).rejects.toMatchObject({ code: 'ARCHIVE_DIFFERS', details: { run: run.id } })

    // The way out that the error names: nothing is lost, and the journal's own is written.
    git(one, 'branch', '-m', `r/${run.id}`, 'theirs')
    const mended = opened(one)
    const own = (await collect(mended.read(run.id))).at(-1)!
    expect(own.events).toEqual([{ type: 'MINE' }])
    expect(branch(one, run)).toBe(own.id)
    await mended.close()
    expect(fsck(one)).toBe('')
  })
})

test('a unit that Git took while the store was open is not taken for one of ours: it is told, and nothing is lost', async () => {
  const [one, other] = [place(), place()]
  const warned: string[] = []
  let warn = (): void => {}
  const store = opened(one, {
    interval: 1,
    onWarning: ({ code }: { code: string }) => {
      warned.push(code)
      if (code === 'ARCHIVE_DIFFERS') warn()
    },
  })
  const run = await new TestRun('sha1').create(store, {}, 3)
  while (gitTries(one, 'rev-parse', `r/${run.id}`).said.trim() !== headOf(run))
    await new Promise<void>(resolve => setImmediate(resolve))
  git(one, 'clone', '-q', '--mirror', one, other)
  const there = opened(other)
  const { seq, revision } = (await there.head(run.id))!
  await there.append([
    { run: run.id, expected: { seq, revision }, units: [{ ...testUnit(seq + 1), events: [{ type: 'THEIRS' }] }] },
  ])
  await there.close()
  // This repository has no hook.
  git(other, 'push', '-q', one, `r/${run.id}`)
  const told = new Promise<void>(resolve => {
    warn = resolve
  })
  await run.goOn(store, 1)
  await told
  const before = warned.length
  await store.close()
  // The close tries once more, and tells that it could not.
  expect(warned.slice(before)).toContain('ARCHIVE_DIFFERS')
  git(one, 'branch', '-m', `r/${run.id}`, 'theirs')
  const mended = opened(one)
  await showsHistory(mended, run)
  await mended.close()
  expect(branch(one, run)).toBe(headOf(run))
})

test('a branch of another history that is as long as ours is told by the open', async () => {
  const [one, other] = [place(), place()]
  const store = opened(one)
  const run = await new TestRun('sha1').create(store, {}, 3)
  await store.close()
  git(one, 'clone', '-q', '--mirror', one, other)
  const append = async (gitdir: string, type: string): Promise<void> => {
    const there = opened(gitdir)
    const { seq, revision } = (await there.head(run.id))!
    await there.append([
      { run: run.id, expected: { seq, revision }, units: [{ ...testUnit(seq + 1), events: [{ type }] }] },
    ])
    await there.close()
  }
  await append(one, 'OURS')
  await append(other, 'THEIRS')
  const [ours, theirs] = [branch(one, run), branch(other, run)]
  git(one, 'fetch', '-q', other, `+refs/heads/r/${run.id}:refs/heads/r/${run.id}`)
  git(one, 'pack-refs', '--all')
  await expect(opened(one).head(run.id)).rejects.toMatchObject({
    code: 'ARCHIVE_DIFFERS',
    message: expect.stringContaining(`Unit 4 is ${ours} in the journal, and ${theirs} in the branch`),
    details: { run: run.id, seq: 4 },
  })
  git(one, 'branch', '-m', `r/${run.id}`, 'theirs')
  const mended = opened(one)
  expect((await mended.head(run.id))!.seq).toBe(4)
  expect(branch(one, run)).toBe(ours)
})

test('Git may collect, repack, pack refs, clone, bundle and push in the middle of operation', async () => {
  const gitdir = place()
  const store = opened(gitdir, { interval: 1 })
  const [clone, shallow, remote] = [place(), place(), place()]
  const bundle = `${clone}.bundle`
  git('.', 'init', '-q', '--bare', remote)
  const runs = await Promise.all(Array.from({ length: 4 }, () => new TestRun('sha1').create(store)))
  for (const command of [
    ['gc', '-q', '--prune=now'],
    ['repack', '-adq'],
    ['pack-refs', '--all'],
    ['clone', '-q', '--mirror', gitdir, clone],
    ['clone', '-q', '--bare', '--no-single-branch', '--depth=2', `file://${gitdir}`, shallow],
    ['bundle', 'create', '-q', bundle, '--all'],
    ['push', '-q', '--all', remote],
    ['gc', '-q'],
  ]) {
    const busy = Promise.all(
      runs.map(async run => {
        for (let round = 0; round < 60; round++) await run.goOn(store)
      }),
    )
    const child = spawn('git', ['-C', gitdir, ...command], { stdio: 'ignore' })
    const code = await new Promise(resolve => child.once('exit', resolve))
    expect(code).toBe(0)
    await busy
  }
  await store.close()
  expect(fsck(gitdir)).toBe('')
  for (const run of runs) expect(branch(gitdir, run)).toBe(headOf(run))
  // What was taken along meanwhile is whole, and a beginning of each history.
  git(gitdir, 'bundle', 'verify', '-q', bundle)
  const unbundled = place()
  git('.', 'clone', '-q', '--mirror', bundle, unbundled)
  for (const copy of [clone, unbundled, remote]) {
    expect(fsck(copy)).toBe('')
    for (const run of runs) expect(run.history().map(({ id }) => id)).toContain(branch(copy, run))
  }
  expect(fsck(shallow)).toBe('')
})

test('thousands of branches are one pack and one write of the refs', async () => {
  const gitdir = place()
  const store = opened(gitdir)
  const runs = Array.from({ length: 3000 }, (_, index) => new TestRun('sha1', { key: `${index}` }))
  const outcomes = await store.append(runs.map(run => run.creates({}, 1)))
  expect(outcomes.every(({ status }) => status === 'appended')).toBe(true)
  await store.close()
  expect(git(gitdir, 'for-each-ref', 'refs/heads/r').split('\n')).toHaveLength(3000)
  expect(readdirSync(join(gitdir, 'objects/pack')).filter(name => name.endsWith('.pack'))).toHaveLength(1)
  expect(statSync(join(gitdir, 'packed-refs')).size).toBeGreaterThan(3000 * 80)
})

test('one process has it open; it is refused to another, and so are options that make no sense', async () => {
  const gitdir = place()
  const store = opened(gitdir)
  await store.append([])
  const second = opened(gitdir)
  await expect(second.append([])).rejects.toMatchObject({
    code: 'STORE_LOCKED',
    message: expect.stringMatching(/^The repository .* by process \d+ .*`openClone` and Git read it meanwhile/),
    details: { path: gitdir, pid: process.pid },
  })
  await store.close()
  await expect(store.head('x')).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  expect(await second.append([])).toEqual([])
  expect(() => gitStore({ gitdir, fs: {} } as never)).toThrow(TypeError)
  expect(() => gitStore({} as never)).toThrow(TypeError)
  expect(() => gitStore({ gitdir, objectFormat: 'md5' as never })).toThrow(TypeError)
  expect(() => gitStore({ gitdir, interval: -1 })).toThrow(TypeError)
  expect(() => archive(memoryStore(), { gitdir, interval: Number.NaN })).toThrow(TypeError)
})
