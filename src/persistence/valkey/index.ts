import type { Store } from '../../actors/contracts/store.ts'
import { givenOptions } from '../../actors/given.ts'
import { ServerStore, type ServerStoreOptions } from '../server/store.ts'
import { ValkeyBackend } from './backend.ts'
import { connectTo, locationOf, type ValkeyClient, withoutSecrets } from './client.ts'
import { Connection } from './connection.ts'
import { Keys } from './keys.ts'
import { Replicas } from './replicas.ts'
import { checkSafety, type ValkeyDurability, type ValkeyWarning } from './safety.ts'

export type { ValkeyClient } from './client.ts'
export type { ValkeyDurability, ValkeyWarning } from './safety.ts'

/** How {@link valkeyStore} finds its server, and what it asks of it. */
export interface ValkeyStoreOptions extends ServerStoreOptions {
  /** `redis://`, `rediss://`, `valkey://` or `valkeys://`. The store connects by itself, with the package `iovalkey`. Or give `client`. */
  readonly url?: string | undefined
  /** A client of `iovalkey` or `ioredis`, not one of a whole cluster; it stays the caller's to close. Or give `url`. */
  readonly client?: ValkeyClient | undefined
  /** Names the store among others on the server: all its keys begin with it in braces. @default 'xmachines' */
  readonly prefix?: string | undefined
  /** What the server must be set to: looked at with every new connection. @default 'always' */
  readonly durability?: ValkeyDurability | undefined
  /**
   * How many replicas must have a write before it is acknowledged: on their disks, where the server has `WAITAOF` and
   * `durability` is not `'memory'`, or else in their memory. @default 0
   */
  readonly replicas?: number | undefined
  /** What the store could not make sure of. @default the process's warnings, or else the console's */
  readonly onWarning?: ((warning: ValkeyWarning) => void) | undefined
}

/**
 * A store on Valkey or Redis, 7 or newer. Any number of processes share it.
 *
 * What is acknowledged survives a crash of the server's machine only with `appendonly yes` and `appendfsync always`; the
 * store refuses a server that is set otherwise, unless `durability` says that less will do. Replication is asynchronous: a
 * failover may lose what was acknowledged, also with `replicas`, which makes that unlikely. A process that had it acknowledged
 * notices with its next write, and from then on refuses to write: `STORE_ROLLED_BACK`.
 *
 * All keys of a store are in one hash slot: one primary of a cluster keeps it, and is what the store connects to. Give several
 * prefixes to spread runs.
 *
 * @example
 * const store = valkeyStore({ url: 'redis://localhost:6379', prefix: 'orders' })
 *
 * @throws TypeError for options that make no sense. Operations reject with `STORE_UNSAFE` of a server that is set unsafely,
 * `STORE_REFUSED` for a wrong password, `STORE_READ_ONLY` of a replica, `STORE_FULL` where memory or disk ran out, `STORE_FOREIGN` where something else has the
 * prefix, `STORE_FORMAT`, `OBJECT_FORMAT_MISMATCH`, `STORE_ROLLED_BACK`, `STORE_MISSING` with `create: false`, `LIBRARY_MISSING` without `iovalkey`, and when
 * `patience` is over with `STORE_UNAVAILABLE` or `STORE_OUTCOME_UNKNOWN`
 */
export function valkeyStore(options: ValkeyStoreOptions): Store {
  const {
    url,
    client,
    prefix = 'xmachines',
    durability = 'always',
    replicas = 0,
    onWarning = warn,
  } = givenOptions('valkeyStore({ url })', options)
  if ((url === undefined) === (client === undefined)) throw new TypeError('Expected either `url` or `client`.')
  if (client !== undefined && 'isCluster' in client && client.isCluster === true) {
    // It sends again by itself, and does not tell that a connection was lost.
    throw new TypeError(
      'Expected `client` to be connected to one server: the primary that has the slot; got one of a cluster.',
    )
  }
  if (typeof prefix !== 'string' || prefix === '') {
    throw new TypeError(`Expected \`prefix\` to be a text that is not empty, got ${JSON.stringify(prefix)}.`)
  }
  if (!['always', 'everysec', 'memory'].includes(durability)) {
    throw new TypeError(`Expected \`durability\` to be 'always', 'everysec' or 'memory', got ${String(durability)}.`)
  }
  if (!Number.isSafeInteger(replicas) || replicas < 0) {
    throw new TypeError(`Expected \`replicas\` to be a whole number, 0 or more, got ${String(replicas)}.`)
  }
  const location = `${client === undefined ? withoutSecrets(url!) : locationOf(client)} ${prefix}`
  const make = client === undefined ? () => connectTo(url!) : () => Promise.resolve(client)
  const connection = new Connection(location, make, ask => checkSafety(ask, durability, location, onWarning))
  const end = (): void => {
    const used = connection.end()
    if (client === undefined) used?.disconnect()
  }
  const waited = replicas === 0 ? undefined : new Replicas(connection, replicas, durability !== 'memory')
  return new ServerStore(new ValkeyBackend(connection, new Keys(prefix), waited, end), options)
}

function warn({ code, message }: ValkeyWarning): void {
  const { process } = globalThis as {
    process?: { emitWarning?: (message: string, options: { type: string; code: string }) => void }
  }
  if (process?.emitWarning === undefined) console.warn(message)
  else process.emitWarning(message, { type: 'XMachinesWarning', code })
}
