import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { gitObjectId } from '../../../src/actors/identity/git-objects.ts'
import { type GitTreeEntry, gitBlob, gitCommit, gitTree } from '../../../src/actors/identity/index.ts'
import { GitRepository } from './git-repository.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)
const few = { numRuns: Number(process.env.FC_RUNS) || 25 } // each case starts git

describe.each(['sha1', 'sha256'] as const)('%s objects are those of stock Git', format => {
  const repository = new GitRepository(format)
  afterAll(() => repository[Symbol.dispose]())

  const hashObject = (type: string, input: Uint8Array | string) =>
    repository.git(['hash-object', '-t', type, '--literally', '-w', '--stdin'], { input }).trim()

  test('blobs', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), bytes => {
        expect(gitBlob(format, bytes)).toEqual({ oid: hashObject('blob', bytes), type: 'blob', bytes })
      }),
      few,
    )
  })

  test.each([[65_503], [65_504], [65_505], [300_000]])('a blob of %i bytes', size => {
    const bytes = new Uint8Array(size).fill(120)
    expect(gitBlob(format, bytes).oid).toBe(hashObject('blob', bytes))
  })

  test('text is hashed as its bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), text => {
        expect(gitObjectId(format, 'blob', text)).toBe(gitBlob(format, utf8(text)).oid)
      }),
    )
    for (const length of [21_823, 21_824, 21_825, 200_000]) {
      const text = '€'.repeat(length)
      expect(gitObjectId(format, 'blob', text)).toBe(gitBlob(format, utf8(text)).oid)
    }
  })

  test('trees, sorted as Git sorts', () => {
    const blob = hashObject('blob', 'x')
    const tree = hashObject('tree', '')
    const name = fc.oneof(
      fc.constantFrom('a', 'a.b', 'a-b', 'a0', 'ab', 'A', 'é', '\ufb33', '😀', 'events.json', 'unit.json'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).filter(text => !/[/\0]/.test(text)),
    )
    const entry: fc.Arbitrary<GitTreeEntry> = fc.oneof(
      fc.record({ mode: fc.constantFrom('100644' as const, '100755' as const), name, oid: fc.constant(blob) }),
      fc.record({ mode: fc.constant('40000' as const), name, oid: fc.constant(tree) }),
    )
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: each => each.name, maxLength: 12 }), entries => {
        const lines = entries.map(({ mode, name, oid }) => {
          const type = mode === '40000' ? 'tree' : 'blob'
          return `${mode.padStart(6, '0')} ${type} ${oid}\t${name}\0`
        })
        const made = gitTree(format, entries)
        expect(made.oid).toBe(repository.git(['mktree', '-z'], { input: lines.join('') }).trim())
        expect(made.oid).toBe(hashObject('tree', made.bytes))
      }),
      few,
    )
  })

  test('commits', () => {
    const tree = hashObject('tree', '')
    const names = {
      GIT_AUTHOR_NAME: 'A',
      GIT_AUTHOR_EMAIL: 'a@b.c',
      GIT_COMMITTER_NAME: 'Ü',
      GIT_COMMITTER_EMAIL: 'u@b.c',
    }
    const dates = { GIT_AUTHOR_DATE: '1700000000 +0000', GIT_COMMITTER_DATE: '1700000001 +0000' }
    const parents: string[] = []
    for (const message of ['first\n', 'second: é\n\nbody\n', 'third\n']) {
      const content = {
        tree,
        parents: [...parents],
        author: 'A <a@b.c> 1700000000 +0000',
        committer: 'Ü <u@b.c> 1700000001 +0000',
        message,
      }
      const flags = parents.flatMap(parent => ['-p', parent])
      const stock = repository
        .git(['commit-tree', tree, ...flags], { input: message, env: { ...names, ...dates } })
        .trim()
      const made = gitCommit(format, content)
      expect(made.oid).toBe(stock)
      expect(made.oid).toBe(hashObject('commit', made.bytes))
      parents.push(stock)
    }
  })
})

test('the empty tree has the name that everyone knows', () => {
  expect(gitTree('sha1', []).oid).toBe('4b825dc642cb6eb9a060e54bf8d69288fbee4904')
})
