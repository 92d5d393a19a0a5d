import type { Claim, LeaseKey, LeaseRow } from '../../actors/contracts/store.ts'
import type { ServerLeases } from '../server/backend.ts'
import type { Acknowledged } from './acknowledged.ts'
import { type Database, Statement } from './database.ts'
import { toText } from './names.ts'
import { leaseColumns, leaseName, leaseRow } from './rows.ts'
import type { Tables } from './schema.ts'

/** Who owns a partition. Each change locks its row and nothing else. */
export class Leases implements ServerLeases {
  readonly #database: Database
  readonly #claim: Statement
  readonly #release: Statement
  readonly #row: Statement

  readonly #acknowledged: Acknowledged

  constructor(database: Database, { leases }: Tables, acknowledged: Acknowledged) {
    this.#database = database
    this.#acknowledged = acknowledged
    this.#claim = new Statement(`insert into ${leases} as l (lease, namespace, partition, epoch, owner, "group")
      values ($1, $2, $3::bigint, $6::bigint + 1, $4, $5)
      on conflict (lease) do update set epoch = greatest(l.epoch, $6::bigint) + 1, owner = excluded.owner, "group" = excluded."group"
      returning ${leaseColumns}`)
    this.#release = new Statement(`update ${leases} set owner = null, "group" = null
      where lease = $1 and epoch = $2::bigint returning lease`)
    this.#row = new Statement(`select ${leaseColumns} from ${leases} l where l.lease = $1`)
  }

  async claim(claim: Claim): Promise<LeaseRow> {
    const { namespace, partition, owner, group, above = 0 } = claim
    const values = [leaseName(claim), toText(namespace), partition, toText(owner), toText(group), above]
    const [row] = await this.#database.write(this.#claim, values)
    const lease = leaseRow(row!)!
    this.#acknowledged.claimed(lease)
    return lease
  }

  async release(key: LeaseKey & { readonly epoch: number }): Promise<boolean> {
    const rows = await this.#database.write(this.#release, [leaseName(key), key.epoch])
    this.#acknowledged.released(key)
    return rows.length > 0
  }

  async row(key: LeaseKey): Promise<LeaseRow | undefined> {
    const [row] = await this.#database.ask(this.#row, [leaseName(key)])
    return row && leaseRow(row)
  }
}
