import type { DueQuery, DueRun } from '../../actors/contracts/store.ts'
import type { ServerAttention } from '../server/backend.ts'
import { textArray } from './arrays.ts'
import { type Database, Statement } from './database.ts'
import { fromText, toText } from './names.ts'
import { leaseName, noLease } from './rows.ts'
import type { Tables } from './schema.ts'

/** As many as anybody asks for. */
const most = 2 ** 31

/** Which runs need something, and which processes live. */
export class DueRuns implements ServerAttention {
  readonly #database: Database
  readonly #due: Statement
  readonly #renew: Statement
  readonly #lives: Statement

  constructor(database: Database, tables: Tables) {
    this.#database = database
    this.#due = dueStatement(tables)
    this.#renew = new Statement(`insert into ${tables.processes} (process, until) values ($1, $2::double precision)
      on conflict (process) do update set until = excluded.until`)
    this.#lives = new Statement(`select process, until from ${tables.processes} where process = any($1::text[])`)
  }

  async due({ before, limit, namespace, lease }: DueQuery): Promise<DueRun[]> {
    const rows = await this.#database.ask(this.#due, [
      lease === undefined ? noLease : leaseName(lease),
      before,
      namespace === undefined ? null : toText(namespace),
      Math.max(0, Math.min(limit, most)),
    ])
    return rows.map(([run, of, due]) => ({
      run: fromText(run!),
      namespace: fromText(of!),
      due: Number(due),
      ...(lease !== undefined && { lease: { namespace: lease.namespace, partition: lease.partition } }),
    }))
  }

  async renew(process: string, until: number): Promise<void> {
    await this.#database.write(this.#renew, [toText(process), until])
  }

  async livesUntil(processes: readonly string[]): Promise<number[]> {
    const rows = await this.#database.ask(this.#lives, [textArray(processes, toText)])
    const until = new Map(rows.map(([process, at]) => [fromText(process!), Number(at)]))
    return processes.map(process => until.get(process) ?? 0)
  }
}

/**
 * The first that are due, and the first of each process that ran out. The processes with anything in flight are found one
 * after another in their index, which costs the same however many runs each has.
 */
function dueStatement({ runs, processes }: Tables): Statement {
  const fits = '($3::text is null or r.namespace = $3)'
  return new Statement(`with recursive flying as (
      (select process from ${runs} where lease = $1 and process is not null order by process limit 1)
      union all
      select (select r.process from ${runs} r where r.lease = $1 and r.process > f.process order by r.process limit 1)
      from flying f where f.process is not null
    ), lost as (
      select f.process, coalesce(p.until, 0) as until from flying f left join ${processes} p using (process)
      where f.process is not null and coalesce(p.until, 0) <= $2::double precision
    ), found as (
      (select r.run, r.namespace, r.due from ${runs} r where r.lease = $1 and r.due <= $2::double precision and ${fits}
        order by r.due, r.run limit $4::bigint)
      union all
      select r.run, r.namespace, lost.until from lost cross join lateral
        (select r.run, r.namespace from ${runs} r where r.lease = $1 and r.process = lost.process and ${fits}
          limit $4::bigint) r
    )
    select run, min(namespace), min(due) from found group by run order by min(due), run limit $4::bigint`)
}
