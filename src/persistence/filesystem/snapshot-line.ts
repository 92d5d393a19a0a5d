import type { StoredSnapshot } from '../../actors/contracts/store.ts'
import { blanks, kindAt, lineHolds, lineLength, lineStart, numberAt, putNumber, sealLine, widths } from './line.ts'

/** Where a unit's line stands, and its checksum: together they name all that happened up to it. */
export interface UnitMark {
  readonly position: number
  readonly crc: string
}

/** A snapshot's line, as parsed. */
export interface WrittenSnapshot extends StoredSnapshot {
  readonly snapshot: string
  /** Place of the run's older snapshot; 0: there is none. */
  readonly prev: number
  readonly unit: UnitMark
}

/** What the columns of a snapshot's line say. */
export interface SnapshotHead {
  readonly run: string
  readonly seq: number
  readonly prev: number
  /** Of the line. */
  readonly length: number
}

const key = '"snapshot":"'
const runAt = kindAt + key.length

function startOf(run: string): string {
  return `${lineStart}${key}${run}","seq":${blanks(widths.seq)},"prev":${blanks(widths.prev)}`
}

function seqEnd(idWidth: number): number {
  return runAt + idWidth + '","seq":'.length + widths.seq
}

function prevEnd(idWidth: number): number {
  return snapshotHeadLength(idWidth)
}

/** How long the columns of a snapshot's line are. */
export function snapshotHeadLength(idWidth: number): number {
  return seqEnd(idWidth) + ',"prev":'.length + widths.prev
}

/** The line of a snapshot. @param prev place of the run's older snapshot */
export function snapshotBytes(run: string, snapshot: StoredSnapshot, unit: UnitMark, prev: number): Buffer {
  const { seq, id, machine, format, state } = snapshot
  const rest = JSON.stringify({ id, machine, format, unit, state })
  const bytes = Buffer.from(`${startOf(run)},${rest.slice(1)}\n`)
  putNumber(bytes, seqEnd(run.length), seq)
  putNumber(bytes, prevEnd(run.length), prev)
  sealLine(bytes, 0, bytes.length)
  return bytes
}

/** Says in a snapshot's line that the run's older one stands elsewhere. */
export function setOlder(bytes: Buffer, prev: number): void {
  const end = prevEnd(readRunWidth(bytes))
  bytes.fill(32, end - widths.prev, end)
  putNumber(bytes, end, prev)
  bytes.fill(32, lineStart.indexOf(':') + 1, lineStart.indexOf(','))
  sealLine(bytes, 0, bytes.length)
}

function readRunWidth(bytes: Buffer): number {
  return bytes.indexOf(34, runAt) - runAt
}

/** What the columns of the line at `at` say; undefined: no snapshot's line begins there. Not verified. */
export function readSnapshotHead(bytes: Buffer, at: number, idWidth: number): SnapshotHead | undefined {
  if (bytes.length - at < snapshotHeadLength(idWidth)) return undefined
  if (bytes.toString('latin1', at + kindAt, at + runAt) !== key) return undefined
  const seq = numberAt(bytes, at + seqEnd(idWidth) - widths.seq, at + seqEnd(idWidth))
  const prev = numberAt(bytes, at + prevEnd(idWidth) - widths.prev, at + prevEnd(idWidth))
  const length = lineLength(bytes, at)
  if (Number.isNaN(seq + prev + length) || length <= snapshotHeadLength(idWidth)) return undefined
  return { run: bytes.toString('latin1', at + runAt, at + runAt + idWidth), seq, prev, length }
}

/** Whether a snapshot's line is what was written. */
export function snapshotHolds(bytes: Buffer): boolean {
  return lineHolds(bytes, 0, bytes.length)
}
