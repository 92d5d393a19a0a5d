import '../../seed.ts'
import * as fs from 'node:fs'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemFiles } from '../../../src/persistence/git/files.ts'
import { initLedger } from '../../../src/persistence/git/hook.ts'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { safeguard } from '../../../src/persistence/git/safeguard.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { endings } from '../../endings.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck, git } from './stock-git.ts'

const ends = endings()

function folder(): string {
  const { dir, remove } = temporaryDirectory()
  ends.push(remove)
  return dir
}

test('a repository of SHA-256 that Git made is opened as one, survives gc and clone, and is gone on with there', async () => {
  const dir = folder()
  const [one, two] = [join(dir, 'one'), join(dir, 'two.git')]
  git(dir, 'init', '-q', '--object-format=sha256', one)
  const store = gitStore({ dir: one, fsync: false })
  expect(store.objectFormat).toBe('sha256')
  const run = await new TestRun('sha256', { key: 'k' }).create(store, {}, 20)
  await store.close()
  git(one, 'gc', '-q')
  git(one, 'clone', '-q', '--mirror', one, two)
  const there = gitStore({ gitdir: two, fsync: false })
  await showsHistory(there, run)
  const { seq, revision } = (await there.head(run.id))!
  await there.append([{ run: run.id, expected: { seq, revision }, units: [testUnit(seq + 1)] }])
  await there.close()
  expect(fsck(two)).toBe('')
  expect(git(two, 'log', '-1', '--format=%H', `r/${run.id}`)).toHaveLength(64)
  await expect(gitStore({ gitdir: two, objectFormat: 'sha1' }).append([])).rejects.toMatchObject({
    code: 'OBJECT_FORMAT_MISMATCH',
  })
  // Another reader reads the packs there, and knows no SHA-256.
  rmSync(join(two, 'xmachines'), { recursive: true })
  await expect(gitStore({ gitdir: two, fs, objectFormat: 'sha256' }).append([])).rejects.toMatchObject({
    code: 'STORE_UNSUPPORTED',
  })
  await expect(initLedger(two, { objectFormat: 'sha1', machines: [] })).rejects.toMatchObject({
    code: 'OBJECT_FORMAT_MISMATCH',
  })
  await initLedger(two, { machines: [] })
  expect(git(two, 'config', 'receive.denyDeletes')).toBe('true')
})

test.each(['a store', 'an archive'] as const)(
  'a repository that Git made gets what keeps histories safe from %s, beside what its user has set',
  async kind => {
    const dir = folder()
    const write = async (gitdir: string): Promise<void> => {
      const run = new TestRun('sha1')
      if (kind === 'a store') {
        const store = gitStore({ gitdir, fsync: false })
        await run.create(store).finally(() => store.close())
      } else {
        const store = memoryStore()
        await run.create(store)
        const archived = archive(store, { gitdir })
        await archived.caughtUp().finally(() => archived.close())
      }
    }
    const [plain, set] = [join(dir, 'plain.git'), join(dir, 'set.git')]
    for (const gitdir of [plain, set]) git(dir, 'init', '-q', '--bare', gitdir)
    git(set, 'config', 'core.fsync', 'all')
    git(set, 'config', 'receive.denyDeletes', 'false')
    chmodSync(join(plain, 'config'), 0o600)
    // Somebody changes it.
    writeFileSync(join(set, 'config.lock'), '')
    await expect(write(set)).rejects.toMatchObject({
      code: 'STORE_LOCKED',
      details: { path: join(set, 'config.lock') },
    })
    rmSync(join(set, 'config.lock'))
    for (const gitdir of [plain, set]) await write(gitdir)
    expect(git(plain, 'config', 'core.fsync')).toBe('committed,reference')
    expect(statSync(join(plain, 'config')).mode & 0o777).toBe(0o600)
    expect(git(set, 'config', 'core.fsync')).toBe('all')
    // It concerns branches that are not ours: only who takes pushes sets it.
    expect(git(set, 'config', 'receive.denyDeletes')).toBe('false')
    for (const gitdir of [plain, set]) {
      expect(git(gitdir, 'config', 'xmachines.format')).toBe('1')
      const config = readFileSync(join(gitdir, 'config'), 'utf8')
      await write(gitdir)
      expect(readFileSync(join(gitdir, 'config'), 'utf8')).toBe(config)
      expect(fsck(gitdir)).toBe('')
      git(gitdir, 'config', 'xmachines.format', '2')
      await expect(write(gitdir)).rejects.toMatchObject({ code: 'STORE_FORMAT' })
    }
  },
)

test('a configuration that was about to be replaced when the process ended is replaced by the next one', async () => {
  const gitdir = join(folder(), 'r.git')
  git(folder(), 'init', '-q', '--bare', gitdir)
  const ended = { ...systemFiles, rename: () => Promise.reject(new Error('ended')) }
  await expect(safeguard(gitdir, ended)).rejects.toThrow('ended')
  expect(existsSync(join(gitdir, 'config.lock'))).toBe(true)
  await safeguard(gitdir, systemFiles)
  expect(git(gitdir, 'config', 'xmachines.format')).toBe('1')
  expect(existsSync(join(gitdir, 'config.lock'))).toBe(false)
})

test('refs as a reftable are refused at every door, and nothing is written', async () => {
  const gitdir = join(folder(), 'r.git')
  git(folder(), 'init', '-q', '--bare', gitdir)
  // As `git init --ref-format=reftable` leaves it, which not every Git can.
  rmSync(join(gitdir, 'refs'), { recursive: true })
  mkdirSync(join(gitdir, 'refs'))
  mkdirSync(join(gitdir, 'reftable'))
  writeFileSync(join(gitdir, 'refs/heads'), 'this repository uses the reftable format\n')
  writeFileSync(join(gitdir, 'reftable/tables.list'), '')
  writeFileSync(join(gitdir, 'HEAD'), 'ref: refs/heads/.invalid\n')
  const config = '[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\trefstorage = reftable\n'
  writeFileSync(join(gitdir, 'config'), config)
  const refused = { code: 'STORE_FOREIGN', details: { refStorage: 'reftable' } }
  await expect(gitStore({ gitdir }).append([])).rejects.toMatchObject(refused)
  await expect(gitStore({ gitdir, fs }).append([])).rejects.toMatchObject(refused)
  await expect(collect(openClone({ gitdir }).list())).rejects.toMatchObject(refused)
  const archived = archive(memoryStore(), { gitdir, onError: () => {} })
  await expect(archived.caughtUp()).rejects.toMatchObject(refused)
  await archived.close()
  await expect(initLedger(gitdir, { objectFormat: 'sha1', machines: [] })).rejects.toMatchObject(refused)
  expect(readFileSync(join(gitdir, 'config'), 'utf8')).toBe(config)
  expect(fs.existsSync(join(gitdir, 'xmachines'))).toBe(false)
})

test('a layout or an extension of Git that is not known is refused, as Git does', async () => {
  const place = folder()
  const gitdir = join(place, 'r.git')
  const refused = { code: 'STORE_FOREIGN' }
  for (const [version, name] of [
    ['2', 'noop'],
    ['1', 'tomorrow'],
  ] as const) {
    git(place, 'init', '-q', '--bare', gitdir)
    git(gitdir, 'config', 'core.repositoryformatversion', version)
    appendFileSync(join(gitdir, 'config'), `[extensions]\n\t${name} = true\n`)
    await expect(gitStore({ gitdir }).append([])).rejects.toMatchObject(refused)
    await expect(gitStore({ gitdir, fs }).append([])).rejects.toMatchObject(refused)
    await expect(collect(openClone({ gitdir }).list())).rejects.toMatchObject(refused)
    expect(fs.existsSync(join(gitdir, 'xmachines'))).toBe(false)
    rmSync(gitdir, { recursive: true })
  }
  // Of version 0, what Git does not know means nothing; of version 1, there are some that change nothing here.
  for (const [version, name] of [
    ['0', 'tomorrow'],
    ['1', 'worktreeConfig'],
  ] as const) {
    git(place, 'init', '-q', '--bare', gitdir)
    git(gitdir, 'config', 'core.repositoryformatversion', version)
    git(gitdir, 'config', `extensions.${name}`, 'true')
    const store = gitStore({ gitdir })
    await store.append([])
    await store.close()
    rmSync(gitdir, { recursive: true })
  }
})
