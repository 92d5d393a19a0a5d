import { messageOf } from '../../actors/errors.ts'
import { missingLibrary } from '../../actors/missing-library.ts'

/** What a store needs of a client: `iovalkey` and `ioredis` have it. */
export interface ValkeyClient {
  /** `'ready'`: a command goes out at once; `'wait'`: it connects when it is told to. */
  readonly status: string
  /** Numbers of an answer may come as text: `stringNumbers`. */
  call(command: string, args: (string | number)[]): Promise<unknown>
  connect(): Promise<unknown>
  /** Lets go at once. */
  disconnect(): void
  on(event: 'ready' | 'close' | 'end', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  off(event: 'ready' | 'close' | 'end', listener: () => void): unknown
  off(event: 'error', listener: (error: unknown) => void): unknown
}

/** The longest wait between two attempts to connect, ms. */
const longestWait = 500

/** A server that says nothing for so long while it is asked is given up, ms. */
const longestSilence = 10_000

/**
 * A client of a store's own. It repeats nothing by itself: only the store knows what may be sent twice.
 *
 * @throws rejects with `LIBRARY_MISSING` when `iovalkey` is not installed
 */
export async function connectTo(url: string): Promise<ValkeyClient> {
  const { Redis } = await load()
  const client = new Redis(url.replace(/^valkey/, 'redis'), {
    lazyConnect: true,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    socketTimeout: longestSilence,
    // The server became a replica: after a failover its address may lead to another one.
    reconnectOnError: error => error.message.startsWith('READONLY'),
    retryStrategy: attempt => Math.min(longestWait, 10 * 2 ** attempt),
  })
  // Whoever waits for the connection is told; without a listener the client prints it.
  client.on('error', () => {})
  return client
}

async function load() {
  try {
    return await import('iovalkey')
  } catch (cause) {
    const needs = '`valkeyStore({ url })`, other than with a `client` of yours, needs the package iovalkey'
    throw missingLibrary(needs, 'iovalkey', 'iovalkey', cause)
  }
}

/** Resolves when the client is connected. Rejects with what the attempt that is under way met. */
export function connected(client: ValkeyClient): Promise<void> {
  return new Promise((resolve, reject) => {
    let met: unknown
    const see = (error: unknown): void => {
      met = error
    }
    const settle = (end: () => void) => (): void => {
      client.off('ready', ready)
      client.off('close', lost)
      client.off('end', lost)
      client.off('error', see)
      end()
    }
    const ready = settle(resolve)
    const lost = settle(() => reject(new Error(met === undefined ? 'the connection was closed' : messageOf(met))))
    client.on('error', see)
    client.on('ready', ready)
    client.on('close', lost)
    client.on('end', lost)
    if (client.status === 'end') lost()
    // The events tell what becomes of it.
    else if (client.status === 'wait') client.connect().catch(() => {})
  })
}

/** The number of the database that a client was told. */
export function databaseOf(client: ValkeyClient): number {
  return Number((client as { options?: { db?: number } }).options?.db ?? 0)
}

/** Where a client leads, without user and password. */
export function locationOf(client: ValkeyClient): string {
  const { host, port, path } = (client as { options?: { host?: string; port?: number; path?: string } }).options ?? {}
  if (path !== undefined && path !== null) return path
  return host === undefined ? 'redis' : `redis://${host}:${port}`
}

/** A URL without user and password. @throws TypeError, which does not repeat what may be a password */
export function withoutSecrets(url: string): string {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw new TypeError('Expected `url` to be a URL like redis://host:6379; what came is none.')
  }
  if (!/^(redis|rediss|valkey|valkeys):$/.test(parsed.protocol)) {
    throw new TypeError(
      `Expected \`url\` to begin with redis://, rediss://, valkey:// or valkeys://; got ${parsed.protocol}`,
    )
  }
  if (!/^\/?\d*$/.test(parsed.pathname)) {
    // Also what is left of a password that was not encoded.
    throw new TypeError('Expected `url` to end with a host or the number of a database, like redis://host:6379/0.')
  }
  return `${parsed.protocol}//${parsed.host}${parsed.pathname}`
}
