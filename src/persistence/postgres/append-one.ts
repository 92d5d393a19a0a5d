import type { RunWrite } from '../server/backend.ts'
import type { PostgresValue } from './client.ts'
import { Statement } from './database.ts'
import { toText } from './names.ts'
import { rowLease } from './rows.ts'
import type { Tables } from './schema.ts'

/*
 * The append of somebody who awaits each: one unit of a run that is there, and nothing else. The same as the append of many,
 * without arrays, which take the server longer to make and to open than what it does with one unit.
 */

/** Whether a write is like that, as far as it brings no machine that the server may not have. */
export function isOne({ expected, units, taken }: RunWrite): boolean {
  return expected !== null && units.length === 1 && taken.length === 0
}

/** Gives a row if the write was made. */
export function oneStatement({ runs, units, leases }: Tables): Statement {
  return new Statement(`with held as materialized (
      select l.epoch, l.owner is not null as is_owned from ${leases} l where l.lease = $8 for share
    ), won as (
      update ${runs} set seq = $2, revision = $3, at = $4, status = $5, value = $6, due = $7, lease = $8, machine = $9,
        beside = $10, process = $11, wakes = $12, token = $13
      where run = $1 and seq = $14 and revision = $15 and (select count(*) from held) >= 0
        and case when $16::bigint is null then not exists (select from held where is_owned)
          else exists (select from held where is_owned and epoch = $16::bigint) end
      returning run
    ), written as (
      insert into ${units} (run, seq, at, events, rest) select run, $2, $4, $17, $18 from won
    )
    select run from won`)
}

/** The values of the statement. */
export function oneValues({ run, expected, lease, row, units }: RunWrite, token: string): PostgresValue[] {
  const [unit] = units
  return [
    toText(run),
    row.seq,
    row.revision,
    row.at,
    row.status,
    row.value,
    row.due,
    rowLease(row),
    toText(row.machine),
    row.beside,
    row.process === null ? null : toText(row.process),
    row.wakes,
    token,
    expected!.seq,
    expected!.revision,
    lease?.epoch ?? null,
    unit!.events,
    unit!.rest,
  ]
}
