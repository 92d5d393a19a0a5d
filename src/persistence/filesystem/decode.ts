import type { AppendItem, LeaseRow, MachineRecord } from '../../actors/contracts/store.ts'
import type { NewUnit, ObjectFormat, Origin } from '../../actors/contracts/unit.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { parseRest, readPositions } from '../unit-text.ts'
import type { Draft } from './draft.ts'
import { damaged } from './failures.ts'
import { offsetAt } from './layout.ts'
import { type Columns, columnsOf, kindAt, type LineKind, lineLength, numberAt, stride, widths } from './line.ts'
import { readBesideChange, readMail, readPin, type WrittenItem, type WrittenMail } from './record.ts'
import type { Renewal, Row } from './row.ts'
import type { ScannedFrame } from './scan.ts'

const outside: Origin = Object.freeze({ kind: 'outside' })
const none: readonly never[] = Object.freeze([])

/** A `change` line, as parsed. */
type WrittenChange = WrittenItem & { readonly change: string; readonly rev: number }

/** The item whose lines are being read. */
interface OpenItem {
  readonly run: string
  readonly revision: number
  readonly units: NewUnit[]
  rest: WrittenItem
  first: number
  head: number
  mark: number
}

/** Takes the lines of whole frames into a draft, without the events: what an index needs of a log. */
export class FrameDecoder {
  readonly #columns: Columns
  readonly #path: (position: number) => string
  #item: OpenItem | undefined

  /** @param path the file of a place, for messages */
  constructor(format: ObjectFormat, path: (position: number) => string) {
    this.#columns = columnsOf(format)
    this.#path = path
  }

  decode({ bytes, start, end, origin }: ScannedFrame, draft: Draft): void {
    for (let at = start; at < end; ) {
      const length = lineLength(bytes, at)
      if (!(length > kindAt && at + length <= end)) throw this.#damage(origin + at)
      try {
        this.#line(bytes, at, at + length, origin + at, draft)
      } catch (cause) {
        throw cause instanceof SyntaxError ? this.#damage(origin + at) : cause
      }
      at += length
    }
    this.#close(draft)
  }

  #line(bytes: Buffer, start: number, end: number, position: number, draft: Draft): void {
    const kindEnd = bytes.indexOf(34, start + kindAt + 1)
    const kind = bytes.toString('latin1', start + kindAt + 1, kindEnd) as LineKind
    if (kind === 'run') return this.#unit(bytes, start, end, position, draft)
    this.#close(draft)
    const line: unknown = JSON.parse(bytes.toString('utf8', start, end))
    if (kind === 'change') this.#change(line as WrittenChange, draft)
    else if (kind === 'machine') draft.takeMachine((line as { record: MachineRecord }).record, position)
    else if (kind === 'lease') draft.takeLease((line as { lease: LeaseRow }).lease)
    else if (kind === 'mail') draft.takeMail(readMail(line as WrittenMail), position)
    else if (kind === 'process') {
      const { process, until, holder } = line as Renewal
      draft.renewals.set(process, { process, until, holder })
    } else throw this.#damage(position)
  }

  #unit(bytes: Buffer, start: number, end: number, position: number, draft: Draft): void {
    const columns = this.#columns
    const run = bytes.toString('latin1', start + columns.run, start + columns.runEnd)
    const seq = numberAt(bytes, start + columns.seq - widths.seq, start + columns.seq)
    const revision = numberAt(bytes, start + columns.rev - widths.seq, start + columns.rev)
    const { at, rest } = readBehindColumns(bytes, start, end, columns)
    const item = this.#itemOf(run, revision, draft)
    const sources = rest.sources === undefined ? undefined : readPositions(rest.sources)
    const { creation, machine } = rest
    item.units.push({
      seq,
      at,
      events: none,
      origin: outside,
      outputs: none,
      ...(sources && { sources }),
      ...(creation && { creation: deepFreeze(creation) }),
      ...(machine === undefined ? {} : { machine }),
    })
    item.rest = rest
    if (item.units.length === 1) item.first = position
    item.head = position
    if (seq % stride === 0) item.mark = position
  }

  #itemOf(run: string, revision: number, draft: Draft): OpenItem {
    if (this.#item?.run === run && this.#item.revision === revision) return this.#item
    this.#close(draft)
    const row = draft.row(run)
    this.#item = { run, revision, units: [], rest: {}, first: 0, head: row?.head ?? 0, mark: row?.mark ?? 0 }
    return this.#item
  }

  #change(line: WrittenChange, draft: Draft): void {
    this.#item = this.#itemOf(line.change, line.rev, draft)
    this.#item.rest = line
    this.#close(draft)
  }

  /** Takes the item whose last line was read. */
  #close(draft: Draft): void {
    const item = this.#item
    if (item === undefined) return
    this.#item = undefined
    const known = draft.row(item.run)
    draft.take(this.#asAppended(item, known, draft), known, item)
  }

  /** The item as it was appended, as far as an index needs it. */
  #asAppended({ run, units, rest, head }: OpenItem, known: Row | undefined, draft: Draft): AppendItem {
    const first = units[0]
    if (known === undefined && first?.creation === undefined) throw this.#damage(head)
    const oid =
      units.findLast(unit => unit.machine !== undefined)?.machine ?? (known ? undefined : first!.creation!.machine)
    const machine = oid === undefined ? undefined : draft.machine(oid)
    const pin = readPin(rest.pin)
    return {
      run,
      expected: known === undefined ? null : { seq: known.seq, revision: known.revision },
      units,
      ...(machine && { machine: { ...machine, definition: {} } }),
      ...(pin && { lease: { ...pin, epoch: rest.epoch ?? 0 } }),
      ...(rest.status === undefined ? {} : { status: rest.status }),
      ...(rest.value === undefined ? {} : { value: deepFreeze(rest.value) }),
      ...(rest.due === undefined ? {} : { due: rest.due }),
      ...(rest.beside && { beside: deepFreeze(readBesideChange(rest.beside)) }),
    }
  }

  #damage(position: number): Error {
    return damaged(
      this.#path(position),
      offsetAt(position),
      'the line that begins there says nothing that a store writes',
    )
  }
}

/** The time of a unit, where its events stand, and what follows them. */
export function readBehindColumns(
  bytes: Buffer,
  start: number,
  end: number,
  columns: Columns,
): { readonly at: number; readonly rest: WrittenItem } {
  const atEnd = bytes.indexOf(44, start + columns.at)
  const events = atEnd + eventsKey.length
  const length = numberAt(bytes, start + columns.events - widths.events, start + columns.events)
  return { at: timeAt(bytes, start + columns.at, atEnd), rest: parseRest(bytes.toString('utf8', events + length, end)) }
}

/** What stands between the time of a unit and its events. */
export const eventsKey = ',"events":'

/** The time in `start` … `end`. */
export function timeAt(bytes: Buffer, start: number, end: number): number {
  const whole = numberAt(bytes, start, end)
  return Number.isNaN(whole) ? Number(bytes.toString('latin1', start, end)) : whole
}
