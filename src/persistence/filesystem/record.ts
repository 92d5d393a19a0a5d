import type { JsonObject } from '../../actors/contracts/json.ts'
import type {
  AppendItem,
  BesideChange,
  LeaseKey,
  LeaseRow,
  MachineRecord,
  Mail,
  Refusal,
} from '../../actors/contracts/store.ts'
import type { NewUnit, TraceContext } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { deepFreeze } from '../deep-freeze.ts'
import {
  epochOf,
  readPosition,
  readPositions,
  unitRest,
  type WrittenPosition,
  type WrittenRest,
  withPosition,
} from '../unit-text.ts'
import { changeStart, lineStart, longestLine, mailStart, skipEnd, stride, unitStart } from './line.ts'
import type { Renewal } from './row.ts'

/*
 * What the lines of the log say. A unit's line: columns, time and events, then what a reader rarely asks for; the last
 * unit of an item also says what the item changes beside the history. `undefined` is not written; nothing else is left out.
 */

/** A line that is still to be placed, sealed and, for a unit, linked to the one before. */
export interface UnitText {
  readonly text: string
  /** Length of the events in characters; in bytes too, unless the line has more bytes than characters. */
  readonly events: string
}

/** The lines of an item's units; `change` instead where it has none. */
export interface ItemText {
  readonly machine: string | undefined
  readonly units: readonly UnitText[]
  readonly change: string | undefined
}

/**
 * Writes an item down, but for what only its place in the log tells.
 *
 * @param newMachine whether the store has not got the item's machine yet
 * @param pins whether a leased item is the one that pins the run
 */
export function itemText(item: AppendItem, newMachine: boolean, pins: boolean): ItemText {
  const { units, run } = item
  const machine = newMachine ? machineText(item.machine!) : undefined
  const rest = itemRest(item, pins)
  if (units.length === 0) return { machine, units: [], change: bounded(`${changeStart(run)}${rest}}\n`) }
  const last = units.length - 1
  const start = unitStart(run)
  const lease = item.lease?.epoch
  if (last === 0) return { machine, units: [unitText(start, units[0]!, lease, rest)], change: undefined }
  const texts = units.map((unit, index) => unitText(start, unit, lease, index === last ? rest : ''))
  return { machine, units: texts, change: undefined }
}

function unitText(start: string, unit: NewUnit, lease: number | undefined, itemRest: string): UnitText {
  const epoch = epochOf(unit, lease)
  const tail = epoch === undefined ? itemRest : `,"epoch":${epoch}${itemRest}`
  const events = JSON.stringify(unit.events)
  const end = unit.seq % stride === 0 ? skipEnd : '}\n'
  return { text: bounded(`${start}${unit.at},"events":${events}${unitRest(unit)}${tail}${end}`), events }
}

function itemRest({ status, value, due, beside, lease }: AppendItem, pins: boolean): string {
  let rest = ''
  if (pins) rest += `,"pin":${JSON.stringify([lease!.namespace, lease!.partition])}`
  if (status !== undefined) rest += `,"status":"${status}"`
  if (value !== undefined) rest += `,"value":${JSON.stringify(value)}`
  if (due !== undefined) rest += `,"due":${due}`
  if (beside !== undefined) rest += `,"beside":${besideText(beside)}`
  return rest
}

function besideText(change: BesideChange): string {
  const { sources, refused, acknowledged } = change
  if (sources === undefined && refused === undefined && acknowledged === undefined) return JSON.stringify(change)
  return JSON.stringify({
    ...change,
    ...(sources && { sources: sources.map(withPosition) }),
    ...(refused && { refused: refused.map(withPosition) }),
    ...(acknowledged && { acknowledged: acknowledged.map(withPosition) }),
  })
}

/** @throws EVENT_TOO_LARGE, before anything of the call is placed */
function bounded(line: string): string {
  // A UTF-16 code unit takes three bytes at most.
  if (line.length * 3 <= longestLine || Buffer.byteLength(line) <= longestLine) return line
  const message = `A line of the log holds at most ${longestLine} bytes; a unit, change, machine or mail has more.`
  throw new XMachinesError('EVENT_TOO_LARGE', message, { details: { limit: longestLine } })
}

/** The line that keeps a machine version. */
export function machineText({ oid, id, version, definition }: MachineRecord): string {
  return bounded(
    `${lineStart}"machine":${JSON.stringify(oid)},"record":${JSON.stringify({ oid, id, version, definition })}}\n`,
  )
}

/** The line of a lease row. */
export function leaseText(row: LeaseRow): string {
  return `${lineStart}"lease":${JSON.stringify(row)}}\n`
}

/** The line of a delivered mail, but for the place of the mail before. */
export function mailText({ receiver, sender, seq, index, failure, event, trace }: Mail): string {
  const rest = JSON.stringify({ sender, seq, index, failure, event, trace })
  return bounded(`${mailStart(receiver)},${rest.slice(1)}\n`)
}

/** The line that says how long a process lives. */
export function renewalText({ process, until, holder }: Renewal): string {
  return `${lineStart}"process":${JSON.stringify(process)},"until":${until},"holder":"${holder}"}\n`
}

/** What stands behind the events of a line, as parsed: the rest of its unit, and of its item. */
export interface WrittenItem extends WrittenRest {
  readonly pin?: readonly [namespace: string, partition: number]
  readonly status?: NonNullable<AppendItem['status']>
  readonly value?: NonNullable<AppendItem['value']> | null
  readonly due?: number | null
  readonly beside?: WrittenBesideChange
}

type WrittenBesideChange = Omit<BesideChange, 'sources' | 'refused' | 'acknowledged'> & {
  readonly sources?: readonly WrittenPosition[]
  readonly refused?: readonly (WrittenPosition & Omit<Refusal, 'position'>)[]
  readonly acknowledged?: readonly WrittenPosition[]
}

/** What is kept beside the history of an item, as it was. */
export function readBesideChange(written: WrittenBesideChange): BesideChange {
  const { sources, refused, acknowledged, ...rest } = written
  return {
    ...rest,
    ...(sources && { sources: readPositions(sources) }),
    ...(refused && { refused: refused.map(entry => ({ ...entry, position: readPosition(entry.position) })) }),
    ...(acknowledged && { acknowledged: readPositions(acknowledged) }),
  }
}

/** The partition that the item pinned its run to. */
export function readPin(pin: WrittenItem['pin']): LeaseKey | undefined {
  return pin && Object.freeze({ namespace: pin[0], partition: pin[1] })
}

/** A mail's line, as parsed. */
export interface WrittenMail {
  readonly mail: string
  readonly prev: number
  readonly sender: string
  readonly seq: number
  readonly index: number
  readonly failure?: boolean
  readonly event: JsonObject
  readonly trace?: TraceContext
}

/** A mail as it was. */
export function readMail({ mail: receiver, sender, seq, index, failure, event, trace }: WrittenMail): Mail {
  const rest = { ...(failure === undefined ? {} : { failure }), event, ...(trace === undefined ? {} : { trace }) }
  return deepFreeze({ receiver, sender, seq, index, ...rest })
}
