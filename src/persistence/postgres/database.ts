import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import { XMachinesError } from '../../actors/errors.ts'
import type { PostgresClient, PostgresPool, PostgresRow, PostgresValue } from './client.ts'
import { failure, isCollision, isRefusal, isUnprepared } from './failures.ts'

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

const types = { getTypeParser: () => (value: string) => value }

/** Sends statements over the connections of a pool, and says what became of them. */
export class Database {
  readonly location: string
  readonly #pool: PostgresPool
  /** Until a pooler shows that it hands connections on. */
  #prepares = true

  constructor(pool: PostgresPool, location: string) {
    this.#pool = pool
    this.location = location
    pool.on('error', ignore)
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
      await send('begin')
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
    this.#pool.off('error', ignore)
  }

  async #use<T>(writes: boolean, work: (client: PostgresClient) => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      const client = await this.#connect()
      let isBroken = false
      try {
        return await work(client)
      } catch (error) {
        isBroken = !isRefusal(error) && !XMachinesError.is(error)
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
      const client = await this.#pool.connect()
      // A connection that breaks says so beside failing its statement; unheard, that would end the process.
      client.on('error', ignore)
      return client
    } catch (error) {
      throw failure(error, this.location, false)
    }
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

function ignore(): void {}
