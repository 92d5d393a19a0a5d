import type { Environment } from '../environment.ts'

/** Adds up how long something was so, ms. */
export class Stopwatch {
  readonly #environment: Environment
  #before = 0
  #since: number | undefined

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** All of it so far. A clock that is set back takes nothing away. */
  get time(): number {
    return this.#before + (this.#since === undefined ? 0 : Math.max(0, this.#environment.now() - this.#since))
  }

  start(): void {
    this.#since ??= this.#environment.now()
  }

  stop(): void {
    this.#before = this.time
    this.#since = undefined
  }
}
