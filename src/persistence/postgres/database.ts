import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { XMachinesError } from '../../actors/errors.ts'
import { rolledBack } from '../server/rolled-back.ts'
import type { Acknowledged } from './acknowledged.ts'
import type { PostgresClient, PostgresPool, PostgresRow, PostgresValue } from './client.ts'
import {
  binaryRows,
  failure,
  isCollision,
  isReadOnly,
  isRefusal,
  isUnprepared,
  poolEnded,
  replaced,
  replicaMet,
} from './failures.ts'

/** A statement that is sent often, and so is prepared. */
export class Statement {
  readonly text: string
  /** By its content: whoever finds it on a connection that a pooler handed on finds this very statement. */
  readonly name: string

  constructor(text: string) {
    this.text = text
    this.name = `xm_${bytesToHex(sha256(new TextEncoder().encode(text))).slice(0, 32)}`
  }
}

/** How often a statement is sent that others stand in the way of. */
const collisions = 20

/** The same as long as a server runs, and never again; and whether it is a replica. */
const startOfServer = new Statement(
  'select (extract(epoch from pg_postmaster_start_time()) * 1000000)::bigint, pg_is_in_recovery()',
)

const types = { getTypeParser: () => (value: string) => value }

/** Sends statements over the connections of a pool, and says what became of them. */
export class Database {
  readonly location: string
  readonly #pool: PostgresPool
  /** Until a pooler shows that it hands connections on. */
  #prepares = true
  readonly #acknowledged: Acknowledged
  /** To which start of a server each connection leads. */
  readonly #starts = new WeakMap<PostgresClient, string>()
  /** The server that has what was acknowledged. */
  #start: string | undefined
  #rolledBack: XMachinesError | undefined

  /** @param acknowledged what each server that connections lead to must have */
  constructor(pool: PostgresPool, location: string, acknowledged: Acknowledged) {
    this.#pool = pool
    this.#acknowledged = acknowledged
    this.location = location
    hear(pool)
  }

  /** Asks; nothing is changed. */
  ask(statement: Statement, values: PostgresValue[]): Promise<readonly PostgresRow[]> {
    return this.#use(false, client => this.#send(client, statement, values))
  }

  /** Changes something, in one step. @throws STORE_OUTCOME_UNKNOWN where the answer was lost */
  write(statement: Statement, values: PostgresValue[]): Promise<readonly PostgresRow[]> {
    return this.#use(true, client => this.#send(client, statement, values))
  }

  /** Statements that happen together or not at all. */
  transact<T>(work: (send: (text: string) => Promise<readonly PostgresRow[]>) => Promise<T>): Promise<T> {
    return this.#use(true, async client => {
      const send = async (text: string): Promise<readonly PostgresRow[]> =>
        (await client.query({ text, rowMode: 'array', types })).rows as readonly PostgresRow[]
      // In any other isolation, who waited for another one's changes would not see them.
      await send('begin isolation level read committed')
      try {
        const result = await work(send)
        await send('commit')
        return result
      } catch (error) {
        // Where this fails too, the connection is gone, and the transaction with it.
        await send('rollback').catch(ignore)
        throw error
      }
    })
  }

  /** The pool is its owner's again. */
  leave(): void {
    unhear(this.#pool)
  }

  async #use<T>(writes: boolean, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const client = await this.#connect()
      let isBroken = false
      try {
        const result = await work(client)
        // The next server was asked for all that had been acknowledged by then: this may be lost.
        if (this.#starts.get(client) !== this.#start) throw replaced(this.location, writes)
        return result
      } catch (error) {
        // One that takes no writes may never do again, where others do.
        isBroken = (!isRefusal(error) && !XMachinesError.is(error)) || isReadOnly(error)
        if (isCollision(error) && tries < collisions) continue
        throw failure(error, this.location, writes)
      } finally {
        client.off('error', ignore)
        client.release(isBroken)
      }
    }
  }

  async #connect(): Promise<PostgresClient> {
    try {
      for (;;) {
        if (this.#rolledBack !== undefined) throw this.#rolledBack
        const client = await this.#pool.connect()
        // A connection that breaks says so beside failing its statement; unheard, that would end the process.
        client.on('error', ignore)
        try {
          if (await this.#isFit(client)) return client
        } catch (error) {
          discard(client)
          throw error
        }
        discard(client)
      }
    } catch (error) {
      const isEnded = this.#pool.ending === true && !XMachinesError.is(error)
      throw isEnded ? poolEnded(error, this.location) : failure(error, this.location, false)
    }
  }

  /** Whether what a connection commits stays, on the server that has all else. */
  async #isFit(client: PostgresClient): Promise<boolean> {
    // Somebody who shares the pool left one open: what is written into it is undone with it.
    if (!['I', null, undefined].includes(client.getTransactionStatus?.())) return false
    const start = this.#starts.get(client)
    if (start === undefined) await this.#meet(client)
    return start === undefined || start === this.#start
  }

  /**
   * Looks whether a new connection leads to a server that has what was acknowledged.
   *
   * @throws STORE_ROLLED_BACK, STORE_UNSAFE of rows that are no text, and STORE_UNAVAILABLE of a replica, which answers with what was: it may become the primary
   */
  async #meet(client: PostgresClient): Promise<void> {
    const [row] = await this.#send(client, startOfServer, [])
    const [start, isReplica] = row!
    if (isReplica !== 't' && isReplica !== 'f') throw binaryRows(this.location)
    if (isReplica === 't') {
      // The first server of all is looked at by whoever opens the store.
      if (this.#start === undefined) return
      throw replicaMet(this.location)
    }
    if (this.#start !== undefined && this.#start !== start) {
      const missing = await this.#acknowledged.findMissing((statement, values) => this.#send(client, statement, values))
      if (missing !== undefined) this.#rolledBack ??= rolledBack(this.location, missing)
      if (this.#rolledBack !== undefined) throw this.#rolledBack
    }
    this.#start = start!
    this.#starts.set(client, start!)
  }

  async #send(client: PostgresClient, statement: Statement, values: PostgresValue[]): Promise<readonly PostgresRow[]> {
    const { text, name } = statement
    if (this.#prepares) {
      try {
        return (await client.query({ text, name, values, rowMode: 'array', types })).rows as readonly PostgresRow[]
      } catch (error) {
        if (!isUnprepared(error)) throw error
        this.#prepares = false
      }
    }
    return (await client.query({ text, values, rowMode: 'array', types })).rows as readonly PostgresRow[]
  }
}

/** How many stores use a pool. They have one listener together: Node takes more than ten for a leak. */
const users = new WeakMap<PostgresPool, number>()

function hear(pool: PostgresPool): void {
  const before = users.get(pool) ?? 0
  if (before === 0) pool.on('error', ignore)
  users.set(pool, before + 1)
}

function unhear(pool: PostgresPool): void {
  const left = users.get(pool)! - 1
  if (left === 0) pool.off('error', ignore)
  users.set(pool, left)
}

/** Gives a connection back that nobody is to use again. */
function discard(client: PostgresClient): void {
  client.off('error', ignore)
  client.release(true)
}

function ignore(): void {}
