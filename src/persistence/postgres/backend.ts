import type {
  Claim,
  DueRun,
  LeaseKey,
  LeaseRow,
  MachineRecord,
  Mail,
  Store,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { Refused, RunWrite, ServerBackend, WrittenHead } from '../server/backend.ts'
import type { WrittenRow, WrittenUnit } from '../server/run-row.ts'
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
  readonly #place: PostgresPlace
  readonly #database: Database
  readonly #appends: Appends
  readonly #readings: Readings
  readonly #snapshots: Snapshots
  readonly #leases: Leases
  readonly #deliveries: Deliveries
  readonly #due: DueRuns

  constructor(place: PostgresPlace) {
    const tables = tablesOf(place.schema)
    const acknowledged = new Acknowledged(tables)
    const database = new Database(place.pool, place.location, acknowledged)
    this.location = place.location
    this.#place = place
    this.#database = database
    this.#appends = new Appends(database, tables, acknowledged)
    this.#readings = new Readings(database, tables)
    this.#snapshots = new Snapshots(database, tables)
    this.#leases = new Leases(database, tables, acknowledged)
    this.#deliveries = new Deliveries(database, tables, acknowledged)
    this.#due = new DueRuns(database, tables)
  }

  async open(objectFormat: ObjectFormat, create: boolean): Promise<void> {
    await checkServer(this.#database, this.#place.durability, create)
    await openSchema(this.#database, this.#place.schema, objectFormat, create)
  }

  append(writes: readonly RunWrite[], token: string): Promise<readonly (Refused | undefined)[]> {
    return this.#appends.append(writes, token)
  }

  rows(runs: readonly string[]): Promise<readonly WrittenRow[]> {
    return this.#readings.rows(runs)
  }

  head(run: string, mail: number): Promise<WrittenHead | undefined> {
    return this.#readings.head(run, mail)
  }

  heads(query: Parameters<ServerBackend['heads']>[0]): Promise<readonly WrittenHead[]> {
    return this.#readings.heads(query)
  }

  pinned(namespace: string, key: string): Promise<string | undefined> {
    return this.#readings.pinned(namespace, key)
  }

  units(run: string, from: number, to: number): Promise<readonly WrittenUnit[]> {
    return this.#readings.units(run, from, to)
  }

  machine(oid: string): Promise<MachineRecord | undefined> {
    return this.#readings.machine(oid)
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot): Promise<void> {
    return this.#snapshots.save(run, snapshot)
  }

  loadSnapshot(run: string, atMost: number): Promise<StoredSnapshot | undefined> {
    return this.#snapshots.load(run, atMost)
  }

  claim(claim: Claim): Promise<LeaseRow> {
    return this.#leases.claim(claim)
  }

  release(key: LeaseKey & { readonly epoch: number }): Promise<boolean> {
    return this.#leases.release(key)
  }

  lease(key: LeaseKey): Promise<LeaseRow | undefined> {
    return this.#leases.row(key)
  }

  deliver(mail: readonly Mail[]): ReturnType<ServerBackend['deliver']> {
    return this.#deliveries.deliver(mail)
  }

  due(query: Parameters<Store['due']>[0]): Promise<readonly DueRun[]> {
    return this.#due.due(query)
  }

  renew(process: string, until: number): Promise<void> {
    return this.#due.renew(process, until)
  }

  livesUntil(processes: readonly string[]): Promise<readonly number[]> {
    return this.#due.livesUntil(processes)
  }

  async close(): Promise<void> {
    this.#database.leave()
    await this.#place.end()
  }
}
