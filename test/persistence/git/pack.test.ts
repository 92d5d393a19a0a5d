import '../../seed.ts'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { ObjectFormat } from '../../../src/actors/contracts/unit.ts'
import { type GitObject, gitBlob, gitCommit, gitTree } from '../../../src/actors/identity/index.ts'
import { atOnce } from '../../../src/persistence/filesystem/turns.ts'
import { type GitFiles, systemFiles } from '../../../src/persistence/git/files.ts'
import { Objects } from '../../../src/persistence/git/objects.ts'
import { PackWriter } from '../../../src/persistence/git/pack-writer.ts'
import { Packs } from '../../../src/persistence/git/packs.ts'
import { publishPack } from '../../../src/persistence/git/publication.ts'
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
  const { name, pack, index } = atOnce(writer.finish())
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
        // An index without sums, as Git writes it for the Git of old.
        git(dir, '-c', 'pack.indexVersion=1', 'repack', '-adfq')
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

test('a pack that is being written is nothing that Git prunes', async () => {
  const dir = repositoryWith('sha1', [])
  const writer = new PackWriter('sha1')
  const blob = gitBlob('sha1', Buffer.from('new'))
  writer.add(blob)
  const rename: typeof systemFiles.rename = async (from, to) => {
    git(dir, 'prune', '--expire=now')
    await systemFiles.rename(from, to)
  }
  const { release } = await publishPack({ ...systemFiles, rename }, join(dir, 'objects/pack'), atOnce(writer.finish()))
  await release()
  readAll(dir, 'sha1', [blob])
})

describe.each(['sha1', 'sha256'] as const)('packs of %s that are merged', format => {
  /** A repository with so many packs of ours, whose objects are in several of them. */
  function manyPacks(count: number, length: number): { dir: string; objects: GitObject[] } {
    const dir = repositoryWith(format, [])
    for (const name of packsOf(dir)) for (const end of ['pack', 'idx']) rmSync(join(dir, `objects/pack/${name}.${end}`))
    const objects: GitObject[] = []
    for (let at = 0; at < count; at++) {
      const own = Array.from({ length: 5 }, (_, n) => gitBlob(format, Buffer.alloc(length + n, `${at} ${n} `)))
      objects.push(...own)
      const writer = new PackWriter(format)
      for (const object of [...own, ...objects.slice(-8, -5)]) writer.add(object)
      const { name, pack, index } = atOnce(writer.finish())
      writeFileSync(join(dir, `objects/pack/pack-${name}.pack`), pack)
      writeFileSync(join(dir, `objects/pack/pack-${name}.idx`), index)
    }
    return { dir, objects }
  }

  test('are one that has each object once, written in pieces, which Git verifies', async () => {
    const { dir, objects } = manyPacks(40, 200_000)
    let longest = 0
    const files: GitFiles = {
      ...systemFiles,
      async write(path, content, options) {
        async function* measured(): AsyncGenerator<Uint8Array> {
          for await (const piece of content as AsyncIterable<Uint8Array>) {
            longest = Math.max(longest, piece.length)
            yield piece
          }
        }
        const isWhole = typeof content === 'string' || content instanceof Uint8Array
        if (isWhole) longest = Math.max(longest, content.length)
        await systemFiles.write(path, isWhole ? content : measured(), options)
      },
    }
    await new Packs(dir, format, files).merge()
    const [name, ...others] = packsOf(dir)
    expect(others).toEqual([])
    // Forty megabytes.
    expect(statSync(join(dir, `objects/pack/${name}.pack`)).size).toBeGreaterThan(39e6)
    expect(longest).toBeLessThan(2e6)
    const listed = git(dir, 'verify-pack', '-v', `objects/pack/${name}.idx`)
    expect(listed.match(/ blob /g)).toHaveLength(objects.length)
    expect(fsck(dir)).toBe('')
    readAll(dir, format, objects)
    expect(readdirSync(join(dir, 'objects/pack'))).toHaveLength(2)
  })

  test('leave those alone that Git made deltas in, or keeps', async () => {
    const { dir } = manyPacks(40, 100)
    const { objects, head } = history(
      format,
      Array.from({ length: 40 }, (_, at) => `line ${at}`),
    )
    for (const { type, bytes } of objects) {
      const path = join(dir, 'object')
      writeFileSync(path, bytes)
      git(dir, 'hash-object', '-w', '-t', type, path)
    }
    git(dir, 'update-ref', 'refs/heads/a', head)
    const [kept, ...before] = packsOf(dir)
    git(dir, 'repack', '-dfq', '--depth=50')
    writeFileSync(join(dir, `objects/pack/${kept}.keep`), '')
    const [delta] = packsOf(dir).filter(name => name !== kept && !before.includes(name))
    expect(git(dir, 'verify-pack', '-v', `objects/pack/${delta}.idx`)).toMatch(/chain length/)
    await new Packs(dir, format, systemFiles).merge()
    expect(packsOf(dir)).toEqual(expect.arrayContaining([kept, delta]))
    expect(packsOf(dir)).toHaveLength(3)
    expect(fsck(dir)).toBe('')
  })
})

function packsOf(dir: string): readonly string[] {
  const names = readdirSync(join(dir, 'objects/pack')).filter(name => name.endsWith('.pack'))
  return names.map(name => name.slice(0, -'.pack'.length))
}
