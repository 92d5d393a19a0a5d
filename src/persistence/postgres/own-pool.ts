import { missingLibrary } from '../../actors/missing-library.ts'
import type { OwnPool, PostgresClient, PostgresPool } from './client.ts'

/** A connection that says nothing for so long while it is asked is given up, ms. Whoever waits for a lock waits less. */
const longestSilence = 60_000

/** A pool that is made at its first connection, with the library that may not be installed. */
export class LazyPool implements OwnPool {
  readonly #connectionString: string
  #pool: Promise<OwnPool> | undefined

  constructor(connectionString: string) {
    this.#connectionString = connectionString
  }

  async connect(): Promise<PostgresClient> {
    this.#pool ??= openPool(this.#connectionString)
    return (await this.#pool).connect()
  }

  on(): void {}

  off(): void {}

  async end(): Promise<void> {
    const pool = await this.#pool?.catch(() => undefined)
    await pool?.end()
  }
}

interface Library {
  readonly default: { readonly Pool: new (options: object) => OwnPool & PostgresPool }
}

async function openPool(connectionString: string): Promise<OwnPool> {
  const { Pool } = (await load()).default
  // A server that does not answer must not hold a try up for longer than the store is patient by default; a network that
  // forgot a connection closes none, and nobody would ever tell.
  const limits = { connectionTimeoutMillis: 10_000, query_timeout: longestSilence }
  const pool = new Pool({ connectionString, keepAlive: true, ...limits })
  // An idle connection that breaks is replaced at the next use; unheard, the event would end the process.
  pool.on('error', () => {})
  return pool
}

async function load(): Promise<Library> {
  try {
    // A text to the compiler: the types of `pg` are Node's, and this module knows neither. A literal to bundlers, which find it.
    return (await import('pg' as string)) as Library
  } catch (cause) {
    throw missingLibrary('`postgresStore` with a `connectionString` needs the package pg', 'pg', 'pg', cause)
  }
}
