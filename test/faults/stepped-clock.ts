import type { Environment } from '../../src/actors/environment.ts'

/** A process whose clock is set now and then. Its timers are the platform's, which take no notice of that. */
export class SteppedClock implements Environment {
  readonly process: string
  readonly #true: Environment
  #offset = 0

  constructor(truth: Environment, process: string) {
    this.#true = truth
    this.process = process
  }

  now(): number {
    return this.#true.now() + this.#offset
  }

  setTimeout(...[work, ms]: Parameters<Environment['setTimeout']>): ReturnType<Environment['setTimeout']> {
    return this.#true.setTimeout(work, ms)
  }

  clearTimeout(handle: Parameters<Environment['clearTimeout']>[0]): void {
    this.#true.clearTimeout(handle)
  }

  /** Sets it so far from the true time. */
  set(offset: number): void {
    this.#offset = offset
  }
}
