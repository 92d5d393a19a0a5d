import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { digest } from '../../../src/actors/identity/digest.ts'
import { atOnce } from '../../../src/persistence/filesystem/turns.ts'
import { parseConfig } from '../../../src/persistence/git/config.ts'
import { Objects } from '../../../src/persistence/git/objects.ts'
import { packIndex } from '../../../src/persistence/git/pack-index.ts'
import { temporaryDirectory } from '../filesystem/directory.ts'

const places: (() => void)[] = []
afterEach(() => {
  for (const remove of places.splice(0)) remove()
})

/** An entry of a pack, as whoever made it wants it: its type and the length it says, a base, and what is packed. */
function entry(type: number, says: number, base: string, packed: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([(type << 4) | says]), Buffer.from(base, 'hex'), deflateSync(packed)])
}

/** Objects in a pack that Git would not take, as a folder may hold it that was not fetched but unpacked. */
function objectsOf(entries: Readonly<Record<string, Buffer>>): Objects {
  const { dir, remove } = temporaryDirectory()
  places.push(remove)
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
