import type { Environment, TimeoutHandle } from '../environment.ts'

/** How long to wait after the `attempt`-th failure in a row, counted from 1, ms. */
export type Backoff = (attempt: number) => number

/** 100 ms, doubled each time, at most 10 s. */
export const defaultBackoff: Backoff = attempt => Math.min(10_000, 100 * 2 ** Math.min(attempt - 1, 10))

/** Waits that end with what they belong to: after `end` nobody waits, and no timer is left. */
export class Pauses {
  readonly #environment: Environment
  readonly #waiting = new Map<TimeoutHandle, () => void>()
  #over = false

  constructor(environment: Environment) {
    this.#environment = environment
  }

  /** Resolves after `ms`, when `until` does, or at the end, which the caller looks for. */
  wait(ms: number, until?: Promise<void>): Promise<void> {
    if (this.#over) return Promise.resolve()
    return new Promise(resolve => {
      const done = (): void => {
        this.#environment.clearTimeout(handle)
        if (this.#waiting.delete(handle)) resolve()
      }
      const handle = this.#environment.setTimeout(done, ms)
      this.#waiting.set(handle, done)
      void until?.then(done)
    })
  }

  end(): void {
    this.#over = true
    for (const done of [...this.#waiting.values()]) done()
  }
}
