import '../../seed.ts'
import { existsSync, linkSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import { systemFiles } from '../../../src/persistence/git/files.ts'
import { RefMoved } from '../../../src/persistence/git/ref-change.ts'
import { Refs } from '../../../src/persistence/git/refs.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck, git } from './stock-git.ts'

const places: (() => void)[] = []
afterEach(() => {
  for (const remove of places.splice(0)) remove()
})

/** A repository with three commits. */
function repository(): { gitdir: string; commits: string[] } {
  const { dir, remove } = temporaryDirectory()
  places.push(remove)
  git(dir, 'init', '-q', '--bare', '.')
  mkdirSync(join(dir, 'xmachines'))
  const tree = git(dir, 'hash-object', '-w', '-t', 'tree', '/dev/null')
  return { gitdir: dir, commits: ['a', 'b', 'c'].map(message => git(dir, 'commit-tree', '-m', message, tree)) }
}

/** What Git says the refs are. */
function refsOf(gitdir: string): Map<string, string> {
  const lines = git(gitdir, 'for-each-ref', '--format=%(refname) %(objectname)', 'refs/heads').split('\n')
  return new Map(lines.filter(line => line !== '').map(line => line.split(' ') as [string, string]))
}

const ours = ['r/a', 'r/b', 'm/a', 'xmachines/provenance', 'r/B']

test('whoever sets refs, we or Git, and wherever they are, they are what was set last', async () => {
  const step = fc.record({
    who: fc.constantFrom('we', 'we', 'git', 'pack'),
    names: fc.uniqueArray(fc.constantFrom(...ours), { minLength: 1 }),
    commit: fc.nat(2),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async steps => {
      const { gitdir, commits } = repository()
      git(gitdir, 'tag', '-a', '-m', 'annotated', 'v1', commits[0]!)
      const refs = new Refs(gitdir, systemFiles)
      await refs.begin()
      const other = ['refs/heads/feature/ü', commits[0]!] as const // none of ours
      git(gitdir, 'update-ref', ...other)
      const expected = new Map<string, string>()
      await refs.trust()
      let [byOthers, packed] = [false, false]
      for (const { who, names, commit } of steps) {
        if (who === 'pack') {
          git(gitdir, 'pack-refs', '--all', '--prune')
          packed = true
          continue
        }
        if (who === 'git') byOthers ||= names.some(name => expected.get(`refs/heads/${name}`) !== commits[commit])
        const set = names.map(name => `refs/heads/${name}`)
        if (who === 'we') {
          await refs.set(set.map(name => ({ name, from: expected.get(name), to: commits[commit]! })))
        } else {
          for (const name of set) git(gitdir, 'update-ref', name, commits[commit]!)
        }
        for (const name of set) expected.set(name, commits[commit]!)
        expect(refsOf(gitdir)).toEqual(new Map([...expected, other]))
        expect(new Map([...refs.all()].filter(([name]) => ours.includes(name.slice('refs/heads/'.length))))).toEqual(
          expected,
        )
        expect(refs.get(set[0]!)).toBe(commits[commit])
        // Packing takes the trust, too, as somebody may have set something first.
        if (byOthers) expect(refs.areOurs()).toBe(false)
        else if (who === 'we' && !packed) expect(refs.areOurs()).toBe(true)
      }
      git(gitdir, 'pack-refs', '--all', '--prune')
      await refs.trust()
      expect(refs.areOurs()).toBe(true)
      expect(git(gitdir, 'rev-parse', 'v1^{commit}')).toBe(commits[0])
      expect(fsck(gitdir)).toBe('')
    }),
    { numRuns: 12 },
  )
})

test('one that is not what it should be leaves all as they were', async () => {
  const { gitdir, commits } = repository()
  const [a, b, c] = commits as [string, string, string]
  const refs = new Refs(gitdir, systemFiles)
  await refs.begin()
  await refs.set([{ name: 'refs/heads/r/a', from: undefined, to: a }])
  git(gitdir, 'update-ref', 'refs/heads/r/a', b)
  const moved = refs.set([
    { name: 'refs/heads/r/new', from: undefined, to: c },
    { name: 'refs/heads/r/a', from: a, to: c },
  ])
  await expect(moved).rejects.toBeInstanceOf(RefMoved)
  await expect(moved).rejects.toMatchObject({ ref: 'refs/heads/r/a', found: b })
  expect(refsOf(gitdir)).toEqual(new Map([['refs/heads/r/a', b]]))
  expect(existsSync(join(gitdir, 'packed-refs.lock'))).toBe(false)
})

test("a lock is waited for, and told of; what we left is removed, what Git left is Git's", async () => {
  const { gitdir, commits } = repository()
  const refs = new Refs(gitdir, systemFiles, { first: 1, longest: 1, tries: 2 })
  await refs.begin()
  const lock = join(gitdir, 'packed-refs.lock')
  const change = { name: 'refs/heads/r/a', from: undefined, to: commits[0]! }
  writeFileSync(lock, '')
  await refs.begin()
  await expect(refs.set([change])).rejects.toMatchObject({ code: 'STORE_LOCKED', details: { path: lock } })
  expect(existsSync(lock)).toBe(true)
  await systemFiles.remove(lock)

  linkSync(join(gitdir, 'xmachines/lock'), lock)
  writeFileSync(`${lock.slice(0, -'.lock'.length)}.new`, 'half')
  mkdirSync(join(gitdir, 'refs/heads/r'), { recursive: true })
  linkSync(join(gitdir, 'xmachines/lock'), join(gitdir, 'refs/heads/r/a.lock'))
  await refs.begin()
  await refs.set([change])
  git(gitdir, 'update-ref', 'refs/heads/r/a', commits[1]!)
  git(gitdir, 'pack-refs', '--all')
  expect(refs.get('refs/heads/r/a')).toBe(commits[1])
})

test('a file of refs that was cut off is damage, which Git itself does not see', async () => {
  const { gitdir, commits } = repository()
  const refs = new Refs(gitdir, systemFiles)
  await refs.begin()
  await refs.set([{ name: 'refs/heads/r/a', from: undefined, to: commits[0]! }])
  const path = join(gitdir, 'packed-refs')
  const { length } = readFileSync(path)
  for (const end of [0, length - 1, length - 30]) {
    truncateSync(path, end)
    expect(() => new Refs(gitdir, systemFiles).all()).toThrow(/packed-refs is damaged/)
  }
  truncateSync(path, 0)
  expect(fsck(gitdir)).toBe('')
})
