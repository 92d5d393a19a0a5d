import type { JsonValue } from '../../actors/contracts/json.ts'
import type { StoredSnapshot } from '../../actors/contracts/store.ts'
import type { ServerSnapshots } from '../server/backend.ts'
import { type Database, Statement } from './database.ts'
import { fromText, toText } from './names.ts'
import { nameOf } from './rows.ts'
import type { Tables } from './schema.ts'

/** How many snapshots of a run are kept: a few, so that a look back does not replay from the start. */
const keptSnapshots = 4

/** The cached states of a store. */
export class Snapshots implements ServerSnapshots {
  readonly #database: Database
  readonly #save: Statement
  readonly #load: Statement

  constructor(database: Database, { runs, snapshots }: Tables) {
    this.#database = database
    // What is deleted is judged by what was there before, so the new one is counted in.
    this.#save = new Statement(`with kept as (
        insert into ${snapshots} (run, seq, id, machine, format, state)
        select run, $2::bigint, $3, $4, $5::bigint, $6 from ${runs} where run = $1 and seq >= $2::bigint
        on conflict (run, seq) do update
          set id = excluded.id, machine = excluded.machine, format = excluded.format, state = excluded.state
        returning run
      )
      delete from ${snapshots} where run in (select run from kept) and seq < (
        select seq from (select seq from ${snapshots} where run = $1 union select $2::bigint) newest
        order by seq desc offset ${keptSnapshots - 1} limit 1
      )`)
    this.#load = new Statement(`select seq, id, machine, format, state from ${snapshots}
      where run = $1 and seq <= $2::double precision order by seq desc limit 1`)
  }

  async save(run: string, { seq, id, machine, format, state }: StoredSnapshot): Promise<void> {
    const columns = [seq, id === undefined ? null : toText(id), toText(machine), format, JSON.stringify(state)]
    await this.#database.write(this.#save, [toText(run), ...columns])
  }

  async load(run: string, atMost: number): Promise<StoredSnapshot | undefined> {
    const [row] = await this.#database.ask(this.#load, [toText(run), atMost])
    if (row === undefined) return undefined
    const [seq, id, machine, format, state] = row
    const name = nameOf(id)
    return {
      seq: Number(seq),
      ...(name !== null && { id: name }),
      machine: fromText(machine!),
      format: Number(format),
      state: JSON.parse(state!) as JsonValue,
    }
  }
}
