import { crc32 } from 'node:zlib'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'

/*
 * A line of the log is JSON that a person can read, and begins with columns of fixed width that a program finds without
 * parsing: its length in bytes with the newline, and the checksum of what follows up to the newline.
 *
 *   {"len":     298,"crc":"1a2b3c4d","run":"…","seq":         3,"rev":         4,"prev":     10000000412,"ev":      34,"at":1700000000000,"events":[…],…}
 *
 * Numbers are padded with blanks, which JSON allows.
 */

/** Blanks of a length. */
export function blanks(count: number): string {
  return ' '.repeat(count)
}

const lengthWidth = 8
/** How many digits a checksum has. */
export const sumWidth = 8

/** How every line begins; what comes next names its kind. */
export const lineStart = `{"len":${blanks(lengthWidth)},"crc":"${blanks(sumWidth)}",`
const lengthEnd = lineStart.indexOf(',')
const crcAt = lineStart.lastIndexOf(`${blanks(sumWidth)}`)

/** Where the key stands that names a line's kind, counted from its start. The checksum begins here. */
export const kindAt = lineStart.length

/** No line can be longer: its length would not fit its column. */
export const longestLine = 10 ** lengthWidth - 1

const startBytes = Buffer.from(lineStart)

const zero = 48
const blank = 32

/** Writes a whole number so that it ends before `end`, over the blanks there. */
export function putNumber(bytes: Buffer, end: number, value: number): void {
  let rest = value
  let at = end
  do {
    const next = Math.floor(rest / 10)
    bytes[--at] = zero + rest - next * 10
    rest = next
  } while (rest > 0)
}

/** Reads a padded whole number. NaN: there is none. */
export function numberAt(bytes: Buffer, start: number, end: number): number {
  let at = start
  while (bytes[at] === blank) at++
  // A zero in front is a damaged blank, and no JSON.
  if (at >= end || (bytes[at] === zero && at < end - 1)) return Number.NaN
  let value = 0
  for (; at < end; at++) {
    const digit = bytes[at]! - zero
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

const hexDigits = Buffer.from('0123456789abcdef')

/** Writes a checksum as hex digits. */
export function putSum(bytes: Buffer, at: number, sum: number): void {
  for (let digit = 0; digit < sumWidth; digit++) bytes[at + digit] = hexDigits[(sum >>> (28 - digit * 4)) & 15]!
}

/** Reads a checksum. −1: there is none. */
export function sumAt(bytes: Buffer, at: number): number {
  let sum = 0
  for (let index = at; index < at + sumWidth; index++) {
    const code = bytes[index]!
    const digit = code >= zero && code <= 57 ? code - zero : code >= 97 && code <= 102 ? code - 87 : -1
    if (digit < 0) return -1
    sum = (sum << 4) | digit
  }
  return sum >>> 0
}

/** Fills in length and checksum of the line that stands in `start` … `end`, newline included. */
export function sealLine(bytes: Buffer, start: number, end: number): void {
  putNumber(bytes, start + lengthEnd, end - start)
  putSum(bytes, start + crcAt, crc32(bytes.subarray(start + kindAt, end - 1)))
}

/** The length that the line at `start` says it has. NaN: no line begins there. */
export function lineLength(bytes: Buffer, start: number): number {
  return numberAt(bytes, start + lengthEnd - lengthWidth, start + lengthEnd)
}

/** The checksum that the line at `start` says it has. */
export function lineSum(bytes: Buffer, start: number): string {
  return bytes.toString('latin1', start + crcAt, start + crcAt + sumWidth)
}

/** Whether what {@link lineLength} says of a line, and all that its checksum covers, is what was written. */
export function sealHolds(bytes: Buffer, start: number, end: number): boolean {
  return bytes[end - 1] === 10 && sumAt(bytes, start + crcAt) === crc32(bytes.subarray(start + kindAt, end - 1))
}

/** Whether the line in `start` … `end` is what was written, each byte of it: so that it can be parsed. */
export function lineHolds(bytes: Buffer, start: number, end: number): boolean {
  if (end - start <= kindAt || end > bytes.length || lineLength(bytes, start) !== end - start) return false
  for (let at = 0; at < kindAt; at++) if (startBytes[at] !== blank && startBytes[at] !== bytes[start + at]) return false
  return sealHolds(bytes, start, end)
}

const seqWidth = 10
const positionWidth = 16

/** The key of a unit's line, of another change of a run, … : what {@link kindAt} shows. */
export type LineKind = 'run' | 'change' | 'machine' | 'lease' | 'mail' | 'process'

/** Where a line's columns end, counted from its start, once the width of an id is known. */
export interface Columns {
  /** Where the run's id stands in a unit's line. */
  readonly run: number
  readonly runEnd: number
  readonly seq: number
  readonly rev: number
  readonly prev: number
  readonly events: number
  /** Where the time stands in a unit's line. */
  readonly at: number
  /** Where the revision of a `change` line ends. */
  readonly changeRev: number
  /** Where the place before ends in a `mail` line. */
  readonly mailPrev: number
}

const unitColumns = `","seq":${blanks(seqWidth)},"rev":${blanks(seqWidth)},"prev":${blanks(positionWidth)},"ev":${blanks(lengthWidth)},"at":`

/** How a unit's line begins, up to its time. */
export function unitStart(run: string): string {
  return `${lineStart}"run":"${run}${unitColumns}`
}

/** How the line of another change of a run begins, up to what changed. */
export function changeStart(run: string): string {
  return `${lineStart}"change":"${run}","rev":${blanks(seqWidth)}`
}

/** How a mail's line begins, up to whose it is. */
export function mailStart(receiver: string): string {
  return `${lineStart}"mail":"${receiver}","prev":${blanks(positionWidth)}`
}

/** How a line ends that says where the unit {@link stride} before stands. */
export const skipEnd = `,"skip":${blanks(positionWidth)}}\n`

/** Where that place ends, counted back from the end of the line. */
export const skipFromEnd = 2

/** Every unit whose seq is a multiple names the place of the one so many before: a far unit is found in few steps. */
export const stride = 1024

function columnsFor(width: number): Columns {
  const id = blanks(width)
  const start = unitStart(id)
  const run = start.indexOf(id, kindAt)
  const end = (name: string): number => start.indexOf(',', start.indexOf(name))
  return {
    run,
    runEnd: run + width,
    seq: end('"seq"'),
    rev: end('"rev"'),
    prev: end('"prev"'),
    events: end('"ev"'),
    at: start.length,
    changeRev: changeStart(id).length,
    mailPrev: mailStart(id).length,
  }
}

const columnsBy: Readonly<Record<ObjectFormat, Columns>> = { sha1: columnsFor(40), sha256: columnsFor(64) }

/** Where the columns of a store's lines are. */
export function columnsOf(format: ObjectFormat): Columns {
  return columnsBy[format]
}

/** How wide the column is that ends at a column's end. */
export const widths = { seq: seqWidth, prev: positionWidth, events: lengthWidth } as const
