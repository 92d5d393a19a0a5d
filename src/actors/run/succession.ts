import type { Environment } from '../environment.ts'
import { type Sleeper, watchesOf } from './timers.ts'

/** How long it is waited at most, ms: who lives may leave what it has in flight to others. */
const longest = 10_000

/** What a succession needs of its run. */
export interface SuccessionHome {
  readonly environment: Environment
  /** Looks where the run stands, and goes on with what nobody has in flight any more. */
  notice(): void
}

/**
 * Looks after what other processes have in flight of a run that is in memory here too: once they are gone, it is this one's.
 * Whoever has a run open is its host (semantics 22).
 */
export class Succession implements Sleeper {
  readonly #home: SuccessionHome

  constructor(home: SuccessionHome) {
    this.#home = home
  }

  /** @param until when the first of the others runs out, ms; `undefined`: there are none */
  watch(until: number | undefined): void {
    const { environment } = this.#home
    const at = until === undefined ? undefined : Math.min(until, environment.now() + longest)
    watchesOf(environment).set(this, at)
  }

  wake(): void {
    this.#home.notice()
  }
}
