import { crc32 } from 'node:zlib'
import type { NewUnit, ObjectFormat } from '../../actors/contracts/unit.ts'
import { type LogEnd, positionOf } from './layout.ts'
import {
  blanks,
  type Columns,
  columnsOf,
  numberAt,
  putNumber,
  putSum,
  sealLine,
  skipFromEnd,
  stride,
  sumAt,
  sumWidth,
} from './line.ts'
import type { UnitText } from './record.ts'

/*
 * A flush is a frame: a line in front that says which flush it is, how many lines and bytes follow, the checksum of the
 * frame before, and its own. A frame is whole or it is nothing; the checksums chain the frames of a log to one another.
 */

const flushWidth = 12
const linesWidth = 8
const bytesWidth = 10

/** How the first line of a frame begins. */
export const frameStart = '{"flush":'
const frameHeaderEnd = '"}\n'
const blankHeader = `${frameStart}${blanks(flushWidth)},"lines":${blanks(linesWidth)},"bytes":${blanks(bytesWidth)},"after":"${blanks(sumWidth)}","sum":"${blanks(sumWidth)}${frameHeaderEnd}`
const ends = {
  flush: frameStart.length + flushWidth,
  lines: blankHeader.indexOf(',"bytes"'),
  bytes: blankHeader.indexOf(',"after"'),
  after: blankHeader.indexOf('","sum"') - sumWidth,
  sum: blankHeader.length - frameHeaderEnd.length - sumWidth,
}

/** How long the first line of a frame is. */
export const frameHeaderLength = blankHeader.length

/** What the first line of a frame says. */
export interface FrameHeader {
  readonly flush: number
  readonly lines: number
  /** Length of the frame with its first line. */
  readonly length: number
  readonly after: number
  readonly sum: number
}

/** Reads the first line of a frame; undefined: none begins there. */
export function readFrameHeader(bytes: Buffer, at: number): FrameHeader | undefined {
  if (bytes.length - at < frameHeaderLength || bytes.toString('latin1', at, at + frameStart.length) !== frameStart)
    return
  const flush = numberAt(bytes, at + frameStart.length, at + ends.flush)
  const lines = numberAt(bytes, at + ends.lines - linesWidth, at + ends.lines)
  const length = frameHeaderLength + numberAt(bytes, at + ends.bytes - bytesWidth, at + ends.bytes)
  const after = sumAt(bytes, at + ends.after)
  const sum = sumAt(bytes, at + ends.sum)
  if (Number.isNaN(flush + lines + length) || after < 0 || sum < 0) return
  if (bytes.toString('latin1', at + ends.sum + sumWidth, at + frameHeaderLength) !== frameHeaderEnd) return
  return { flush, lines, length, after, sum }
}

/** Whether the frame with this header is what was written. */
export function frameHolds(bytes: Buffer, at: number, header: FrameHeader): boolean {
  return at + header.length <= bytes.length && sumOf(bytes, at, at + header.length) === header.sum
}

function sumOf(bytes: Buffer, start: number, end: number): number {
  return crc32(bytes.subarray(start + frameHeaderLength, end), headerSumOf(bytes, start))
}

/** With what the checksum of a frame begins: that of its first line, which what follows is added to. */
export function headerSumOf(bytes: Buffer, start: number): number {
  return crc32(bytes.subarray(start, start + ends.sum))
}

/** How long a frame was at some time. */
export interface FrameLength {
  readonly bytes: number
  readonly lines: number
}

const smallest = 1 << 20

/** The frame that is being collected, in one buffer that is used again and again. */
export class FrameBuffer {
  readonly #columns: Columns
  #bytes = Buffer.allocUnsafeSlow(smallest)
  #length = frameHeaderLength
  #lines = 0
  #segment = 0
  #offset = 0

  constructor(format: ObjectFormat) {
    this.#columns = columnsOf(format)
  }

  get lines(): number {
    return this.#lines
  }

  /** How long it is so far, and how many lines it has. */
  get length(): FrameLength {
    return { bytes: this.#length, lines: this.#lines }
  }

  get segment(): number {
    return this.#segment
  }

  /** Begins a frame that will stand at a place. */
  begin(segment: number, offset: number): void {
    if (this.#bytes.length > smallest && this.#length < smallest) this.#bytes = Buffer.allocUnsafeSlow(smallest)
    this.#segment = segment
    this.#offset = offset
    this.#length = frameHeaderLength
    this.#lines = 0
  }

  /** Takes back what was added since it was so long. */
  cut({ bytes, lines }: FrameLength): void {
    this.#length = bytes
    this.#lines = lines
  }

  /** Adds a unit's line. Returns its place. */
  putUnit(unit: NewUnit, { text, events }: UnitText, revision: number, prev: number, skip: number): number {
    const start = this.#put(text)
    const end = this.#length
    const bytes = this.#bytes
    const columns = this.#columns
    const ascii = end - start === text.length
    putNumber(bytes, start + columns.seq, unit.seq)
    putNumber(bytes, start + columns.rev, revision)
    putNumber(bytes, start + columns.prev, prev)
    putNumber(bytes, start + columns.events, ascii ? events.length : Buffer.byteLength(events))
    if (unit.seq % stride === 0) putNumber(bytes, end - skipFromEnd, skip)
    return this.#seal(start)
  }

  /** Adds the line of a change without units. */
  putChange(text: string, revision: number): number {
    const start = this.#put(text)
    putNumber(this.#bytes, start + this.#columns.changeRev, revision)
    return this.#seal(start)
  }

  /** Adds a mail's line. */
  putMail(text: string, prev: number): number {
    const start = this.#put(text)
    putNumber(this.#bytes, start + this.#columns.mailPrev, prev)
    return this.#seal(start)
  }

  /** Adds a line that is complete but for its seal. */
  putLine(text: string): number {
    return this.#seal(this.#put(text))
  }

  /** The frame, which stands behind `end`. The bytes are good until the next {@link begin}. */
  close(end: LogEnd): { readonly bytes: Buffer; readonly end: LogEnd } {
    const bytes = this.#bytes.subarray(0, this.#length)
    bytes.write(blankHeader, 0, 'latin1')
    putNumber(bytes, ends.flush, end.flush + 1)
    putNumber(bytes, ends.lines, this.#lines)
    putNumber(bytes, ends.bytes, this.#length - frameHeaderLength)
    putSum(bytes, ends.after, end.sum)
    const sum = sumOf(bytes, 0, this.#length)
    putSum(bytes, ends.sum, sum)
    const segment = this.#segment
    const frame = positionOf(segment, this.#offset)
    return { bytes, end: { segment, offset: this.#offset + this.#length, frame, flush: end.flush + 1, sum } }
  }

  #put(text: string): number {
    const start = this.#length
    // A UTF-16 code unit takes three bytes at most.
    if (start + text.length * 3 > this.#bytes.length) this.#grow(start + text.length * 3)
    this.#length += this.#bytes.write(text, start)
    return start
  }

  #seal(start: number): number {
    sealLine(this.#bytes, start, this.#length)
    this.#lines++
    return positionOf(this.#segment, this.#offset + start)
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}
