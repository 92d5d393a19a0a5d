import { XMachinesError } from '../errors.ts'
import type { ParkedRunStatus } from './status.ts'

/** The runs of a lease that cannot be brought into memory, as far as a record or a need came upon them. */
export class ParkedRuns {
  readonly #limit: number
  readonly #parked = new Map<string, ParkedRunStatus>()
  /** Keys whose run could not even be made. */
  readonly #unborn = new Set<string | undefined>()

  /** @param limit how many a lease bears */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Those that stand parked in the store. */
  get all(): readonly ParkedRunStatus[] {
    return [...this.#parked.values()]
  }

  /** A run stands parked. */
  add(status: ParkedRunStatus): void {
    this.#parked.set(status.run, status)
  }

  /** The run of this key could not be made. */
  addUnborn(key: string | undefined): void {
    this.#unborn.add(key)
  }

  /** The run came into memory, or is parked anew. */
  remove(run: string, key: string | undefined): void {
    this.#parked.delete(run)
    this.#unborn.delete(key)
  }

  /** Why the lease must stop, if there are too many. @param last what happened to the last one */
  excess(last: string): XMachinesError | undefined {
    const count = this.#parked.size + this.#unborn.size
    if (count <= this.#limit) return undefined
    const text = `${count} runs cannot be brought into memory, more than \`restart.maxParked\` (${this.#limit}). The last one: ${last}`
    return new XMachinesError('RUN_PARKED', text, { details: { runs: [...this.#parked.keys()] } })
  }
}
