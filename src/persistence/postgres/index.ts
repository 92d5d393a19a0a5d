import type { Store } from '../../actors/contracts/store.ts'
import { givenOptions } from '../../actors/given.ts'
import { ServerStore, type ServerStoreOptions } from '../server/store.ts'
import { PostgresBackend } from './backend.ts'
import type { PostgresPool } from './client.ts'
import { locationOf } from './location.ts'
import { isName } from './names.ts'
import { LazyPool } from './own-pool.ts'
import type { PostgresDurability } from './server-settings.ts'

export type { PostgresClient, PostgresPool, PostgresQuery, PostgresRow, PostgresValue } from './client.ts'
export type { PostgresDurability } from './server-settings.ts'

/** How {@link postgresStore} finds its server, and what it asks of it. */
export interface PostgresStoreOptions extends ServerStoreOptions {
  /** A pool of the library `pg`. It stays its owner's: closing the store does not end it. */
  readonly pool?: PostgresPool | undefined
  /** In place of a pool: the store makes one of its own, with the library `pg`, and ends it. */
  readonly connectionString?: string | undefined
  /** The schema that has the store's tables; made if it is missing. @default 'xmachines' */
  readonly schema?: string | undefined
  /**
   * `'relaxed'`: an append may resolve before the server has it on its disk (`synchronous_commit`, `fsync` or
   * `full_page_writes` may be off); a crash of the server may lose it. `'synchronous'`: such a server is refused.
   * @default 'synchronous'
   */
  readonly durability?: PostgresDurability | undefined
}

/**
 * A store in a PostgreSQL database (12 or newer), which any number of processes may share.
 *
 * An append, whatever number of runs it is of, is one statement and one round trip: it is judged and committed by the server,
 * or refused there. The tables are made at the first operation, and brought up to date by later versions.
 *
 * Operations reject with `LIBRARY_MISSING`, `STORE_UNSAFE` (a setting that loses what was acknowledged, a replica, an encoding
 * other than UTF8), `STORE_FOREIGN`, `STORE_FORMAT`, `OBJECT_FORMAT_MISMATCH`, `STORE_REFUSED`, `STORE_READ_ONLY`, `STORE_FULL`,
 * `STORE_DAMAGED`, `STORE_ROLLED_BACK`, `STORE_MISSING` with `create: false`, and with `STORE_UNAVAILABLE` or `STORE_OUTCOME_UNKNOWN` when the server did not answer for `patience`.
 *
 * @throws TypeError for an option that makes no sense; everything else comes from the first operation
 */
export function postgresStore(options: PostgresStoreOptions): Store {
  const {
    pool,
    connectionString,
    schema = 'xmachines',
    durability = 'synchronous',
  } = givenOptions('postgresStore({ pool })', options)
  if ((pool === undefined) === (connectionString === undefined)) {
    throw new TypeError('Expected either `pool` or `connectionString`, got both or none.')
  }
  if (connectionString !== undefined && (typeof connectionString !== 'string' || connectionString === '')) {
    throw new TypeError(`Expected \`connectionString\` to be a URL, got ${typeof connectionString}.`)
  }
  // pg passes over it, and the store would be another one.
  if (/[?&]schema=/.test(connectionString ?? '')) {
    throw new TypeError('Expected `connectionString` without `schema`: give that as the option `schema`.')
  }
  if (typeof schema !== 'string' || !isName(schema)) {
    throw new TypeError(`Expected \`schema\` to be a name of 1 to 63 bytes of UTF-8, got ${String(schema)}.`)
  }
  if (durability !== 'synchronous' && durability !== 'relaxed') {
    throw new TypeError(`Expected \`durability\` to be 'synchronous' or 'relaxed', got ${String(durability)}.`)
  }
  const own = connectionString === undefined ? undefined : new LazyPool(connectionString)
  const place = {
    pool: pool ?? own!,
    location: locationOf(schema, pool, connectionString),
    schema,
    durability,
    end: async () => own?.end(),
  }
  return new ServerStore(new PostgresBackend(place), options)
}
