import * as fs from 'node:fs'
import { crc32 } from 'node:zlib'
import { errnoOf } from './failures.ts'
import { readFully } from './files.ts'
import type { Work } from './turns.ts'

/** So much is read, and checked, at once. */
export const pageSize = 1 << 14

/** A page of a derived file is not what was written. Whoever meets it makes the file's content anew. */
export class PageDamaged extends Error {
  override readonly name = 'PageDamaged'
}

/** Where pages lie in a file that stays open while some of them were not read. */
export interface PagesFile {
  readonly descriptor: number
  readonly offset: number
  readonly length: number
  /** A checksum for each page, four bytes. */
  readonly sums: Buffer
}

const nothing = Buffer.alloc(0)

/** Bytes of a file that are read when they are asked for, each page against its checksum; or bytes that are all there. */
export class Pages {
  readonly length: number
  readonly #bytes: Buffer | undefined
  readonly #file: PagesFile | undefined
  /** Each with memory of its own: room for all of them at once would have the whole heap collected for each that opens a store. */
  readonly #pages: (Buffer | undefined)[]

  constructor(source: Buffer | PagesFile) {
    this.length = source.length
    this.#bytes = Buffer.isBuffer(source) ? source : undefined
    this.#file = Buffer.isBuffer(source) ? undefined : source
    this.#pages = new Array<undefined>(this.#file === undefined ? 0 : pagesOf(source.length)).fill(undefined)
  }

  /** The bytes from `start` to before `end`, to be read only. @throws PageDamaged */
  slice(start: number, end: number): Buffer {
    if (this.#bytes !== undefined) return this.#bytes.subarray(start, end)
    if (start === end) return nothing
    const first = Math.floor(start / pageSize)
    if (end <= (first + 1) * pageSize) {
      const page = this.#pages[first] ?? this.#read(first)
      return page.subarray(start - first * pageSize, end - first * pageSize)
    }
    const bytes = Buffer.allocUnsafe(end - start)
    for (let at = start; at < end; ) {
      const next = Math.min(end, (Math.floor(at / pageSize) + 1) * pageSize)
      this.slice(at, next).copy(bytes, at - start)
      at = next
    }
    return bytes
  }

  /** Has all of them in memory. @throws PageDamaged */
  *all(): Work<void> {
    for (let page = 0; page < this.#pages.length; page++) {
      if (this.#pages[page] === undefined) this.#read(page)
      yield
    }
  }

  #read(page: number): Buffer {
    const { descriptor, offset, sums } = this.#file!
    const start = page * pageSize
    const bytes = Buffer.allocUnsafeSlow(Math.min(pageSize, this.length - start))
    try {
      const count = readFully(fs, descriptor, bytes, bytes.length, offset + start)
      if (count < bytes.length) throw new PageDamaged(`it ends at byte ${offset + start + count}`)
    } catch (error) {
      throw error instanceof PageDamaged ? error : new PageDamaged(`it cannot be read (${errnoOf(error)})`)
    }
    if (crc32(bytes) !== sums.readUInt32LE(page * 4)) {
      throw new PageDamaged(`its checksum does not hold at byte ${offset + start}`)
    }
    this.#pages[page] = bytes
    return bytes
  }
}

/** How many pages so many bytes are. */
export function pagesOf(length: number): number {
  return Math.ceil(length / pageSize)
}
