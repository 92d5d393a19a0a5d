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

/** Bytes of a file that are read when they are asked for, each page against its checksum; or bytes that are all there. */
export class Pages {
  /** Good where they were asked for. What was not has no memory behind it. */
  readonly bytes: Buffer
  readonly #file: PagesFile | undefined
  readonly #known: Uint8Array
  #missing: number

  constructor(source: Buffer | PagesFile) {
    this.#file = Buffer.isBuffer(source) ? undefined : source
    this.bytes = Buffer.isBuffer(source) ? source : Buffer.allocUnsafeSlow(source.length)
    this.#missing = this.#file === undefined ? 0 : pagesOf(this.bytes.length)
    this.#known = new Uint8Array(this.#missing)
  }

  get length(): number {
    return this.bytes.length
  }

  /** Has the bytes before `end` from `start` on in {@link bytes}. @throws PageDamaged */
  need(start: number, end: number): void {
    if (this.#missing === 0) return
    for (let page = Math.floor(start / pageSize); page * pageSize < end; page++) {
      if (this.#known[page] === 0) this.#read(page)
    }
  }

  /** Has all of them. @throws PageDamaged */
  *all(): Work<void> {
    for (let start = 0; this.#missing > 0; start += pageSize) {
      this.need(start, Math.min(start + pageSize, this.length))
      yield
    }
  }

  #read(page: number): void {
    const { descriptor, offset, sums } = this.#file!
    const start = page * pageSize
    const bytes = this.bytes.subarray(start, start + pageSize)
    try {
      const count = readFully(fs, descriptor, bytes, bytes.length, offset + start)
      if (count < bytes.length) throw new PageDamaged(`it ends at byte ${offset + start + count}`)
    } catch (error) {
      throw error instanceof PageDamaged ? error : new PageDamaged(`it cannot be read (${errnoOf(error)})`)
    }
    if (crc32(bytes) !== sums.readUInt32LE(page * 4)) {
      throw new PageDamaged(`its checksum does not hold at byte ${offset + start}`)
    }
    this.#known[page] = 1
    this.#missing--
  }
}

/** How many pages so many bytes are. */
export function pagesOf(length: number): number {
  return Math.ceil(length / pageSize)
}
