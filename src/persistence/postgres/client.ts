/*
 * What is used of the library `pg`. A pool of it fits, and so does whatever else answers alike.
 */

/** A value that goes to the server: text, or an array in PostgreSQL's binary format. */
export type PostgresValue = string | number | boolean | Uint8Array | null

/** A statement as `pg` takes it: rows come as arrays of text, whatever type parsers the pool has. */
export interface PostgresQuery {
  readonly text: string
  readonly values?: PostgresValue[]
  /** Prepared under this name, once a connection. */
  readonly name?: string
  readonly rowMode: 'array'
  readonly types: { getTypeParser(): (value: string) => string }
}

/** A row, column by column. */
export type PostgresRow = readonly (string | null)[]

/** A connection that was taken from a pool. */
export interface PostgresClient {
  query(query: PostgresQuery): Promise<{ readonly rows: readonly unknown[] }>
  /** Gives it back; with `true` it is not used again. */
  release(destroy?: boolean): void
  /** As the server said last: `'I'` in no transaction. Older versions of the library cannot tell. */
  getTransactionStatus?(): string | null | undefined
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** A pool of connections: `new Pool()` of `pg`. */
export interface PostgresPool {
  connect(): Promise<PostgresClient>
  /** It gives no more connections. */
  readonly ending?: boolean
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

/** A pool that is the store's own. */
export interface OwnPool extends PostgresPool {
  end(): Promise<void>
}
