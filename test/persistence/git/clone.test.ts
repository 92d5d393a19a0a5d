import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import type { Store } from '../../../src/actors/contracts/store.ts'
import { unitCommit } from '../../../src/actors/identity/index.ts'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { Refs } from '../../../src/persistence/git/refs.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, shown, showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { filled } from './filled.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

function place(name = 'repository.git'): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return join(dir, name)
}

async function archived(store: Store): Promise<string> {
  const gitdir = place()
  const following = archive(store, { gitdir })
  await following.caughtUp()
  await following.close()
  return gitdir
}

function opened(dir: string): Store {
  const store = openClone({ dir })
  ends.push(() => store.close())
  return store
}

/** All that both a store and a clone show. */
async function contentOf(store: Store): Promise<unknown> {
  const heads = await collect(store.list())
  const histories = await Promise.all(heads.map(async ({ run }) => (await collect(store.read(run))).map(shown)))
  const pinned = await Promise.all(heads.map(({ namespace, key }) => key && store.find(namespace, key)))
  const machines = await Promise.all(heads.map(({ machine }) => store.machine(machine)))
  return { heads, histories, pinned, machines }
}

/** How a clone can be made, from where the archive is to a new place. */
const clones: Readonly<Record<string, (from: string, to: string) => void>> = {
  mirror: (from, to) => git(from, 'clone', '-q', '--mirror', from, to),
  bare: (from, to) => git(from, 'clone', '-q', '--bare', from, to),
  'with a working directory': (from, to) => git(from, 'clone', '-q', from, to),
  'by a bundle': (from, to) => {
    git(from, 'bundle', 'create', '-q', `${to}.bundle`, '--all')
    git(from, 'clone', '-q', '--bare', `${to}.bundle`, to)
  },
  'by a push': (from, to) => {
    git(from, 'init', '-q', '--bare', `--object-format=${git(from, 'rev-parse', '--show-object-format')}`, to)
    git(from, 'push', '-q', '--all', to)
  },
  'that borrows objects': (from, to) => git(from, 'clone', '-q', '--bare', '--shared', from, to),
  'that borrows objects from where the path is quoted': (from, to) => {
    git(from, 'clone', '-q', '--bare', '--shared', from, to)
    writeFileSync(join(to, 'objects/info/alternates'), `# mine\n"${from.replaceAll('.', '\\056')}/objects"\n`)
  },
  'packed with deltas': (from, to) => {
    git(from, 'clone', '-q', '--bare', from, to)
    git(to, 'repack', '-adfq', '--depth=50', '--window=50')
    git(to, 'pack-refs', '--all')
  },
}

describe.each(['sha1', 'sha256'] as const)('a clone of %s', format => {
  test.each(Object.entries(clones))('%s shows what the store has', async (_name, make) => {
    const { store } = await filled(format)
    const gitdir = await archived(store)
    const dir = place('clone')
    make(gitdir, dir)
    expect(fsck(dir)).toBe('')
    const clone = opened(dir)
    expect(clone.objectFormat).toBe(format)
    expect(await contentOf(clone)).toEqual(await contentOf(store))
  })
})

test('parts of histories are read, with ids or without', async () => {
  const { store, runs } = await filled()
  const clone = opened(await archived(store))
  for (const { id, seq } of runs) {
    for (const [from, to] of [
      [0, 0],
      [1, 2],
      [3, 5],
      [4, 4],
      [5, 90],
      [seq, seq],
      [seq + 1, seq + 2],
      [2, 1],
    ] as const) {
      const wanted = (await collect(store.read(id, { from, to }))).map(shown)
      expect((await collect(clone.read(id, { from, to }))).map(shown), `${from} … ${to} of ${seq}`).toEqual(wanted)
      expect((await collect(clone.read(id, { from, to, ids: false }))).map(shown)).toEqual(wanted)
    }
  }
  await expect(collect(clone.read('0'.repeat(40)))).rejects.toMatchObject({ code: 'RUN_UNKNOWN' })
  expect(await clone.head('0'.repeat(40))).toBeUndefined()
  expect(await clone.find('tests', 'nobody')).toBeUndefined()
  await expect(clone.append([])).rejects.toMatchObject({ code: 'STORE_READ_ONLY' })
  const sorted = runs.map(({ id }) => id).sort()
  expect((await collect(clone.list({ after: sorted[3]! }))).map(({ run }) => run)).toEqual(sorted.slice(4))
  expect((await collect(clone.list({ prefix: sorted[3]!.slice(0, 12) }))).map(({ run }) => run)).toEqual([sorted[3]])
  expect(await collect(clone.list({ namespace: 'other' }))).toEqual([])
})

test('a clone of one branch has the histories, and knows nothing of how they were recorded', async () => {
  const { store, runs } = await filled()
  const gitdir = await archived(store)
  const dir = place('clone')
  const run = runs[13]!
  git(gitdir, 'clone', '-q', '--bare', '--single-branch', '--branch', `r/${run.id}`, gitdir, dir)
  const clone = opened(dir)
  const [head] = await collect(clone.list())
  const known = await store.head(run.id)
  expect(head).toMatchObject({
    run: run.id,
    seq: run.seq,
    at: known!.at,
    fork: { at: run.beginning.at },
    machineId: 'light',
  })
  const ids = (await collect(clone.read(run.id))).map(unit => [
    unit.run,
    unit.seq,
    unit.id,
    unit.at,
    unit.outputs.length,
  ])
  expect(ids).toEqual(run.history().map(unit => [unit.run, unit.seq, unit.id, unit.at, 0]))
})

test('what is pushed meanwhile is seen by the next operation: units, runs, keys, and branches that are gone', async () => {
  const store = memoryStore()
  const run = await new TestRun('sha1', { key: 'a' }).create(store, {}, 2)
  const gitdir = await archived(store)
  const dir = place('clone')
  git(gitdir, 'clone', '-q', '--mirror', gitdir, dir)
  git(dir, 'config', 'receive.denyDeletes', 'false')
  const clone = opened(dir)
  expect((await clone.head(run.id))!.seq).toBe(2)
  expect(await clone.find('tests', 'b')).toBeUndefined()
  await run.goOn(store, 2)
  const other = await new TestRun('sha1', { key: 'b' }).create(store, {}, 1)
  const following = archive(store, { gitdir })
  await following.caughtUp()
  await following.close()
  // A push sets refs in files of their own, as long as nobody packs them.
  git(gitdir, 'push', '-q', dir, '--all')
  await showsHistory(clone, run)
  expect((await clone.head(run.id))!.seq).toBe(4)
  expect(await clone.find('tests', 'b')).toBe(other.id)
  expect(await contentOf(clone)).toEqual(await contentOf(store))
  git(dir, 'pack-refs', '--all')
  expect((await clone.head(run.id))!.seq).toBe(4)
  git(dir, 'update-ref', '-d', `refs/heads/r/${other.id}`)
  expect(await clone.find('tests', 'b')).toBeUndefined()
  expect(await clone.head(other.id)).toBeUndefined()
})

test('a repository that is taken away under who reads it is told, and not shown as one without runs', async () => {
  const store = memoryStore()
  const run = await new TestRun('sha1', { key: 'a' }).create(store, {}, 2)
  const gitdir = await archived(store)
  const clone = opened(gitdir)
  await showsHistory(clone, run)
  renameSync(gitdir, `${gitdir}.away`)
  const missing = { code: 'STORE_MISSING', details: { path: gitdir } }
  await expect(clone.head(run.id)).rejects.toMatchObject(missing)
  await expect(clone.find('tests', 'a')).rejects.toMatchObject(missing)
  await expect(collect(clone.list())).rejects.toMatchObject(missing)
  await expect(collect(clone.read(run.id))).rejects.toMatchObject(missing)
  mkdirSync(gitdir)
  await expect(clone.head(run.id)).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
  rmSync(gitdir, { recursive: true })
  renameSync(`${gitdir}.away`, gitdir)
  await showsHistory(clone, run)
})

test('branches are read once where nobody sets any', async () => {
  const { store, runs } = await filled()
  const gitdir = await archived(store)
  // What was set this very moment may be set once more in the same tick of the file system's clock.
  for (const path of ['packed-refs', 'refs/heads', 'refs/heads/r', 'refs/heads/m', 'refs/heads/xmachines'])
    if (existsSync(join(gitdir, path))) utimesSync(join(gitdir, path), 1, 1)
  const reads = vi.spyOn(Refs.prototype, 'all')
  ends.push(() => reads.mockRestore())
  const clone = opened(gitdir)
  for (const run of runs) await showsHistory(clone, run)
  await contentOf(clone)
  expect(reads).toHaveBeenCalledTimes(1)
})

test('a partial clone says what it is, and not that something is missing', async () => {
  const { store } = await filled()
  const gitdir = await archived(store)
  git(gitdir, 'config', 'uploadpack.allowFilter', 'true')
  for (const filter of ['blob:none', 'tree:0']) {
    const dir = place('clone')
    git(gitdir, 'clone', '-q', '--bare', `--filter=${filter}`, `file://${gitdir}`, dir)
    await expect(collect(opened(dir).list())).rejects.toMatchObject({
      code: 'COMMIT_DAMAGED',
      message: expect.stringMatching(/partial.*git fetch --refetch --no-filter brings the rest/),
    })
  }
})

test('a clone that borrows objects says whose, where they are gone', async () => {
  const { store } = await filled()
  const gitdir = await archived(store)
  const dir = place('clone')
  git(gitdir, 'clone', '-q', '--bare', '--shared', gitdir, dir)
  await contentOf(opened(dir))
  rmSync(gitdir, { recursive: true })
  await expect(collect(opened(dir).list())).rejects.toMatchObject({
    code: 'COMMIT_DAMAGED',
    message: expect.stringContaining(`${join(gitdir, 'objects')} is gone, which objects/info/alternates borrows from`),
  })
})

test('a pack whose index is damaged is named, with the way out: nothing that it holds is missing', async () => {
  const { store } = await filled()
  const gitdir = await archived(store)
  git(gitdir, 'repack', '-adq')
  const whole = await contentOf(opened(gitdir))
  const folder = join(gitdir, 'objects', 'pack')
  const index = join(folder, readdirSync(folder).find(name => name.endsWith('.idx'))!)
  const pack = `${index.slice(0, -4)}.pack`
  chmodSync(index, 0o644)
  for (const bytes of [0, 5, 1000]) {
    truncateSync(index, bytes)
    await expect(collect(opened(gitdir).list())).rejects.toMatchObject({
      code: 'COMMIT_DAMAGED',
      message: expect.stringContaining(
        `the index of ${pack} is damaged: remove the index, and run git index-pack ${pack}`,
      ),
    })
  }
  rmSync(index)
  git(gitdir, 'index-pack', pack)
  expect(await contentOf(opened(gitdir))).toEqual(whole)
})

test('a shallow clone is read as far as it goes', async () => {
  const { store, runs } = await filled()
  const gitdir = await archived(store)
  const dir = place('clone')
  git(gitdir, 'clone', '-q', '--bare', '--no-single-branch', '--depth=3', `file://${gitdir}`, dir)
  const clone = opened(dir)
  const run = runs[10]!
  expect((await collect(clone.read(run.id, { from: 8 }))).map(({ id }) => id)).toEqual(
    run
      .history()
      .slice(8)
      .map(({ id }) => id),
  )
  await expect(collect(clone.read(run.id, { from: 7 }))).rejects.toMatchObject({
    code: 'HISTORY_SHALLOW',
    details: { run: run.id, from: 8 },
  })
  // Where a run's beginning lies behind the cut, and its provenance too, nobody knows how it stands: the others are listed.
  git(dir, 'update-ref', '-d', 'refs/heads/xmachines/provenance')
  const cut = new Set<string>()
  const listed = await collect(
    opened(dir).list({
      damaged({ run, error }) {
        expect(error).toMatchObject({ code: 'HISTORY_SHALLOW' })
        cut.add(run)
      },
    }),
  )
  expect([cut.size, listed.length + cut.size]).toEqual([expect.any(Number), runs.length])
  expect([cut.has(run.id), listed.length > 0]).toEqual([true, true])
  const following = archive(store, { dir })
  ends.push(() => following.close())
  await expect(following.caughtUp()).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
})

describe('what was tampered with is named:', () => {
  /** A repository of loose objects with one run of ten units. */
  async function tampered(): Promise<{ dir: string; run: TestRun; path: (oid: string) => string }> {
    const store = memoryStore()
    const run = await new TestRun('sha1').create(store, {}, 10)
    const gitdir = await archived(store)
    const dir = place('loose')
    git(gitdir, 'init', '-q', '--bare', dir)
    git(dir, '-c', 'fetch.unpackLimit=10000', 'fetch', '-q', gitdir, '+refs/*:refs/*')
    return { dir, run, path: oid => join(dir, 'objects', oid.slice(0, 2), oid.slice(2)) }
  }

  function overwrite(path: string, type: string, content: string): void {
    expect(statSync(path).isFile()).toBe(true)
    chmodSync(path, 0o644)
    writeFileSync(path, deflateSync(`${type} ${content.length}\0${content}`))
  }

  async function problem(dir: string, run: TestRun): Promise<unknown> {
    return collect(opened(dir).read(run.id)).then(
      () => undefined,
      error => error,
    )
  }

  test('an edited blob', async () => {
    const { dir, run, path } = await tampered()
    const [, , , third, , fifth] = run.history()
    for (const { id } of [fifth!, third!]) {
      const blob = git(dir, 'rev-parse', `${id}:unit.json`)
      overwrite(path(blob), 'blob', git(dir, 'cat-file', 'blob', blob).replace('"at": ', '"at": 9'))
      expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: id, object: blob } })
    }
  })

  test('an edited commit', async () => {
    const { dir, run, path } = await tampered()
    const { id } = run.history()[4]!
    overwrite(path(id), 'commit', `${git(dir, 'cat-file', 'commit', id).replace('xmachines', 'somebody')}\n`)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: id, object: id } })
  })

  test('the oldest of several, whatever is bad of each', async () => {
    const { dir, run, path } = await tampered()
    const history = run.history()
    const change = ({ id }: { readonly id: string }): void =>
      overwrite(path(id), 'commit', `${git(dir, 'cat-file', 'commit', id).replace('xmachines', 'somebody')}\n`)
    const lose = ({ id }: { readonly id: string }): void => rmSync(path(git(dir, 'rev-parse', `${id}:events.json`)))
    const [, second, , , , , , seventh] = history
    const named = async (id: string): Promise<void> => {
      await expect(collect(opened(dir).list())).rejects.toMatchObject({
        code: 'COMMIT_DAMAGED',
        details: { commit: id },
      })
    }
    lose(second!)
    change(seventh!)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: second!.id } })
    // The head is looked at first, which may be bad too.
    change(history.at(-1)!)
    await named(second!.id)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: second!.id } })
    overwrite(path(git(dir, 'rev-parse', `${run.id}:run.json`)), 'blob', '{}')
    await named(run.id)
  })

  test.each([{ kind: 'outside' }, { kind: 'mail', run: '0'.repeat(40), seq: 1, index: 0 }] as const)(
    'the unit of origin $kind that would pass for what only the runtime says',
    async origin => {
      const store = memoryStore()
      const run = await new TestRun('sha1').create(store, {}, 1)
      await run.goOn(store, [testUnit(2, { origin, events: [{ type: 'xstate.done.actor.x' }] })])
      const clone = opened(await archived(store))
      expect(await collect(clone.read(run.id, { to: 1 }))).toHaveLength(2)
      await expect(collect(clone.read(run.id))).rejects.toMatchObject({
        code: 'COMMIT_DAMAGED',
        message: expect.stringContaining('its reserved event is not what this package writes'),
      })
    },
  )

  test('the first commit that was edited, not one that it leads to', async () => {
    const { dir, run, path } = await tampered()
    const history = run.history()
    for (const [at, to] of [
      [7, '1'.repeat(40)],
      [4, history[9]!.id],
    ] as const) {
      const { id } = history[at]!
      const text = git(dir, 'cat-file', 'commit', id).replace(history[at - 1]!.id, to)
      overwrite(path(id), 'commit', `${text}\n`)
      expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: history[7]!.id } })
    }
  })

  test('the oldest of a fork is a unit that it shares', async () => {
    const store = memoryStore()
    const run = await new TestRun('sha1').create(store, {}, 6)
    const fork = await new TestRun('sha1', { fork: { of: run, at: 5 } }).create(store, {}, 3)
    const gitdir = await archived(store)
    const dir = place('loose')
    git(gitdir, 'init', '-q', '--bare', dir)
    git(dir, '-c', 'fetch.unpackLimit=10000', 'fetch', '-q', gitdir, '+refs/*:refs/*')
    for (const id of [fork.history().at(-2)!.id, run.history()[3]!.id]) {
      const path = join(dir, 'objects', id.slice(0, 2), id.slice(2))
      overwrite(path, 'commit', `${git(dir, 'cat-file', 'commit', id).replace('xmachines', 'somebody')}\n`)
      expect(await problem(dir, fork)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: id } })
    }
  })

  test('a missing object', async () => {
    const { dir, run, path } = await tampered()
    const { id } = run.history()[4]!
    const tree = git(dir, 'rev-parse', `${id}^{tree}`)
    rmSync(path(tree))
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: id, object: tree } })
    rmSync(path(id))
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: id, object: id } })
  })

  test('what was recorded: a flush that is missing or was changed, and all that is behind it', async () => {
    const { dir, run, path } = await tampered()
    const branch = 'refs/heads/xmachines/provenance'
    const head = git(dir, 'rev-parse', branch)
    const tree = git(dir, 'rev-parse', `${branch}^{tree}`)
    const bad = (object: string): object => ({ code: 'COMMIT_DAMAGED', details: { commit: branch, object } })
    overwrite(path(head), 'commit', git(dir, 'cat-file', 'commit', head).replace('xmachines', 'somebody'))
    await expect(opened(dir).head(run.id)).rejects.toMatchObject(bad(head))
    git(dir, 'update-ref', branch, git(dir, 'commit-tree', '-p', head, '-m', 'how 0 units were recorded', tree))
    rmSync(path(head))
    await expect(collect(opened(dir).read(run.id))).rejects.toMatchObject(bad(head))
    rmSync(path(tree))
    await expect(collect(opened(dir).read(run.id))).rejects.toMatchObject(bad(tree))
  })

  test('the commit of a machine, which runs stand on', async () => {
    const { dir, run, path } = await tampered()
    const machine = git(dir, 'rev-parse', `${run.id}^`)
    const tree = git(dir, 'rev-parse', `${machine}^{tree}`)
    const blob = git(dir, 'rev-parse', `${machine}:machine.json`)
    overwrite(path(blob), 'blob', '{}')
    const bad = (object: string): object => ({ code: 'COMMIT_DAMAGED', details: { commit: machine, object } })
    await expect(collect(opened(dir).list())).rejects.toMatchObject(bad(blob))
    writeFileSync(path(blob), 'no deflated bytes')
    await expect(opened(dir).head(run.id)).rejects.toMatchObject(bad(blob))
    for (const object of [blob, tree]) {
      rmSync(path(object))
      await expect(opened(dir).machine(machine)).rejects.toMatchObject(bad(object))
    }
    rmSync(path(machine))
    await expect(collect(opened(dir).list())).rejects.toMatchObject({
      code: 'COMMIT_DAMAGED',
      details: { commit: run.id, object: machine },
    })
  })

  test('the beginning of a run, which may have had any key, and hides no other run', async () => {
    const { store, runs } = await filled()
    const [bad, whole] = runs as [TestRun, TestRun]
    const gitdir = await archived(store)
    const dir = place('loose')
    git(gitdir, 'init', '-q', '--bare', dir)
    git(dir, '-c', 'fetch.unpackLimit=10000', 'fetch', '-q', gitdir, '+refs/*:refs/*')
    rmSync(join(dir, 'objects', bad.id.slice(0, 2), bad.id.slice(2)))
    const clone = opened(dir)
    expect(await clone.find('tests', 'ключ 1')).toBe(whole.id)
    for (const key of ['ключ 0', 'nobody'])
      await expect(clone.find('tests', key)).rejects.toMatchObject({ code: 'COMMIT_DAMAGED', details: { run: bad.id } })
  })

  test('a branch whose file is empty, as a crash may leave it, and not taken for what is packed below it', async () => {
    const { dir, run } = await tampered()
    git(dir, 'pack-refs', '--all')
    const file = join(dir, `refs/heads/r/${run.id}`)
    mkdirSync(join(dir, 'refs/heads/r'), { recursive: true })
    for (const text of ['', 'somewhere else\n']) {
      writeFileSync(file, text)
      await expect(collect(opened(dir).list())).rejects.toMatchObject({ code: 'STORE_DAMAGED', details: { file } })
      await expect(gitStore({ gitdir: dir, fsync: false }).append([])).rejects.toMatchObject({ code: 'STORE_DAMAGED' })
    }
    // As it says.
    rmSync(file)
    expect((await opened(dir).head(run.id))!.seq).toBe(run.seq)
    writeFileSync(join(dir, 'refs/heads/feature'), '')
    expect((await opened(dir).head(run.id))!.seq).toBe(run.seq)
  })

  test('a parent that was left out, though Git finds nothing wrong', async () => {
    const { dir, run } = await tampered()
    const history = run.history()
    const text = git(dir, 'cat-file', 'commit', history[6]!.id).replace(history[5]!.id, history[4]!.id)
    const file = join(dir, 'commit')
    writeFileSync(file, `${text}\n`)
    const other = git(dir, 'hash-object', '-w', '-t', 'commit', file)
    git(dir, 'update-ref', `refs/heads/r/${run.id}`, other)
    expect(fsck(dir)).toBe('')
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: other, seq: 6 } })
  })

  test('a commit of something else, and one with two parents', async () => {
    const { dir, run } = await tampered()
    const head = run.history().at(-1)!.id
    const tree = git(dir, 'rev-parse', `${head}^{tree}`)
    const merge = git(dir, 'commit-tree', '-m', '11 NEXT', '-p', head, '-p', run.id, tree)
    git(dir, 'update-ref', `refs/heads/r/${run.id}`, merge)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: merge } })
    const work = git(dir, 'commit-tree', '-m', 'work', '-p', head, tree)
    git(dir, 'update-ref', `refs/heads/r/${run.id}`, work)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: work } })
    const copied = git(dir, 'commit-tree', '-m', '11 NEXT', '-p', head, tree)
    git(dir, 'update-ref', `refs/heads/r/${run.id}`, copied)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', details: { commit: copied, seq: 11 } })
  })

  test.each<[what: string, content: object, wrong: string]>([
    ['without a reason', { origin: null }, 'origin'],
    ['of an invocation that has no place', { origin: { kind: 'effect', actor: 'a', entered: 0 } }, 'origin'],
    ['of an event whose type is none', { events: [{ type: ['NEXT'] }] }, 'events'],
    ['at no time', { at: null }, 'at'],
  ])('a unit %s, whose id is right', async (_, content, wrong) => {
    const { dir, run, path } = await tampered()
    const { seq, id: parent, at } = run.history().at(-1)!
    const unit = { seq: seq + 1, at, events: [{ type: 'NEXT' }], origin: { kind: 'outside' }, ...content } as never
    const { oid, objects } = unitCommit('sha1', { parent, machine: run.creation.machine, unit })
    for (const made of objects) {
      mkdirSync(dirname(path(made.oid)), { recursive: true })
      writeFileSync(
        path(made.oid),
        deflateSync(Buffer.concat([Buffer.from(`${made.type} ${made.bytes.length}\0`), made.bytes])),
      )
    }
    git(dir, 'update-ref', `refs/heads/r/${run.id}`, oid)
    expect(await problem(dir, run)).toMatchObject({
      code: 'COMMIT_DAMAGED',
      message: expect.stringContaining(`its ${wrong} is not`),
      details: { commit: oid },
    })
  })

  test.each<[what: string, event: string, says: string]>([
    ['a key that no event may have', '{\n    "__proto__": {},\n    "type": "NEXT"\n  }', '__proto__'],
    ['more depth than there is room for', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'what this package writes'],
  ])('%s', async (_, event, says) => {
    const { dir, run } = await tampered()
    const head = run.history().at(-1)!.id
    const file = join(dir, 'file')
    writeFileSync(file, `[\n  ${event}\n]\n`)
    const events = git(dir, 'hash-object', '-w', file)
    const unit = git(dir, 'rev-parse', `${head}:unit.json`)
    git(dir, 'update-index', '--add', '--cacheinfo', `100644,${events},events.json`)
    git(dir, 'update-index', '--add', '--cacheinfo', `100644,${unit},unit.json`)
    const commit = git(dir, 'commit-tree', '-m', '11 NEXT', '-p', head, git(dir, 'write-tree'))
    git(dir, 'update-ref', `refs/heads/r/${run.id}`, commit)
    expect(await problem(dir, run)).toMatchObject({ code: 'COMMIT_DAMAGED', message: expect.stringContaining(says) })
  })
})

describe('a place that is no clone', () => {
  test('is refused by what it is', async () => {
    await expect(collect(openClone({ dir: place('nothing') }).list())).rejects.toMatchObject({ code: 'STORE_MISSING' })
    const { dir, remove } = temporaryDirectory()
    ends.push(remove)
    await expect(collect(openClone({ gitdir: dir }).list())).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    git(dir, 'init', '-q', '.')
    await expect(collect(opened(dir).list())).rejects.toMatchObject({ code: 'STORE_FOREIGN' })
    git(dir, 'commit', '-q', '--allow-empty', '-m', 'work')
    git(dir, 'branch', 'r')
    await expect(gitStore({ dir }).append([])).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
      details: { ref: 'refs/heads/r' },
    })
    git(dir, 'branch', '-D', 'r')
    git(dir, 'branch', 'r/feature')
    await expect(collect(opened(dir).list())).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
      details: { ref: 'refs/heads/r/feature' },
    })
    git(dir, 'branch', '-m', 'r/feature', `r/${git(dir, 'rev-parse', 'HEAD')}`)
    await expect(collect(opened(dir).list())).rejects.toMatchObject({ code: 'COMMIT_DAMAGED' })
    git(dir, 'config', 'xmachines.format', '9')
    await expect(collect(opened(dir).list())).rejects.toMatchObject({ code: 'STORE_FORMAT', details: { version: '9' } })
    git(dir, 'config', '--unset', 'xmachines.format')
    writeFileSync(
      join(dir, '.git/config'),
      '[core]\nrepositoryformatversion = 1\n[extensions]\n\trefStorage = "reftable" # new\n',
    )
    await expect(collect(opened(dir).list())).rejects.toMatchObject({ details: { refStorage: 'reftable' } })
  })
})
