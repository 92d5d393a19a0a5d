import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { PageDamaged, Pages, pageSize, pagesOf } from '../../../src/persistence/filesystem/pages.ts'
import { atOnce } from '../../../src/persistence/filesystem/turns.ts'
import { temporaryDirectory } from './directory.ts'

let place: ReturnType<typeof temporaryDirectory>
let path: string
let descriptor: number

const offset = 77
const content = Buffer.from(Array.from({ length: 5 * pageSize + 123 }, (_, at) => (at * 7 + (at >> 11)) & 255))
const sums = Buffer.alloc(pagesOf(content.length) * 4)
for (let page = 0; page < pagesOf(content.length); page++) {
  sums.writeUInt32LE(crc32(content.subarray(page * pageSize, (page + 1) * pageSize)), page * 4)
}

beforeEach(() => {
  place = temporaryDirectory()
  path = join(place.dir, 'pages')
  writeFileSync(path, Buffer.concat([Buffer.alloc(offset), content, Buffer.alloc(50)]))
  descriptor = openSync(path, 'r')
})
afterEach(() => {
  closeSync(descriptor)
  place.remove()
})

const open = (): Pages => new Pages({ descriptor, offset, length: content.length, sums })
const at = fc.nat(content.length)
const range = fc.tuple(at, at).map(([a, b]) => ({ start: Math.min(a, b), end: Math.max(a, b) }))

/** Changes a byte of the file, calls, and changes it back. */
function withDamage(byte: number, work: () => void): void {
  const whole = readFileSync(path)
  const bytes = Buffer.from(whole)
  bytes[offset + byte]! ^= 1
  writeFileSync(path, bytes)
  try {
    work()
  } finally {
    writeFileSync(path, whole)
  }
}

describe('pages of a file', () => {
  test('are there where they were asked for', () => {
    fc.assert(
      fc.property(fc.array(range), ranges => {
        const pages = open()
        for (const { start, end } of ranges) {
          expect(pages.slice(start, end).equals(content.subarray(start, end))).toBe(true)
        }
        atOnce(pages.all())
        expect(pages.slice(0, pages.length).equals(content)).toBe(true)
      }),
    )
  })

  test('are read only where they are asked for, and once', () => {
    fc.assert(
      fc.property(range, fc.nat(content.length - 1), ({ start, end }, damaged) => {
        const pages = open()
        const page = Math.floor(damaged / pageSize)
        const asked = end > start && page >= Math.floor(start / pageSize) && page * pageSize < end
        withDamage(damaged, () => {
          if (asked) expect(() => pages.slice(start, end)).toThrow(PageDamaged)
          else pages.slice(start, end)
        })
        pages.slice(start, end)
        // What was good when it was read stays good.
        withDamage(damaged, () => pages.slice(start, end))
      }),
    )
  })

  test('that are missing at the end of the file are damaged, as is a file that cannot be read', () => {
    writeFileSync(path, readFileSync(path).subarray(0, offset + pageSize + 5))
    const pages = open()
    pages.slice(0, pageSize)
    expect(() => pages.slice(0, pageSize + 1)).toThrow(`it ends at byte ${offset + pageSize + 5}`)
    const closed = new Pages({ descriptor: 1 << 20, offset, length: content.length, sums })
    expect(() => closed.slice(0, 1)).toThrow('it cannot be read (EBADF)')
  })

  test('of which none are asked for read nothing', () => {
    const pages = new Pages({ descriptor: 1 << 20, offset, length: 2 * pageSize, sums })
    for (const at of [0, pageSize, 2 * pageSize]) expect(pages.slice(at, at)).toHaveLength(0)
  })

  test('of bytes that are there read nothing', () => {
    const pages = new Pages(content)
    expect(pages.slice(1, content.length).equals(content.subarray(1))).toBe(true)
    expect(pages.slice(1, 2).buffer).toBe(content.buffer)
  })
})
