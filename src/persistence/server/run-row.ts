import type { JsonValue } from '../../actors/contracts/json.ts'
import type { AppendItem, Beside, LeaseKey, Mail, RunHead, RunStatus } from '../../actors/contracts/store.ts'
import type { NewUnit, TimeMode } from '../../actors/contracts/unit.ts'
import { messageOf, XMachinesError } from '../../actors/errors.ts'
import { readBeside, type WrittenBeside, writtenBeside } from '../beside-text.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { amend, emptyBeside, withInbox } from '../judge.ts'
import { epochOf, parseEvents, parseRest, readPositions, unitRest } from '../unit-text.ts'

/** Where a run stands, but for its inbox. A value; one revision of a run has one, for ever. */
export interface RunRow {
  readonly run: string
  readonly namespace: string
  readonly key: string | undefined
  readonly time: TimeMode
  readonly machine: string
  readonly machineId: string
  readonly version: string
  readonly seq: number
  readonly revision: number
  readonly at: number
  readonly status: RunStatus
  readonly value: JsonValue | undefined
  readonly due: number | null
  readonly lease: LeaseKey | undefined
  /** The creation of a fork, which its history does not show. */
  readonly fork: NewUnit | undefined
  /** But for the inbox. */
  readonly beside: Beside
}

/** A row as a server keeps it: columns that it judges and looks by, and the rest as text. `null`: there is none. */
export interface WrittenRow {
  readonly run: string
  readonly namespace: string
  readonly key: string | null
  readonly time: TimeMode
  readonly machine: string
  readonly machineId: string
  readonly version: string
  readonly seq: number
  readonly revision: number
  readonly at: number
  readonly status: RunStatus
  /** JSON. */
  readonly value: string | null
  readonly due: number | null
  readonly leaseNamespace: string | null
  readonly leasePartition: number | null
  /** JSON. */
  readonly fork: string | null
  /** JSON. */
  readonly beside: string
  /** `beside.process`, by which `due` looks. */
  readonly process: string | null
  /** Mail makes the run due at once: it is neither held nor parked. */
  readonly wakes: boolean
}

/** A unit as a server keeps it: `events` is JSON, `rest` what follows in the same object, from its comma to the brace. */
export interface WrittenUnit {
  readonly seq: number
  readonly at: number
  readonly events: string
  readonly rest: string
}

/** The row after an item that is judged `appended`. @param row where the run stands; `undefined`: the item creates it */
export function rowAfter(row: RunRow | undefined, item: AppendItem): RunRow {
  const { units, lease, machine } = item
  const before = row ?? newRow(item)
  const last = units[units.length - 1]
  const { oid, id, version } = machine ?? { oid: before.machine, id: before.machineId, version: before.version }
  // Name by name: copying all and then some takes several times as long, and this is done for every item.
  return {
    run: before.run,
    namespace: before.namespace,
    key: before.key,
    time: before.time,
    machine: oid,
    machineId: id,
    version,
    seq: last?.seq ?? before.seq,
    revision: before.revision + 1,
    at: last?.at ?? before.at,
    status: item.status ?? before.status,
    value: item.value === undefined ? before.value : item.value,
    due: item.due === undefined ? before.due : item.due,
    lease: before.lease ?? (lease && Object.freeze({ namespace: lease.namespace, partition: lease.partition })),
    fork: before.fork,
    beside: amend(before.beside, item),
  }
}

function newRow({ run, units, machine }: AppendItem): RunRow {
  const first = units[0]!
  const { namespace, key, time, fork } = first.creation!
  const { oid, id, version } = machine!
  return {
    run,
    namespace,
    key,
    time,
    machine: oid,
    machineId: id,
    version,
    seq: first.seq,
    revision: 0,
    at: first.at,
    status: 'active',
    value: undefined,
    due: null,
    lease: undefined,
    fork: fork === undefined ? undefined : first,
    beside: emptyBeside,
  }
}

/** A row as its server is to keep it. */
export function writtenRow(row: RunRow): WrittenRow {
  const { run, namespace, key, time, machine, machineId, version, seq, revision, at, status, due, lease } = row
  const { value, fork, beside } = row
  return {
    run,
    namespace,
    key: key ?? null,
    time,
    machine,
    machineId,
    version,
    seq,
    revision,
    at,
    status,
    value: value === undefined ? null : JSON.stringify(value),
    due,
    leaseNamespace: lease?.namespace ?? null,
    leasePartition: lease?.partition ?? null,
    fork: fork === undefined ? null : JSON.stringify(writtenUnit(fork, undefined)),
    beside: beside === emptyBeside ? '{}' : JSON.stringify(writtenBeside(beside, row)),
    process: beside.process,
    wakes: !beside.held && beside.parked === null,
  }
}

/** A row that a server kept. @throws RUN_DAMAGED: something else wrote to it */
export function readRow(written: WrittenRow): RunRow {
  try {
    return parsedRow(written)
  } catch (cause) {
    throw damagedRow(written.run, cause)
  }
}

/** What stands in the place of a row cannot be read. */
export function damagedRow(run: string, cause: unknown): XMachinesError {
  const message = `Where run ${run} stands cannot be read: ${messageOf(cause)}. Restore the run from a copy.`
  return new XMachinesError('RUN_DAMAGED', message, { cause, details: { run } })
}

function parsedRow(written: WrittenRow): RunRow {
  const { run, namespace, time, machine, machineId, version, seq, revision, at, status, due } = written
  const { value, leaseNamespace, leasePartition, fork } = written
  const key = written.key ?? undefined
  return {
    run,
    namespace,
    key,
    time,
    machine,
    machineId,
    version,
    seq,
    revision,
    at,
    status,
    value: value === null ? undefined : deepFreeze(JSON.parse(value) as JsonValue),
    due,
    lease:
      leaseNamespace === null || leasePartition === null
        ? undefined
        : Object.freeze({ namespace: leaseNamespace, partition: leasePartition }),
    fork: fork === null ? undefined : readNewUnit(JSON.parse(fork) as WrittenUnit),
    beside:
      written.beside === '{}'
        ? emptyBeside
        : readBeside(JSON.parse(written.beside) as WrittenBeside, { namespace, key }),
  }
}

/** A unit as its server is to keep it. @param lease the epoch that it is appended under */
export function writtenUnit(unit: NewUnit, lease: number | undefined): WrittenUnit {
  const epoch = epochOf(unit, lease)
  const rest = epoch === undefined ? unitRest(unit) : `${unitRest(unit)},"epoch":${epoch}`
  return { seq: unit.seq, at: unit.at, events: JSON.stringify(unit.events), rest: `${rest}}` }
}

function readNewUnit({ seq, at, events, rest }: WrittenUnit): NewUnit {
  const { epoch: _, sources, origin = { kind: 'outside' }, outputs = [], ...others } = parseRest(rest)
  const positions = sources === undefined ? {} : { sources: readPositions(sources) }
  return deepFreeze({ seq, at, events: parseEvents(events), origin, outputs, ...positions, ...others })
}

/** What a store tells of a run. @param inbox the oldest of the mail that waits @param waiting how much there is of it */
export function headOf(row: RunRow, inbox: readonly Mail[], waiting: number): RunHead {
  const { run, namespace, key, time, machine, machineId, version, seq, revision, at, status, due } = row
  const { value, lease, fork, beside } = row
  return Object.freeze({
    run,
    namespace,
    ...(key === undefined ? {} : { key }),
    time,
    machine,
    machineId,
    version,
    seq,
    revision,
    at,
    status,
    ...(value === undefined ? {} : { value }),
    due,
    ...(lease === undefined ? {} : { lease }),
    ...(fork === undefined ? {} : { fork }),
    beside: withInbox(beside, inbox, waiting),
  })
}
