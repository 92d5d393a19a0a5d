import type { RunWrite } from '../server/backend.ts'
import type { WrittenUnit } from '../server/run-row.ts'
import { bigintArray, booleanArray, doubleArray, integerArray, textArray } from './arrays.ts'
import type { PostgresValue } from './client.ts'
import { Statement } from './database.ts'
import { toKey, toText } from './names.ts'
import { noLease, rowLease } from './rows.ts'
import type { Tables } from './schema.ts'

/** What an append does beside writing units. */
export interface AppendKind {
  /** Its runs are new; else they are all there. */
  readonly creates: boolean
  /** It brings machines. */
  readonly brings: boolean
  /** It takes mail. */
  readonly takes: boolean
}

/**
 * Judges and writes any number of runs at once. Gives the places of the writes that were made; `null`: all of them.
 *
 * The partitions' rows are locked first, shared: that holds every claim back until this is committed, and shows the rows that
 * are in force now, not at the beginning. Then the runs, or the names of those to be made, in the order of their ids. So no
 * two statements wait for each other; a statement that did both, go on and create, could.
 */
export function appendStatement(tables: Tables, kind: AppendKind): Statement {
  const { units, leases } = tables
  const $ = new Numbers()
  const runs = $.of('text')
  const w = `${runs}, ${$.of('bigint', 'bigint', 'double precision', 'text', 'text', 'double precision', 'text')},
    ${$.of('bigint', 'text', 'text', 'text', 'boolean')}`
  const columns = 'run, seq, revision, at, status, value, due, lease, epoch, machine, beside, process, wakes'
  const u = $.of('integer', 'bigint', 'double precision', 'text', 'text')
  const token = $.one('text')
  const held = $.of('text')
  const [more, moreColumns] = kind.creates
    ? [$.of('text', 'text', 'text', 'text', 'text'), 'namespace, key, pin, time, fork']
    : [$.of('bigint', 'bigint'), 'old_seq, old_revision']
  const given = `unnest(${w}, ${more}) with ordinality as w(${columns}, ${moreColumns}, place)`
  return new Statement(`with held as materialized (
      select l.lease, l.epoch, l.owner is not null as is_owned from ${leases} l where l.lease = any(${held}::text[])
      order by l.lease for share
    )${kind.creates ? created(tables, token, given) : wentOn(tables, token, given)}, written as (
      insert into ${units} (run, seq, at, events, rest)
      select won.run, u.seq, u.at, u.events, u.rest from unnest(${u}) as u(place, seq, at, events, rest) join won using (place)
    )${kind.brings ? brought(tables, $) : ''}${kind.takes ? taken(tables, $) : ''}
    select case when count(*) < cardinality(${runs}) then coalesce(array_agg(place), '{}') end from won`)
}

/** Of a write `w`: what `judge` says of a run that stands there. The locks of `held` come first, all of them. */
const mayWrite = `(select count(*) from held) >= 0 and case
  when w.epoch is null then not exists (select from held h where h.lease = w.lease and h.is_owned)
  else exists (select from held h where h.lease = w.lease and h.is_owned and h.epoch = w.epoch) end`

/**
 * Each run is locked in its turn, in the order in which the writes come. One that stands where it is believed to is where it
 * was when the statement began: any change raises its revision.
 */
function wentOn({ runs }: Tables, token: string, given: string): string {
  return `, won as (
      update ${runs} r set seq = w.seq, revision = w.revision, at = w.at, status = w.status, value = w.value, due = w.due,
        lease = w.lease, machine = w.machine, beside = w.beside, process = w.process, wakes = w.wakes, token = ${token}
      from ${given} cross join lateral (
        select s.ctid as tuple from ${runs} s
        where s.run = w.run and s.revision = w.old_revision and s.seq = w.old_seq for no key update
      ) s
      where r.ctid = s.tuple and ${mayWrite} returning w.place, w.run
    )`
}

/** A name that is there is not tried: that would wait for whoever writes to its run. */
function created({ runs }: Tables, token: string, given: string): string {
  const columns = `run, seq, revision, at, status, value, due, lease, machine, beside, process, wakes, namespace, key, pin,
    time, fork`
  return `, w as materialized (select * from ${given}), made as (
      insert into ${runs} (${columns}, token)
      select ${columns.replaceAll(/\w+/g, 'w.$&')}, ${token} from w
      where ${mayWrite} and not exists (select from ${runs} r where r.run = w.run or r.pin = w.pin)
      order by w.pin, w.run on conflict do nothing returning run
    ), won as (select w.place, w.run from made join w using (run))`
}

function brought({ machines }: Tables, $: Numbers): string {
  return `, brought as (
      insert into ${machines} (oid, id, version, definition)
      select m.* from unnest(${$.of('text', 'text', 'text', 'text')}) as m(oid, id, version, definition)
      where m.oid in (select u.oid from unnest(${$.of('integer', 'text')}) as u(place, oid) join won using (place))
      order by m.oid on conflict do nothing
    )`
}

function taken({ mail }: Tables, $: Numbers): string {
  return `, taken as (
      update ${mail} m set event = null, trace = null
      from unnest(${$.of('integer', 'text', 'bigint', 'bigint', 'boolean')}) as t(place, sender, seq, number, failure)
        join won using (place)
      where m.receiver = won.run and m.sender = t.sender and m.seq = t.seq and m.number = t.number
        and m.failure = t.failure and m.event is not null
    )`
}

/** Numbers the values of a statement. */
class Numbers {
  #last = 0

  /** Arrays of these types. */
  of(...types: readonly string[]): string {
    return types.map(type => `(select ${this.one(`${type}[]`)})`).join(', ')
  }

  one(type: string): string {
    this.#last++
    return `$${this.#last}::${type}`
  }
}

/** The values of the statement, in its order. */
export function appendValues(
  writes: readonly RunWrite[],
  token: string,
  kind: AppendKind,
  isMachineKnown: (oid: string) => boolean,
): PostgresValue[] {
  const leaseNames = writes.map(leaseOf)
  const places: number[] = []
  const units: WrittenUnit[] = []
  for (let at = 0; at < writes.length; at++) {
    for (const unit of writes[at]!.units) {
      places.push(at + 1)
      units.push(unit)
    }
  }
  return [
    textArray(writes, write => toText(write.run)),
    bigintArray(writes, write => write.row.seq),
    bigintArray(writes, write => write.row.revision),
    doubleArray(writes, write => write.row.at),
    textArray(writes, write => write.row.status),
    textArray(writes, write => write.row.value),
    doubleArray(writes, write => write.row.due),
    textArray(leaseNames, itself),
    bigintArray(writes, write => write.lease?.epoch ?? null),
    textArray(writes, write => toText(write.row.machine)),
    textArray(writes, write => write.row.beside),
    textArray(writes, ({ row }) => (row.process === null ? null : toText(row.process))),
    booleanArray(writes, write => write.row.wakes),
    integerArray(places, itself),
    bigintArray(units, unit => unit.seq),
    doubleArray(units, unit => unit.at),
    textArray(units, unit => unit.events),
    textArray(units, unit => unit.rest),
    token,
    textArray([...new Set(leaseNames)].filter(isLease), itself),
    ...(kind.creates ? creationValues(writes) : expectedValues(writes)),
    ...(kind.brings ? machineValues(writes, isMachineKnown) : []),
    ...(kind.takes ? takenValues(writes) : []),
  ]
}

function leaseOf({ row }: RunWrite): string {
  return rowLease(row)
}

function isLease(name: string): boolean {
  return name !== noLease
}

function itself<T>(value: T): T {
  return value
}

function expectedValues(writes: readonly RunWrite[]): PostgresValue[] {
  return [
    bigintArray(writes, ({ expected }) => expected?.seq ?? null),
    bigintArray(writes, ({ expected }) => expected?.revision ?? null),
  ]
}

function creationValues(writes: readonly RunWrite[]): PostgresValue[] {
  return [
    textArray(writes, ({ row }) => toText(row.namespace)),
    textArray(writes, ({ row }) => (row.key === null ? null : toText(row.key))),
    textArray(writes, ({ row }) => (row.key === null ? null : pinName(row.namespace, row.key))),
    textArray(writes, ({ row }) => row.time),
    textArray(writes, ({ row }) => row.fork),
  ]
}

/** One name for a namespace and a key. */
export function pinName(namespace: string, key: string): string {
  return toKey(namespace, key)
}

function machineValues(writes: readonly RunWrite[], isKnown: (oid: string) => boolean): PostgresValue[] {
  const uses = writes.flatMap(({ machines }, place) => machines.map(machine => ({ place: place + 1, machine })))
  const unknown = uses.filter(({ machine }) => !isKnown(machine.oid))
  const machines = [...new Map(unknown.map(({ machine }) => [machine.oid, machine])).values()]
  return [
    textArray(machines, machine => toText(machine.oid)),
    textArray(machines, machine => toText(machine.id)),
    textArray(machines, machine => toText(machine.version)),
    textArray(machines, machine => JSON.stringify(machine.definition)),
    integerArray(unknown, ({ place }) => place),
    textArray(unknown, ({ machine }) => toText(machine.oid)),
  ]
}

function takenValues(writes: readonly RunWrite[]): PostgresValue[] {
  const taken = writes.flatMap(({ taken }, place) => taken.map(key => ({ place: place + 1, key })))
  return [
    integerArray(taken, ({ place }) => place),
    textArray(taken, ({ key }) => toText(key.sender)),
    bigintArray(taken, ({ key }) => key.seq),
    bigintArray(taken, ({ key }) => key.index),
    booleanArray(taken, ({ key }) => key.failure === true),
  ]
}
