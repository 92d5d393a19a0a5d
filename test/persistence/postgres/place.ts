import type pg from 'pg'
import { type PostgresStoreOptions, postgresStore } from '../../../src/persistence/postgres/index.ts'
import type { StorePlace } from '../../../src/testing/store-conformance.ts'

let places = 0

/** A schema of its own, gone afterwards. */
export async function postgresPlace(
  pool: pg.Pool,
  settings: Pick<PostgresStoreOptions, 'durability'> = {},
): Promise<StorePlace & { readonly schema: string }> {
  const schema = `place ${places++}`
  return {
    schema,
    open: async options => postgresStore({ pool, schema, ...settings, ...options }),
    cleanup: async () => {
      await pool.query(`drop schema if exists "${schema}" cascade`)
    },
    durable: true,
    shared: true,
  }
}
