import { XMachinesError } from '../../actors/errors.ts'
import type { Connection, Script } from './connection.ts'
import { storeError } from './failures.ts'
import type { Keys } from './keys.ts'
import { Mark } from './mark.ts'
import type { Replicas } from './replicas.ts'

/** What a store writes to its server: each script leaves a mark there, and waits for replicas where some are to have it. */
export class Writes {
  readonly #connection: Connection
  readonly #keys: Keys
  readonly #replicas: Replicas | undefined
  readonly #mark = new Mark()

  constructor(connection: Connection, keys: Keys, replicas: Replicas | undefined) {
    this.#connection = connection
    this.#keys = keys
    this.#replicas = replicas
  }

  /** @param runOf the run of a write that the script names by its place @throws STORE_ROLLED_BACK where the server has forgotten something */
  async run(
    script: Script,
    keys: readonly string[],
    args: readonly (string | number)[],
    runOf?: (which: number) => string | undefined,
  ): Promise<unknown> {
    let call = 0
    let losses = 0
    const marked = (): readonly (string | number)[] => {
      const next = this.#mark.next()
      call = next.call
      losses = this.#connection.losses
      return [...next.args, ...args]
    }
    const answer = await this.#connection.run(script, keys, marked).catch(error => {
      throw XMachinesError.is(error, 'STORE_ROLLED_BACK') ? this.#rolledBack(error, runOf) : error
    })
    await this.#replicas?.reached(losses)
    this.#mark.acknowledge(call)
    return answer
  }

  /** Takes the marks away. */
  async end(): Promise<void> {
    if (this.#mark.isLeft) await this.#connection.part('hdel', [this.#keys.marks, this.#mark.instance])
  }

  #rolledBack(error: XMachinesError, runOf?: (which: number) => string | undefined): XMachinesError {
    const run = runOf?.(Number(/ROLLEDBACK (\d+)/.exec(error.message)?.[1]))
    const what = run === undefined ? 'what it acknowledged' : `units of run ${run} that it acknowledged`
    const details = run === undefined ? {} : { run }
    return storeError('STORE_ROLLED_BACK', this.#connection.location, `the server has forgotten ${what}`, details)
  }
}
