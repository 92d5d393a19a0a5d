import type { RunWrite } from '../server/backend.ts'
import { bigintArray, doubleArray, textArray } from './arrays.ts'
import type { PostgresValue } from './client.ts'
import { Statement } from './database.ts'
import { toText } from './names.ts'
import { rowLease } from './rows.ts'
import type { Tables } from './schema.ts'

/*
 * The append of most: each write is one unit of a run that is there, and nothing that the server looks by changes. The same
 * as the append of any, with less than half of the columns, which is what an append costs.
 */

/** Of one write, without arrays. Gives a row if it was made. */
export function plainOneStatement({ runs, units, leases }: Tables): Statement {
  return new Statement(`with held as materialized (
      select l.epoch, l.owner is not null as is_owned from ${leases} l where l.lease = $8 for share
    ), won as (
      update ${runs} set seq = seq + 1, revision = revision + 1, at = $4, value = $5, beside = $6, token = $7
      where run = $1 and seq = $2 and revision = $3 and lease = $8 and (select count(*) from held) >= 0
        and case when $9::bigint is null then not exists (select from held where is_owned)
          else exists (select from held where is_owned and epoch = $9::bigint) end
      returning run, seq, at
    )
    insert into ${units} (run, seq, at, events, rest) select run, seq, at, $10, $11 from won returning seq`)
}

/** The values of the statement. */
export function plainOneValues({ run, expected, lease, row, units }: RunWrite, token: string): PostgresValue[] {
  const { seq, revision } = expected!
  const { events, rest } = units[0]!
  const { at, value, beside } = row
  return [toText(run), seq, revision, at, value, beside, token, rowLease(row), lease?.epoch ?? null, events, rest]
}

/** Gives the places of the writes that were made; `null`: all of them. */
export function plainStatement({ runs, units, leases }: Tables): Statement {
  const arrays = ['text', 'bigint', 'bigint', 'double precision', 'text', 'text', 'bigint', 'text', 'text']
  const given = arrays.map((type, at) => `(select $${at + 1}::${type}[])`).join(', ')
  return new Statement(`with held as materialized (
      select l.lease, l.epoch, l.owner is not null as is_owned from ${leases} l
      where l.lease = any((select $10::text[])::text[]) order by l.lease for share
    ), won as (
      update ${runs} r set seq = r.seq + 1, revision = r.revision + 1, at = w.at, value = w.value, beside = w.beside,
        token = $11::text
      from unnest(${given}) with ordinality as w(run, seq, revision, at, value, beside, epoch, events, rest, place)
        cross join lateral (select s.ctid as tuple from ${runs} s where s.run = w.run and s.seq = w.seq and s.revision = w.revision offset 0) s
      where r.ctid = s.tuple and (select count(*) from held) >= 0
        and case when w.epoch is null then not exists (select from held h where h.lease = r.lease and h.is_owned)
          else exists (select from held h where h.lease = r.lease and h.is_owned and h.epoch = w.epoch) end
      returning w.place, r.run, r.seq, r.at, w.events, w.rest
    ), written as (
      insert into ${units} (run, seq, at, events, rest) select run, seq, at, events, rest from won
    )
    select case when count(*) < cardinality((select $1::text[])) then coalesce(array_agg(place), '{}') end from won`)
}

/** The values of the statement. */
export function plainValues(writes: readonly RunWrite[], token: string): PostgresValue[] {
  return [
    textArray(writes, ({ run }) => toText(run)),
    bigintArray(writes, ({ expected }) => expected!.seq),
    bigintArray(writes, ({ expected }) => expected!.revision),
    doubleArray(writes, ({ row }) => row.at),
    textArray(writes, ({ row }) => row.value),
    textArray(writes, ({ row }) => row.beside),
    bigintArray(writes, ({ lease }) => lease?.epoch ?? null),
    textArray(writes, ({ units }) => units[0]!.events),
    textArray(writes, ({ units }) => units[0]!.rest),
    textArray(leasesOf(writes), lease => lease),
    token,
  ]
}

function leasesOf(writes: readonly RunWrite[]): string[] {
  const leases = new Set<string>()
  for (const { row } of writes) if (row.leaseNamespace !== null) leases.add(rowLease(row))
  return [...leases]
}
