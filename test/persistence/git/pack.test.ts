import '../../seed.ts'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { ObjectFormat } from '../../../src/actors/contracts/unit.ts'
import { type GitObject, gitBlob, gitCommit, gitTree } from '../../../src/actors/identity/index.ts'
import { Objects } from '../../../src/persistence/git/objects.ts'
import { PackWriter } from '../../../src/persistence/git/pack-writer.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'
import { fsck, git } from './stock-git.ts'

const places: (() => void)[] = []
afterEach(() => {
  for (const remove of places.splice(0)) remove()
})

/** A repository of stock Git with a pack of ours. */
function repositoryWith(format: ObjectFormat, objects: readonly GitObject[]): string {
  const { dir, remove } = temporaryDirectory()
  places.push(remove)
  git(dir, 'init', '-q', '--bare', `--object-format=${format}`, '.')
  const writer = new PackWriter(format)
  for (const object of objects) writer.add(object)
  const { name, pack, index } = writer.finish()
  mkdirSync(join(dir, 'objects/pack'), { recursive: true })
  writeFileSync(join(dir, `objects/pack/pack-${name}.pack`), pack)
  writeFileSync(join(dir, `objects/pack/pack-${name}.idx`), index)
  return dir
}

/** Reads all of them with our reader. */
function readAll(dir: string, format: ObjectFormat, objects: readonly GitObject[]): void {
  const reader = new Objects([join(dir, 'objects')], format)
  for (const { oid, type, bytes } of objects) {
    const found = reader.read(oid)
    expect(found?.type).toBe(type)
    expect(Buffer.compare(Buffer.from(found!.bytes), Buffer.from(bytes))).toBe(0)
  }
  expect(reader.read('0'.repeat(format === 'sha1' ? 40 : 64))).toBeUndefined()
  reader.close()
}

/** A history of `count` commits with a file that grows, so that Git finds deltas. */
function history(format: ObjectFormat, texts: readonly string[]): { objects: GitObject[]; head: string } {
  const objects: GitObject[] = []
  let parent: string | undefined
  let text = ''
  for (const [index, more] of texts.entries()) {
    text += `${more}\n`
    const blob = gitBlob(format, Buffer.from(text))
    const tree = gitTree(format, [{ mode: '100644', name: 'file', oid: blob.oid }])
    const who = `a <a@b> ${index} +0000`
    const parents = parent === undefined ? [] : [parent]
    const commit = gitCommit(format, { tree: tree.oid, parents, author: who, committer: who, message: `${index}\n` })
    objects.push(blob, tree, commit)
    parent = commit.oid
  }
  return { objects, head: parent! }
}

const lengths = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.constantFrom(0, 15, 16, 2047, 2048, 65_534, 65_535, 65_536, 131_070, 131_071, 300_000),
)

describe.each(['sha1', 'sha256'] as const)('a pack of %s', format => {
  test('is what Git makes an index of, byte for byte, and reads', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(lengths, fc.nat(255)), { minLength: 1, maxLength: 40 }), contents => {
        const objects = contents.map(([length, byte]) => gitBlob(format, Buffer.alloc(length, byte)))
        const dir = repositoryWith(format, objects)
        const [name] = packsOf(dir)
        const index = readFileSync(join(dir, `objects/pack/${name}.idx`))
        const other = join(dir, 'other.idx')
        git(dir, 'index-pack', '--strict', '-o', other, join('objects/pack', `${name}.pack`))
        expect(Buffer.compare(index, readFileSync(other))).toBe(0)
        readAll(dir, format, objects)
      }),
      { numRuns: 15 },
    )
  })

  test('is read after Git has made deltas of it', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 200 }), { minLength: 30, maxLength: 80 }), texts => {
        const { objects, head } = history(format, texts)
        const dir = repositoryWith(format, objects)
        git(dir, 'update-ref', 'refs/heads/a', head)
        expect(fsck(dir)).toBe('')
        git(dir, 'repack', '-adfq', '--depth=50')
        expect(git(dir, 'verify-pack', '-v', `objects/pack/${packsOf(dir)[0]}.idx`)).toMatch(/chain length = \d/)
        readAll(dir, format, objects)
      }),
      { numRuns: 5 },
    )
  })

  test('and loose objects are read, also while Git repacks them', () => {
    const { objects, head } = history(format, ['one', 'two', 'three'])
    const dir = repositoryWith(format, [])
    for (const { type, bytes } of objects) {
      const path = join(dir, 'object')
      writeFileSync(path, bytes)
      git(dir, 'hash-object', '-w', '-t', type, path)
    }
    const reader = new Objects([join(dir, 'objects')], format)
    expect(reader.read(head)?.type).toBe('commit')
    git(dir, 'update-ref', 'refs/heads/a', head)
    git(dir, 'repack', '-adq')
    git(dir, 'prune-packed')
    for (const { oid } of objects) expect(reader.read(oid)).toBeDefined()
    reader.close()
  })
})

function packsOf(dir: string): readonly string[] {
  const names = readdirSync(join(dir, 'objects/pack')).filter(name => name.endsWith('.pack'))
  return names.map(name => name.slice(0, -'.pack'.length))
}
