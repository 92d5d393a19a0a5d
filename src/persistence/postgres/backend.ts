import type { Mail, MailOutcome } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { Refused, RunWrite, ServerBackend } from '../server/backend.ts'
import { Acknowledged } from './acknowledged.ts'
import { Appends } from './append.ts'
import { DueRuns } from './attention.ts'
import type { PostgresPool } from './client.ts'
import { Database } from './database.ts'
import { Leases } from './leases.ts'
import { Deliveries } from './mail.ts'
import { Readings } from './readings.ts'
import { openSchema, tablesOf } from './schema.ts'
import { checkServer, type PostgresDurability } from './server-settings.ts'
import { Snapshots } from './snapshots.ts'

/** What a {@link PostgresBackend} works on. */
export interface PostgresPlace {
  readonly pool: PostgresPool
  /** Where it is, without secrets. */
  readonly location: string
  readonly schema: string
  readonly durability: PostgresDurability
  /** Ends what is the store's own. */
  readonly end: () => Promise<void>
}

/** The tables of one schema, as a store wants them. */
export class PostgresBackend implements ServerBackend {
  readonly location: string
  readonly readings: Readings
  readonly snapshots: Snapshots
  readonly leases: Leases
  readonly attention: DueRuns
  readonly #place: PostgresPlace
  readonly #database: Database
  readonly #appends: Appends
  readonly #deliveries: Deliveries

  constructor(place: PostgresPlace) {
    const tables = tablesOf(place.schema)
    const acknowledged = new Acknowledged(tables)
    const database = new Database(place.pool, place.location, acknowledged)
    this.location = place.location
    this.#place = place
    this.#database = database
    this.#appends = new Appends(database, tables, acknowledged)
    this.readings = new Readings(database, tables)
    this.snapshots = new Snapshots(database, tables)
    this.leases = new Leases(database, tables, acknowledged)
    this.#deliveries = new Deliveries(database, tables, acknowledged)
    this.attention = new DueRuns(database, tables)
  }

  async open(objectFormat: ObjectFormat, create: boolean): Promise<void> {
    await checkServer(this.#database, this.#place.durability, create)
    await openSchema(this.#database, this.#place.schema, objectFormat, create)
  }

  append(writes: readonly RunWrite[], token: string): Promise<readonly (Refused | undefined)[]> {
    return this.#appends.append(writes, token)
  }

  deliver(mail: readonly Mail[]): Promise<readonly MailOutcome[]> {
    return this.#deliveries.deliver(mail)
  }

  async close(): Promise<void> {
    this.#database.leave()
    await this.#place.end()
  }
}
