import type { Backoff, Pauses } from './backoff.ts'

/** Failures of a store or a broker in a row, and the pause after the last one: many fail at once, and all wait together. */
export class Stall {
  readonly #pauses: Pauses
  readonly #backoff: Backoff
  #failures = 0
  #pause: Promise<void> | undefined

  constructor(pauses: Pauses, backoff: Backoff) {
    this.#pauses = pauses
    this.#backoff = backoff
  }

  /** What to wait for before the next try; `undefined`: nothing. */
  get waiting(): Promise<void> | undefined {
    return this.#pause
  }

  /** It failed. Answers whether this is the first to say so since the last pause. */
  failed(): boolean {
    if (this.#pause !== undefined) return false
    this.#pause = this.#pauses.wait(this.#backoff(++this.#failures)).then(() => {
      this.#pause = undefined
    })
    return true
  }

  /** It works. */
  worked(): void {
    if (this.#failures > 0 && this.#pause === undefined) this.#failures = 0
  }
}
