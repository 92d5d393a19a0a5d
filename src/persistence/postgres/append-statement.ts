import type { RunWrite } from '../server/backend.ts'
import { bigintArray, booleanArray, doubleArray, integerArray, textArray } from './arrays.ts'
import type { PostgresValue } from './client.ts'
import { Statement } from './database.ts'
import { toKey, toText } from './names.ts'
import { leaseName, noLease } from './rows.ts'
import type { Tables } from './schema.ts'

/** What an append may do beside going on with runs that are there. */
export interface AppendKind {
  /** It creates runs, or goes over to another machine. */
  readonly creates: boolean
  /** It takes mail. */
  readonly takes: boolean
}

/**
 * Judges and writes any number of runs at once. Gives the places of the writes that were made; `null`: all of them.
 *
 * The locks, in this order, so that no two statements wait for each other: the partitions' rows, shared, which holds every
 * claim back until this is committed, and shows the row that is in force now, not at the beginning; then the runs, then the
 * names of those to be made, each in the order of their ids. Which is why each part asks how many rows the one before gave.
 */
export function appendStatement(tables: Tables, { creates, takes }: AppendKind): Statement {
  const { runs, units, machines, mail, leases } = tables
  const made = creates
    ? `, made as (
      insert into ${runs} (run, seq, revision, at, status, value, due, lease, machine, beside, process, wakes, token,
        namespace, key, pin, time, fork)
      select w.run, w.new_seq, w.new_revision, w.at, w.status, w.value, w.due, w.lease, w.machine, w.beside, w.process,
        w.wakes, $21::text, c.namespace, c.key, c.pin, c.time, c.fork
      from unnest($23::integer[], $24::text[], $25::text[], $26::text[], $27::text[], $28::text[])
        as c(place, namespace, key, pin, time, fork)
      join w on w.place = c.place left join held h on h.lease = w.lease
      where (select count(*) from went) >= 0 and ${mayWrite}
      order by c.pin, w.run on conflict do nothing returning run
    )`
    : ''
  const madeToo = creates ? 'union all select w.place, w.run from made join w on w.run = made.run' : ''
  const kept = creates
    ? `, kept as (
      insert into ${machines} (oid, id, version, definition)
      select m.* from unnest($29::text[], $30::text[], $31::text[], $32::text[]) as m(oid, id, version, definition)
      where m.oid in (select u.oid from unnest($33::integer[], $34::text[]) as u(place, oid) join won using (place))
      order by m.oid on conflict do nothing
    )`
    : ''
  const $ = (place: number): string => `$${(creates ? 35 : 23) + place}`
  const taken = takes
    ? `, taken as (
      update ${mail} m set event = null, trace = null
      from unnest(${$(0)}::integer[], ${$(1)}::text[], ${$(2)}::bigint[], ${$(3)}::bigint[], ${$(4)}::boolean[])
        as t(place, sender, seq, number, failure) join won using (place)
      where m.receiver = won.run and m.sender = t.sender and m.seq = t.seq and m.number = t.number
        and m.failure = t.failure and m.event is not null
    )`
    : ''
  return new Statement(`with w as materialized (
      select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::double precision[],
        $7::text[], $8::text[], $9::double precision[], $10::text[], $11::bigint[], $12::text[], $13::text[], $14::text[],
        $15::boolean[]) with ordinality as w(run, seq, revision, new_seq, new_revision, at, status, value, due, lease,
        epoch, machine, beside, process, wakes, place)
    ), held as materialized (
      select l.lease, l.epoch, l.owner is not null as is_owned from ${leases} l where l.lease = any($22::text[])
      order by l.lease for share
    ), stands as materialized (
      select w.place, r.ctid as tuple from w join ${runs} r on r.run = w.run left join held h on h.lease = w.lease
      where (select count(*) from held) >= 0 and r.revision = w.revision and r.seq = w.seq and ${mayWrite}
      order by r.run for no key update of r
    ), went as (
      update ${runs} r set seq = w.new_seq, revision = w.new_revision, at = w.at, status = w.status, value = w.value,
        due = w.due, lease = w.lease, machine = w.machine, beside = w.beside, process = w.process, wakes = w.wakes,
        token = $21::text
      from stands s join w on w.place = s.place where r.ctid = s.tuple returning w.place, w.run
    )${made}, won as (
      select place, run from went ${madeToo}
    ), written as (
      insert into ${units} (run, seq, at, events, rest)
      select won.run, u.seq, u.at, u.events, u.rest
      from unnest($16::integer[], $17::bigint[], $18::double precision[], $19::text[], $20::text[])
        as u(place, seq, at, events, rest) join won on won.place = u.place
    )${kept}${taken}
    select case when count(*) < (select count(*) from w) then coalesce(array_agg(place), '{}') end from won`)
}

/** Of a write `w` and the row `h` of its partition, if there is one: what `judge` says of a run that stands there. */
const mayWrite = `(case when w.epoch is null then h.is_owned is not true else h.is_owned and h.epoch = w.epoch end)`

/** The values of the statement. */
export function appendValues(
  writes: readonly RunWrite[],
  token: string,
  { creates, takes }: AppendKind,
  isMachineKnown: (oid: string) => boolean,
): PostgresValue[] {
  const rows = writes.map(write => write.row)
  const leaseNames = rows.map(row =>
    row.leaseNamespace === null || row.leasePartition === null
      ? noLease
      : leaseName({ namespace: row.leaseNamespace, partition: row.leasePartition }),
  )
  const held = [...new Set(leaseNames)].filter(lease => lease !== noLease)
  const units = writes.flatMap((write, place) => write.units.map(unit => ({ place: place + 1, unit })))
  const values: PostgresValue[] = [
    textArray(writes.map(write => toText(write.run))),
    bigintArray(writes.map(write => write.expected?.seq ?? null)),
    bigintArray(writes.map(write => write.expected?.revision ?? null)),
    bigintArray(rows.map(row => row.seq)),
    bigintArray(rows.map(row => row.revision)),
    doubleArray(rows.map(row => row.at)),
    textArray(rows.map(row => row.status)),
    textArray(rows.map(row => row.value)),
    doubleArray(rows.map(row => row.due)),
    textArray(leaseNames),
    bigintArray(writes.map(write => write.lease?.epoch ?? null)),
    textArray(rows.map(row => toText(row.machine))),
    textArray(rows.map(row => row.beside)),
    textArray(rows.map(row => (row.process === null ? null : toText(row.process)))),
    booleanArray(rows.map(row => row.wakes)),
    integerArray(units.map(({ place }) => place)),
    bigintArray(units.map(({ unit }) => unit.seq)),
    doubleArray(units.map(({ unit }) => unit.at)),
    textArray(units.map(({ unit }) => unit.events)),
    textArray(units.map(({ unit }) => unit.rest)),
    token,
    textArray(held),
  ]
  if (creates) values.push(...creationValues(writes), ...machineValues(writes, isMachineKnown))
  if (takes) values.push(...takenValues(writes))
  return values
}

function creationValues(writes: readonly RunWrite[]): PostgresValue[] {
  const created = writes.flatMap(({ expected, row }, place) => (expected === null ? [{ place: place + 1, row }] : []))
  return [
    integerArray(created.map(({ place }) => place)),
    textArray(created.map(({ row }) => toText(row.namespace))),
    textArray(created.map(({ row }) => (row.key === null ? null : toText(row.key)))),
    textArray(created.map(({ row }) => (row.key === null ? null : pinName(row.namespace, row.key)))),
    textArray(created.map(({ row }) => row.time)),
    textArray(created.map(({ row }) => row.fork)),
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
    textArray(machines.map(machine => toText(machine.oid))),
    textArray(machines.map(machine => toText(machine.id))),
    textArray(machines.map(machine => toText(machine.version))),
    textArray(machines.map(machine => JSON.stringify(machine.definition))),
    integerArray(unknown.map(({ place }) => place)),
    textArray(unknown.map(({ machine }) => toText(machine.oid))),
  ]
}

function takenValues(writes: readonly RunWrite[]): PostgresValue[] {
  const taken = writes.flatMap(({ taken }, place) => taken.map(key => ({ place: place + 1, key })))
  return [
    integerArray(taken.map(({ place }) => place)),
    textArray(taken.map(({ key }) => toText(key.sender))),
    bigintArray(taken.map(({ key }) => key.seq)),
    bigintArray(taken.map(({ key }) => key.index)),
    booleanArray(taken.map(({ key }) => key.failure === true)),
  ]
}
