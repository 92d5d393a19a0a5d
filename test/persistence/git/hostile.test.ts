import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { digest } from '../../../src/actors/identity/digest.ts'
import { atOnce } from '../../../src/persistence/filesystem/turns.ts'
import { parseConfig } from '../../../src/persistence/git/config.ts'
import { systemFiles } from '../../../src/persistence/git/files.ts'
import { initLedger } from '../../../src/persistence/git/hook.ts'
import { Objects } from '../../../src/persistence/git/objects.ts'
import { LooseObjects } from '../../../src/persistence/git/over-fs/loose-objects.ts'
import { packIndex } from '../../../src/persistence/git/pack-index.ts'
import { Refs } from '../../../src/persistence/git/refs.ts'
import { initRepository } from '../../../src/persistence/git/repository.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'

let place: ReturnType<typeof temporaryDirectory>
beforeEach(() => {
  place = temporaryDirectory()
})
afterEach(() => place.remove())

/** An entry of a pack, as whoever made it wants it: its type and the length it says, a base, and what is packed. */
function entry(type: number, says: number, base: string, packed: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(type << 4) | says]), Buffer.from(base, 'hex'), deflateSync(packed)])
}

/** Objects in a pack that Git would not take, as a folder may hold it that was not fetched but unpacked. */
function objectsOf(entries: Readonly<Record<string, Buffer>>): Objects {
  const { dir } = place
  mkdirSync(join(dir, 'pack'))
  const ids = Object.keys(entries)
  const parts = [Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, ids.length]), ...Object.values(entries)]
  const bytes = Buffer.concat(parts)
  const sum = digest('sha1', bytes)
  const offsets = ids.map((_, at) => Buffer.concat(parts.slice(0, at + 2)).length)
  writeFileSync(join(dir, `pack/pack-${sum}.pack`), Buffer.concat([bytes, Buffer.from(sum, 'hex')]))
  const index = packIndex(
    'sha1',
    Buffer.from(ids.join(''), 'hex'),
    offsets,
    ids.map(() => 0),
    sum,
  )
  writeFileSync(join(dir, `pack/pack-${sum}.idx`), atOnce(index))
  return new Objects([dir], 'sha1')
}

const [a, b] = ['a'.repeat(40), 'b'.repeat(40)] as const

describe('a pack that was made to harm', () => {
  test('unfolds to no more than it says', () => {
    const objects = objectsOf({ [a]: entry(3, 10, '', Buffer.alloc(1 << 20)) })
    expect(() => objects.read(a)).toThrow(expect.objectContaining({ code: 'ERR_BUFFER_TOO_LARGE' }))
    objects.close()
  })

  test('with deltas that stand on each other is damaged, and read no longer than it is', () => {
    const delta = Buffer.from([1, 1, 1, 65])
    const objects = objectsOf({ [a]: entry(7, 4, b, delta), [b]: entry(7, 4, a, delta) })
    expect(() => objects.read(a)).toThrow('a delta stands on itself')
    objects.close()
  })
})

describe('an object in a file of its own that was made to harm', () => {
  const files = {
    'unfolds to more than it says': deflateSync(Buffer.concat([Buffer.from('blob 5\0'), Buffer.alloc(1 << 22)])),
    'unfolds to less': deflateSync(Buffer.from('blob 1000000000\0short')),
    'says nothing': deflateSync(Buffer.alloc(1 << 22)),
  }
  test.each(Object.entries(files))('%s: it is damaged, and read no longer than it says', async (_, file) => {
    const objects = objectsOf({})
    mkdirSync(join(place.dir, a.slice(0, 2)))
    writeFileSync(join(place.dir, a.slice(0, 2), a.slice(2)), file)
    expect(() => objects.read(a)).toThrow(RangeError)
    objects.close()
    const overFs = new LooseObjects({} as never, { read: async () => file, list: async () => [] } as never, 'sha1')
    await overFs.load(a, { history: false })
    expect(overFs.read(a)).toBeUndefined()
  })
})

test('an object in a file of its own is read, however long what its codes are comes first', () => {
  const bytes = Buffer.from(Array.from({ length: 20_000 }, (_, at) => (at * at * 7919) % (at % 3 ? 251 : 16)))
  const objects = objectsOf({})
  mkdirSync(join(place.dir, a.slice(0, 2)))
  writeFileSync(
    join(place.dir, a.slice(0, 2), a.slice(2)),
    deflateSync(Buffer.concat([Buffer.from(`blob ${bytes.length}\0`), bytes])),
  )
  expect(objects.read(a)).toEqual({ type: 'blob', bytes })
  objects.close()
})

describe('a configuration', () => {
  test('that was made to be slow is read in the time of any other', () => {
    const blanks = ' '.repeat(100_000)
    const before = performance.now()
    for (const text of [`a${blanks}x`, `a = b${blanks}x`, `a = ${'"\\'.repeat(50_000)}`, `[a "${'\\"'.repeat(50_000)}`])
      parseConfig(`[core]\n${text}\n`)
    expect(performance.now() - before).toBeLessThan(5000)
  })

  test('is read as Git reads it', () => {
    const text = '[core]\r\n a = x \t\r\n b = "x # y" ; z\r\n[c "d\\"e"] f\n g = "\\"q\\\\" # z\n h=a=b  c\n i =\n'
    expect(Object.fromEntries(parseConfig(text))).toEqual({
      'core.a': 'x',
      'core.b': 'x # y',
      'c.d\\"e.f': 'true',
      'c.d\\"e.g': '"q\\',
      'c.d\\"e.h': 'a=b  c',
      'c.d\\"e.i': '',
    })
  })
})

describe.skipIf(process.platform === 'win32')('a repository with links to files of ours', () => {
  const links = ['hooks', 'hooks/pre-receive', 'config'] as const
  test.each(links.flatMap(link => [false, true].map(dangles => ({ link, dangles }))))(
    'has nothing written through its link $link (dangling: $dangles)',
    async ({ link, dangles }) => {
      const [gitdir, ours] = [join(place.dir, 'repo.git'), join(place.dir, 'ours')]
      await initRepository(gitdir, { bare: true, objectFormat: 'sha1' })
      if (!dangles) link === 'hooks' ? mkdirSync(ours) : writeFileSync(ours, '# Written by `xmachines git init`.')
      if (link === 'hooks/pre-receive') mkdirSync(join(gitdir, 'hooks'))
      if (link === 'config' && dangles) return
      rmSync(join(gitdir, link), { force: true })
      symlinkSync(ours, join(gitdir, link))
      await expect(initLedger(gitdir, { machines: [] })).rejects.toMatchObject({ name: 'XMachinesError' })
      if (dangles) expect(existsSync(ours)).toBe(false)
      else if (link === 'hooks') expect(existsSync(join(ours, 'pre-receive'))).toBe(false)
      else expect(readFileSync(ours, 'utf8')).toBe('# Written by `xmachines git init`.')
    },
  )

  test('has no refs written through them', async () => {
    const ours = join(place.dir, 'ours')
    writeFileSync(ours, 'precious')
    mkdirSync(join(place.dir, 'xmachines'))
    for (const name of ['packed-refs.new', 'xmachines/lock', 'xmachines/refs']) symlinkSync(ours, join(place.dir, name))
    const refs = new Refs(place.dir, systemFiles)
    await expect(refs.begin()).rejects.toMatchObject({ code: 'ELOOP' })
    await expect(refs.trust()).rejects.toMatchObject({ code: 'ELOOP' })
    rmSync(join(place.dir, 'xmachines/lock'))
    await refs.begin()
    const branch = { name: 'refs/heads/r/1', from: undefined, to: a }
    await expect(refs.set([branch])).rejects.toMatchObject({ code: 'ELOOP' })
    expect(readFileSync(ours, 'utf8')).toBe('precious')
  })
})
