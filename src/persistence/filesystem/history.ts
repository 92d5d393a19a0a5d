import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { storedUnit } from '../stored-unit.ts'
import { parseEvents } from '../unit-text.ts'
import { eventsKey, timeAt } from './decode.ts'
import type { Segments } from './files.ts'
import { type Columns, columnsOf, kindAt, lineSum, numberAt, skipFromEnd, stride, widths } from './line.ts'
import type { Row } from './row.ts'
import type { UnitMark } from './snapshot-line.ts'
import type { UnitIds } from './unit-ids.ts'
import { type LineView, Windows } from './windows.ts'

/** How many units a reader is handed at once, and how many bytes of them. */
const mostUnits = 512
const mostBytes = 256 << 10

/** A unit whose place is known. */
interface Anchor {
  readonly seq: number
  readonly position: number
}

/** How a unit's key begins: no other kind of line begins so. */
const letterR = 114
const letterU = 117

/**
 * Reads the units that a run has of its own. Each line names the place of the one before, and every 1024th the place
 * 1024 before; so a range is found from the head backwards in few steps, with no memory that grows with the history, and
 * then read forwards, one stretch of 1024 at a time.
 */
export class OwnUnits {
  readonly #windows: Windows
  readonly #columns: Columns
  readonly #row: Row
  readonly #run: Buffer
  readonly #ids: UnitIds | undefined

  constructor(segments: Segments, format: ObjectFormat, row: Row, ids: UnitIds | undefined) {
    this.#windows = new Windows(segments)
    this.#columns = columnsOf(format)
    this.#row = row
    this.#run = Buffer.from(row.run, 'latin1')
    this.#ids = ids
  }

  /** The units `from` … `to`, oldest first; both must be there. */
  *units(from: number, to: number): Generator<Unit[], void, void> {
    const anchors = this.#anchors(from, to)
    for (let anchor = anchors.pop(); anchor !== undefined; anchor = anchors.pop()) {
      const first = Math.max(from, Math.floor((anchor.seq - 1) / stride) * stride + 1)
      yield* this.#forward(this.#places(anchor, first), first, to)
    }
  }

  /** Names an own unit by what stands in the log. */
  markOf(seq: number): UnitMark {
    const anchor = this.#anchors(seq, seq).pop()!
    const position = this.#places(anchor, seq)[0]!
    const { bytes, start } = this.#windows.verified(position)
    return { position, crc: lineSum(bytes, start) }
  }

  /** The ends of the stretches that hold `from` … `to`, the last one first. */
  #anchors(from: number, to: number): Anchor[] {
    const { seq, head, mark } = this.#row
    const anchors: Anchor[] = []
    let last: Anchor = { seq, position: head }
    for (let at: Anchor = { seq: seq - (seq % stride), position: mark }; at.position > 0; ) {
      if (at.seq < to && last.seq > at.seq) anchors.push(last)
      last = at
      if (at.seq < from) return anchors
      const line = this.#windows.at(at.position)
      const skip = numberAt(line.bytes, line.end - skipFromEnd - widths.prev, line.end - skipFromEnd)
      at = { seq: at.seq - stride, position: skip > 0 ? this.#before(at.position, skip) : 0 }
    }
    anchors.push(last)
    return anchors
  }

  /** The places of the units `first` … `anchor`, in order. */
  #places(anchor: Anchor, first: number): number[] {
    const places = new Array<number>(anchor.seq - first + 1)
    let { position } = anchor
    for (let seq = anchor.seq; ; seq--) {
      places[seq - first] = position
      if (seq === first) return places
      const line = this.#windows.at(position)
      if (this.#column(line, this.#columns.seq, widths.seq) !== seq) throw this.#windows.damage(position)
      position = this.#before(position, this.#column(line, this.#columns.prev, widths.prev))
    }
  }

  *#forward(places: readonly number[], first: number, to: number): Generator<Unit[], void, void> {
    let batch: Unit[] = []
    let bytes = 0
    let seq = first
    for (const position of places) {
      if (seq > to) break
      const line = this.#windows.verified(position)
      const unit = this.#read(line, position)
      if (unit.seq !== seq++) throw this.#windows.damage(position)
      batch.push(unit)
      bytes += line.end - line.start
      if (batch.length >= mostUnits || bytes >= mostBytes) {
        yield batch
        batch = []
        bytes = 0
      }
    }
    if (batch.length > 0) yield batch
  }

  /** The unit whose line stands at a place. */
  unitAt(position: number): Unit {
    return this.#read(this.#windows.verified(position), position)
  }

  #read(line: LineView, position: number): Unit {
    const { bytes, start, end } = line
    const columns = this.#columns
    if (bytes[start + kindAt + 1] !== letterR || bytes[start + kindAt + 2] !== letterU)
      throw this.#windows.damage(position)
    // The lines that led here were not verified: one damaged digit of a place may name the unit of another run.
    if (this.#run.compare(bytes, start + columns.run, start + columns.runEnd) !== 0)
      throw this.#windows.damage(position)
    const seq = this.#column(line, columns.seq, widths.seq)
    const atEnd = bytes.indexOf(44, start + columns.at)
    const at = timeAt(bytes, start + columns.at, atEnd)
    const from = atEnd + eventsKey.length
    const length = this.#column(line, columns.events, widths.events)
    const text = bytes.toString('utf8', from, end)
    // One string for both, where bytes are characters: cutting it costs less than making two.
    const ascii = text.length === end - from
    const events = ascii ? text.slice(0, length) : bytes.toString('utf8', from, from + length)
    const rest = ascii ? text.slice(length) : bytes.toString('utf8', from + length, end)
    return storedUnit(this.#row.run, seq, at, parseEvents(events), rest, this.#ids)
  }

  #column({ bytes, start }: LineView, end: number, width: number): number {
    return numberAt(bytes, start + end - width, start + end)
  }

  /** A place that a line names as before its own. */
  #before(position: number, named: number): number {
    if (!(named > 0 && named < position)) throw this.#windows.damage(position)
    return named
  }
}
