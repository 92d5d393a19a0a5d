import type { MachineRecord } from '../../actors/contracts/store.ts'
import type { HeadsQuery, ServerReadings, WrittenHead } from '../server/backend.ts'
import type { WrittenRow, WrittenUnit } from '../server/run-row.ts'
import { inboxPage } from '../waiting.ts'
import { pinName } from './append-statement.ts'
import { textArray } from './arrays.ts'
import type { PostgresRow } from './client.ts'
import { type Database, Statement } from './database.ts'
import { inboxColumns, readInbox } from './mail.ts'
import { fromText, toText } from './names.ts'
import { runColumnCount, runColumns, runRow, runTables } from './rows.ts'
import type { Tables } from './schema.ts'

/** Units that are read at once, and how many bytes of them, about. */
const pageUnits = 512
const pageBytes = 1 << 18

/** The readings of a store. */
export class Readings implements ServerReadings {
  readonly #database: Database
  readonly #rows: Statement
  readonly #head: Statement
  readonly #heads: Statement
  readonly #pinned: Statement
  readonly #units: Statement
  readonly #machine: Statement

  constructor(database: Database, tables: Tables) {
    const head = (mail: string): string =>
      `select ${runColumns}, ${inboxColumns(tables, mail)} from ${runTables(tables)}`
    this.#database = database
    this.#rows = new Statement(`select ${runColumns} from ${runTables(tables)} where r.run = any($1::text[])`)
    this.#head = new Statement(`${head('$2::bigint')} where r.run = $1`)
    this.#heads = new Statement(`${head(String(inboxPage))} where r.run >= $1 and (r.run > $1 or $2::boolean)
      and starts_with(r.run, $3) and ($4::text is null or r.namespace = $4) order by r.run limit $5::bigint`)
    this.#pinned = new Statement(`select run from ${tables.runs} where pin = $1`)
    this.#units = unitsStatement(tables)
    this.#machine = new Statement(`select id, version, definition from ${tables.machines} where oid = $1`)
  }

  async rows(runs: readonly string[]): Promise<WrittenRow[]> {
    return (await this.#database.ask(this.#rows, [textArray(runs, toText)])).map(runRow)
  }

  async head(run: string, mail: number): Promise<WrittenHead | undefined> {
    const [row] = await this.#database.ask(this.#head, [toText(run), Number.isFinite(mail) ? mail : null])
    return row && headOf(row)
  }

  async heads(query: HeadsQuery): Promise<WrittenHead[]> {
    const { after, inclusive, prefix, namespace, limit } = query
    const rows = await this.#database.ask(this.#heads, [
      toText(after),
      inclusive,
      toText(prefix),
      namespace === undefined ? null : toText(namespace),
      limit,
    ])
    return rows.map(headOf)
  }

  async pinned(namespace: string, key: string): Promise<string | undefined> {
    const [row] = await this.#database.ask(this.#pinned, [pinName(namespace, key)])
    return row && fromText(row[0]!)
  }

  async units(run: string, from: number, to: number): Promise<WrittenUnit[]> {
    const rows = await this.#database.ask(this.#units, [toText(run), from, Math.min(to, from + pageUnits - 1)])
    return rows.map(([seq, at, events, rest]) => ({
      seq: Number(seq),
      at: Number(at),
      events: events!,
      rest: rest!,
    }))
  }

  async machine(oid: string): Promise<MachineRecord | undefined> {
    const [row] = await this.#database.ask(this.#machine, [toText(oid)])
    if (row === undefined) return undefined
    const [id, version, definition] = row
    return { oid, id: fromText(id!), version: fromText(version!), definition: JSON.parse(definition!) }
  }
}

function headOf(columns: PostgresRow): WrittenHead {
  const row = runRow(columns)
  const [inbox, waiting] = columns.slice(runColumnCount)
  return { run: row.run, row, inbox: readInbox(row.run, inbox), waiting: Number(waiting) }
}

/** Up to so many units, and of those as many of the first as fit, one at least: their length is known without reading them. */
function unitsStatement({ units }: Tables): Statement {
  return new Statement(`select seq, at, events, rest from (
      select *, sum(octet_length(events) + octet_length(rest)) over (order by seq) as bytes, min(seq) over () as first
      from ${units} where run = $1 and seq between $2::bigint and $3::bigint
    ) page where bytes <= ${pageBytes} or seq = first order by seq`)
}
