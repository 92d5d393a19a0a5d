import { crc32 } from 'node:zlib'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { damaged } from './failures.ts'
import type { Segments } from './files.ts'
import { type FrameHeader, frameHeaderLength, frameHolds, frameStart, headerSumOf, readFrameHeader } from './frame.ts'
import { type LogEnd, offsetAt, positionOf, segmentAt } from './layout.ts'
import { readSegmentHeader } from './segment.ts'
import type { Work } from './turns.ts'

/** A whole frame, as read. Its bytes are good until the next one is asked for. */
export interface ScannedFrame {
  readonly bytes: Buffer
  /** Where its first line after the header stands in `bytes`. */
  readonly start: number
  readonly end: number
  /** Place of byte 0 of `bytes`: add an index to have its place. */
  readonly origin: number
}

/** What a scan found. */
export interface Scanned {
  /** Where the whole frames end. */
  readonly end: LogEnd
  /** How many bytes stand behind them that are no whole frame: a flush that is being written, or was never finished. */
  readonly torn: number
}

const window = 1 << 20

/**
 * Reads the frames behind `from`, in order, up to where the log ends now.
 *
 * What is not a whole frame is the torn tail, unless something whole follows it: a frame is only written when the one
 * before is durable, and a segment only made when the last frame of the one before is.
 *
 * @param until where to end: the highest segment, and up to where it is read
 * @throws STORE_DAMAGED that names file and byte
 */
export function* scanFrames(
  segments: Segments,
  objectFormat: ObjectFormat,
  from: LogEnd,
  until: Pick<LogEnd, 'segment' | 'offset'>,
  take: (frame: ScannedFrame, end: LogEnd) => void,
): Work<Scanned> {
  let end = from
  for (let segment = Math.max(1, from.segment); segment <= until.segment; segment++) {
    if (segment !== end.segment) {
      const header = readSegmentHeader(segments, segment, objectFormat)
      if (header.after !== end.sum) {
        throw damaged(segments.path(segment), 0, `it does not follow flush ${end.flush}`, { flush: end.flush })
      }
      end = { ...end, segment, offset: header.length }
    }
    const most = segment === until.segment ? until.offset : Number.POSITIVE_INFINITY
    const scan = new SegmentScan(segments, segment, Math.min(segments.size(segment), most), end)
    while (scan.next(take)) if (scan.refilled) yield
    end = scan.end
    if (scan.torn === 0) continue
    if (segment < until.segment) {
      throw damaged(segments.path(segment), end.offset, 'no whole flush begins there, and another segment follows')
    }
    return { end, torn: scan.torn }
  }
  return { end, torn: 0 }
}

/** Walks through the frames of one segment, as long as it is at the start of the walk. */
class SegmentScan {
  end: LogEnd
  torn = 0
  /** Whether the last step read from the file. */
  refilled = false
  readonly #segments: Segments
  readonly #segment: number
  readonly #size: number
  #bytes = Buffer.alloc(0)
  /** Where `#bytes` begins in the file. */
  #offset: number

  constructor(segments: Segments, segment: number, size: number, from: LogEnd) {
    this.#segments = segments
    this.#segment = segment
    this.#size = size
    this.#offset = from.offset
    this.end = from
  }

  /** Takes the next frame. false: there is none. */
  next(take: (frame: ScannedFrame, end: LogEnd) => void): boolean {
    const { offset } = this.end
    this.refilled = false
    if (offset >= this.#size) return false
    this.#fill(offset, frameHeaderLength)
    const header = readFrameHeader(this.#bytes, offset - this.#offset)
    const fits = header !== undefined && offset + header.length <= this.#size
    if (fits) this.#fill(offset, header.length)
    const at = offset - this.#offset
    if (!fits || !frameHolds(this.#bytes, at, header)) {
      this.#refuseWholeAfter(offset)
      this.torn = this.#size - offset
      return false
    }
    this.#refuseStranger(header)
    const origin = positionOf(this.#segment, this.#offset)
    const { flush, sum } = header
    const frame = positionOf(this.#segment, offset)
    this.end = { segment: this.#segment, offset: offset + header.length, frame, flush, sum }
    take({ bytes: this.#bytes, start: at + frameHeaderLength, end: at + header.length, origin }, this.end)
    return true
  }

  /** Has `length` bytes from `offset` on at hand, as far as the file goes. */
  #fill(offset: number, length: number): void {
    const have = this.#offset + this.#bytes.length
    if (offset + length <= have || have >= this.#size) return
    const wanted = Math.min(Math.max(window, length), this.#size - offset)
    const bytes = Buffer.allocUnsafe(wanted)
    this.#bytes = bytes.subarray(0, this.#segments.read(this.#segment, offset, wanted, bytes))
    this.#offset = offset
    this.refilled = true
  }

  #refuseStranger({ flush, after }: FrameHeader): void {
    const { end } = this
    if (flush === end.flush + 1 && after === end.sum) return
    const path = this.#segments.path(this.#segment)
    throw damaged(path, end.offset, `flush ${flush} stands where flush ${end.flush + 1} belongs`, { flush: end.flush })
  }

  /** Looks for a whole frame behind the bad one at `offset`. A piece at a time: the system may have made a tail of any length. */
  #refuseWholeAfter(offset: number): void {
    const bytes = Buffer.allocUnsafe(Math.min(window, this.#size - offset))
    // A first line that a piece cuts, or that begins it, is whole and behind something in the next or the last.
    for (let from = offset; from < this.#size; from += window - frameHeaderLength - 1) {
      const rest = bytes.subarray(0, this.#read(from, bytes))
      for (let at = rest.indexOf(frameStart, 1); at > 0; at = rest.indexOf(frameStart, at + 1)) {
        const header = rest[at - 1] === 10 ? readFrameHeader(rest, at) : undefined
        if (header === undefined || !this.#holds(from + at, header, headerSumOf(rest, at))) continue
        const path = this.#segments.path(this.#segment)
        throw damaged(path, offset, `no whole flush begins there, but flush ${header.flush} stands behind it`, {
          flush: header.flush,
        })
      }
    }
  }

  /** Whether the frame at `offset` is what was written. @param sum what {@link headerSumOf} says */
  #holds(offset: number, { length, sum: wanted }: FrameHeader, sum: number): boolean {
    const end = offset + length
    if (end > this.#size) return false
    const bytes = Buffer.allocUnsafe(Math.min(window, length))
    let found = sum
    for (let at = offset + frameHeaderLength; at < end; at += bytes.length) {
      const count = this.#read(at, bytes)
      found = crc32(bytes.subarray(0, Math.min(count, end - at)), found)
    }
    return found === wanted
  }

  /** Reads from `offset` on, up to the size that the file had. Returns how many bytes there are. */
  #read(offset: number, into: Buffer): number {
    return this.#segments.read(this.#segment, offset, Math.min(into.length, this.#size - offset), into)
  }
}

/** Whether the last frame that `end` names stands in the log as it was. */
export function endHolds(segments: Segments, end: LogEnd): boolean {
  if (end.segment > 0 && segments.size(end.segment) < end.offset) return false
  if (end.frame === 0) return true
  const bytes = Buffer.allocUnsafe(frameHeaderLength)
  if (segments.size(segmentAt(end.frame)) < offsetAt(end.frame) + frameHeaderLength) return false
  segments.read(segmentAt(end.frame), offsetAt(end.frame), frameHeaderLength, bytes)
  const header = readFrameHeader(bytes, 0)
  return header !== undefined && header.flush === end.flush && header.sum === end.sum
}
