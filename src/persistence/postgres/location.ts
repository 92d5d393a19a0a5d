import type { PostgresPool } from './client.ts'

/** Where a store is, for messages: never a user or a password. */
export function locationOf(
  schema: string,
  pool: PostgresPool | undefined,
  connectionString: string | undefined,
): string {
  const options = pool === undefined ? { connectionString } : optionsOf(pool)
  const { host, database } = options.connectionString === undefined ? named(options) : inUrl(options.connectionString)
  return `postgres://${host}/${database}#${schema}`
}

interface PoolOptions {
  readonly connectionString?: string | undefined
  readonly host?: string | undefined
  readonly port?: number | string | undefined
  readonly database?: string | undefined
}

/** What a pool of `pg` was made with. */
function optionsOf(pool: PostgresPool): PoolOptions {
  const options: unknown = 'options' in pool ? pool.options : undefined
  return typeof options === 'object' && options !== null ? options : {}
}

interface Place {
  readonly host: string
  readonly database: string
}

function named({ host, port, database }: PoolOptions): Place {
  return { host: `${host ?? ''}${port === undefined ? '' : `:${port}`}`, database: database ?? '' }
}

/** Sockets are named in the query, which may hold secrets too. */
function inUrl(connectionString: string): Place {
  try {
    const { host, pathname, searchParams } = new URL(connectionString)
    // What stands before it is of a password that was not encoded.
    if (pathname.includes('@')) return { host: '', database: '' }
    return { host: host === '' ? (searchParams.get('host') ?? '') : host, database: pathname.slice(1) }
  } catch {
    return { host: '', database: '' }
  }
}
