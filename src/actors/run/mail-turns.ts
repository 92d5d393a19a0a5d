import type { Environment } from '../environment.ts'

/** Batches of mail, of all runs of a process, after which its timers and I/O have their turn. */
const batchesAtATime = 256

/** What the runs of a process have delivered since its timers and I/O last had a turn. */
class Turns {
  readonly #environment: Environment
  #batches = 0
  #turn: Promise<void> | undefined

  constructor(environment: Environment) {
    this.#environment = environment
  }

  next(): Promise<void> | undefined {
    if (this.#turn === undefined && ++this.#batches === batchesAtATime)
      this.#turn = new Promise(resolve => {
        this.#environment.setTimeout(() => {
          this.#batches = 0
          this.#turn = undefined
          resolve()
        }, 0)
      })
    return this.#turn
  }
}

const turns = new WeakMap<Environment, Turns>()

/**
 * What whoever has delivered a batch waits for before the next one. On a store in memory a delivery is a microtask, so runs
 * that answer each other, or that each spawn the next one, would leave their process no turn: one counts for all of them.
 */
export function turnOf(environment: Environment): Promise<void> | undefined {
  let own = turns.get(environment)
  if (own === undefined) turns.set(environment, (own = new Turns(environment)))
  return own.next()
}
