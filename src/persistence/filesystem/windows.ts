import { damaged } from './failures.ts'
import type { Segments } from './files.ts'
import { offsetAt, segmentAt } from './layout.ts'
import { kindAt, lineLength, sealHolds } from './line.ts'

/** A line within a larger piece of the log. */
export interface LineView {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

interface Window {
  readonly segment: number
  readonly offset: number
  readonly bytes: Buffer
}

/** Most lines are not longer. */
const guess = 1024
/** Lines that are so near to one another are worth reading what is between them. */
const near = 16 << 10
const largest = 256 << 10
const mostKept = 2 << 20

/**
 * Reads lines of the log one by one, in either direction. Where they stand near one another it reads ever larger pieces,
 * else each for itself; the last pieces are kept, so that coming back over them reads nothing twice.
 */
export class Windows {
  readonly #segments: Segments
  readonly #windows: Window[] = []
  #current = 0
  #kept = 0
  /** How much is read beyond the line that is asked for, in the direction of the walk. */
  #reach = 4096

  constructor(segments: Segments) {
    this.#segments = segments
  }

  /** The line at a place, as far as it can be found: not verified. @param onwards whether later lines will be asked for next */
  at(position: number, onwards = false): LineView {
    const segment = segmentAt(position)
    const offset = offsetAt(position)
    let window = this.#find(segment, offset) ?? this.#read(segment, offset, guess, onwards)
    let length = lineLength(window.bytes, offset - window.offset)
    if (offset - window.offset + length > window.bytes.length) {
      window = this.#read(segment, offset, length, onwards)
      length = lineLength(window.bytes, offset - window.offset)
    }
    const start = offset - window.offset
    if (!(length > kindAt && start + length <= window.bytes.length)) throw this.damage(position)
    return { bytes: window.bytes, start, end: start + length }
  }

  /** The line at a place, from its kind on as it was written. */
  verified(position: number): LineView {
    const line = this.at(position, true)
    if (!sealHolds(line.bytes, line.start, line.end)) throw this.damage(position)
    return line
  }

  damage(position: number): Error {
    const path = this.#segments.path(segmentAt(position))
    return damaged(path, offsetAt(position), 'the line that begins there is not what was written')
  }

  /** The window in which a line's first columns are. */
  #find(segment: number, offset: number): Window | undefined {
    for (let index = this.#current; index < this.#windows.length; index++)
      if (this.#holds(index, segment, offset)) return this.#windows[index]
    for (let index = this.#current - 1; index >= 0; index--)
      if (this.#holds(index, segment, offset)) return this.#windows[index]
    return undefined
  }

  #holds(index: number, segment: number, offset: number): boolean {
    const window = this.#windows[index]!
    const start = offset - window.offset
    if (window.segment !== segment || start < 0 || start + kindAt > window.bytes.length) return false
    this.#current = index
    return true
  }

  #read(segment: number, offset: number, length: number, onwards: boolean): Window {
    const last = this.#windows[this.#current]
    const gap =
      last === undefined || last.segment !== segment
        ? 0
        : onwards
          ? offset - last.offset - last.bytes.length
          : last.offset - offset
    this.#reach = Math.abs(gap) > near ? 0 : Math.min(Math.max(this.#reach * 4, 4096), largest)
    const from = onwards ? offset : Math.max(0, offset - this.#reach)
    const wanted = offset + length + (onwards ? this.#reach : 0) - from
    const bytes = Buffer.allocUnsafe(wanted)
    const count = this.#segments.read(segment, from, wanted, bytes)
    const window = { segment, offset: from, bytes: bytes.subarray(0, count) }
    this.#current = this.#windows.push(window) - 1
    this.#kept += count
    while (this.#kept > mostKept && this.#windows.length > 1) {
      this.#kept -= this.#windows.shift()!.bytes.length
      this.#current--
    }
    return window
  }
}
