import '../../seed.ts'
import * as fs from 'node:fs'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { initLedger } from '../../../src/persistence/git/hook.ts'
import { archive, gitStore, openClone } from '../../../src/persistence/git/index.ts'
import { memoryStore } from '../../../src/persistence/memory.ts'
import { collect, showsHistory, TestRun, testUnit } from '../../../src/testing/store-conformance/test-run.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck, git } from './stock-git.ts'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

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
