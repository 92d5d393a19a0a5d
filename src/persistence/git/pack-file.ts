import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { inflateSync } from 'node:zlib'
import type { PackIndex } from './pack-index.ts'

/** An entry of a pack: an object, or a delta to another one. */
export interface PackEntry {
  readonly type: number
  /** The delta's base, where it is in the same pack. */
  readonly base?: number
  /** The delta's base by its id. */
  readonly baseId?: string
  /** What is packed: its length, and where its stream begins. */
  readonly length: number
  readonly start: number
}

export const offsetDelta = 6
export const idDelta = 7

const windowBytes = 1 << 18
const mostWindows = 64

/** A pack to read from. Reads are synchronous, in windows that are kept: objects of one run lie close together. */
export class PackFile {
  readonly path: string
  readonly index: PackIndex
  readonly #width: number
  readonly #descriptor: number
  readonly #size: number
  /** The least recently used first. */
  readonly #windows = new Map<number, Buffer>()

  constructor(path: string, index: PackIndex, width: number) {
    this.path = path
    this.index = index
    this.#width = width
    this.#descriptor = openSync(path, 'r')
    this.#size = fstatSync(this.#descriptor).size - width
  }

  /** Where the entries end. */
  get end(): number {
    return this.#size
  }

  /** The entry at an offset. @throws RangeError for what is none */
  entry(offset: number): PackEntry {
    const bytes = this.bytes(offset, Math.min(64, this.#size - offset))
    let at = 0
    let byte = bytes[at++] ?? 0
    const type = (byte >> 4) & 7
    let length = byte & 15
    for (let shift = 16; byte > 127; shift *= 128) {
      byte = bytes[at++] ?? 0
      length += (byte & 127) * shift
    }
    if (type === offsetDelta) {
      byte = bytes[at++] ?? 0
      let back = byte & 127
      while (byte > 127) {
        byte = bytes[at++] ?? 0
        back = (back + 1) * 128 + (byte & 127)
      }
      return { type, length, base: offset - back, start: offset + at }
    }
    if (type === idDelta) {
      const baseId = bytes.toString('hex', at, at + this.#width)
      return { type, length, baseId, start: offset + at + this.#width }
    }
    return { type, length, start: offset + at }
  }

  /** What an entry packs: to copy where it is kept for long, for a window may be kept with it. @throws for a stream that is damaged */
  content({ length, start }: PackEntry): Uint8Array {
    // A stored block says so: most packs of ours are made of them.
    const short = this.bytes(start, Math.min(length + 16, this.#size - start))
    if (
      length > 0 &&
      length <= 65_535 &&
      short[2] === 1 &&
      short[3]! + short[4]! * 256 === length &&
      (short[1]! & 32) === 0
    )
      return short.subarray(7, 7 + length)
    for (let room = length + (length >> 2) + 256; ; room *= 4) {
      const whole = room >= this.#size - start
      try {
        const content = inflateSync(this.bytes(start, whole ? this.#size - start : room), {
          chunkSize: Math.max(64, length),
          // A few bytes can unfold to a thousand times as many.
          maxOutputLength: Math.max(1, length),
        })
        if (content.length !== length) throw new RangeError(`an entry of ${length} bytes has ${content.length}`)
        return content
      } catch (error) {
        if (whole || (error as { code?: string }).code !== 'Z_BUF_ERROR') throw error
      }
    }
  }

  /** Bytes of the file. */
  bytes(offset: number, length: number): Buffer {
    if (offset < 0 || length < 0 || offset + length > this.#size) throw new RangeError(`the pack ends at ${this.#size}`)
    const first = Math.floor(offset / windowBytes)
    const from = offset - first * windowBytes
    if (from + length <= windowBytes) return this.#window(first).subarray(from, from + length)
    const bytes = Buffer.allocUnsafe(length)
    for (let done = 0; done < length; ) {
      const window = Math.floor((offset + done) / windowBytes)
      const start = offset + done - window * windowBytes
      done += this.#window(window).copy(bytes, done, start, Math.min(windowBytes, start + length - done))
    }
    return bytes
  }

  close(): void {
    this.#windows.clear()
    closeSync(this.#descriptor)
  }

  #window(number: number): Buffer {
    const known = this.#windows.get(number)
    if (known !== undefined) {
      // Who is the oldest matters once one has to go.
      if (this.#windows.size >= mostWindows) {
        this.#windows.delete(number)
        this.#windows.set(number, known)
      }
      return known
    }
    const start = number * windowBytes
    const window = Buffer.allocUnsafe(Math.min(windowBytes, this.#size - start))
    for (let done = 0; done < window.length; ) {
      const count = readSync(this.#descriptor, window, done, window.length - done, start + done)
      if (count === 0) throw new RangeError('the pack is shorter than it was')
      done += count
    }
    this.#windows.set(number, window)
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size <= mostWindows) break
      this.#windows.delete(oldest)
    }
    return window
  }
}
