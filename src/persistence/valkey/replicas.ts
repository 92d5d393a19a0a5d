import { messageOf } from '../../actors/errors.ts'
import type { Connection } from './connection.ts'
import { storeError } from './failures.ts'

/** For how long replicas are waited for in one try, ms. */
const longestWait = 1_000

/** Replicas that must have what was written before it is acknowledged. */
export class Replicas {
  readonly #connection: Connection
  readonly #count: number
  /** On their disks too, where the server can say so. */
  #onDisk: boolean

  constructor(connection: Connection, count: number, onDisk: boolean) {
    this.#connection = connection
    this.#count = count
    this.#onDisk = onDisk
  }

  /**
   * Resolves when enough of them have all that the connection wrote.
   *
   * @param losses of the connection when it was written: of another one the server waits for nothing
   * @throws STORE_OUTCOME_UNKNOWN when they have not after a second
   */
  async reached(losses: number): Promise<void> {
    const reached = this.#onDisk ? await this.#onDisks() : await this.#inMemory()
    const isSame = this.#connection.losses === losses
    if (reached >= this.#count && isSame) return
    const found = isSame
      ? `${reached} of ${this.#count} replicas have the write after ${longestWait} ms`
      : 'the connection was lost before the replicas were heard of'
    throw storeError('STORE_OUTCOME_UNKNOWN', this.#connection.location, found)
  }

  async #onDisks(): Promise<number> {
    try {
      const answer = await this.#connection.write('waitaof', [1, this.#count, longestWait])
      const [local, replicas] = answer as [number, number]
      return local === 0 ? 0 : replicas
    } catch (error) {
      if (!/unknown command/i.test(messageOf(error))) throw error
      this.#onDisk = false
      return this.#inMemory()
    }
  }

  async #inMemory(): Promise<number> {
    return (await this.#connection.write('wait', [this.#count, longestWait])) as number
  }
}
