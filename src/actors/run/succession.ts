import type { Store } from '../contracts/store.ts'
import type { Environment, TimeoutHandle } from '../environment.ts'

/** How often it is looked whether the other process still lives, ms. */
const every = 10_000
/** Runs that are looked through for this one, the longest due first: so many at first, and at most. */
const [few, most] = [1_000, 262_144]

/** What a succession needs of its run. */
export interface SuccessionHome {
  readonly run: string
  readonly store: Store
  readonly environment: Environment
  /** That process is gone: what it has left behind is anybody's. */
  succeed(process: string): void
}

/**
 * Looks after what another process has in flight of a run that is in memory here too: once that process is gone, it is this
 * one's. Whoever has a run open is its host (semantics 22).
 */
export class Succession {
  readonly #home: SuccessionHome
  #process: string | undefined
  #timer: TimeoutHandle | undefined

  constructor(home: SuccessionHome) {
    this.#home = home
  }

  /** @param process whose effects are in flight; `undefined`: nobody's but this one's */
  watch(process: string | undefined): void {
    if (process === this.#process) return
    this.#process = process
    if (this.#timer !== undefined) this.#home.environment.clearTimeout(this.#timer)
    this.#timer = undefined
    if (process !== undefined) this.#wait(process)
  }

  #wait(process: string): void {
    this.#timer = this.#home.environment.setTimeout(() => void this.#look(process), every)
    // Nobody waits for it: it must not keep a program from its end.
    ;(this.#timer as unknown as { readonly unref?: () => void }).unref?.()
  }

  async #look(process: string): Promise<void> {
    // Without an answer it is looked again: the store's failures are told by whoever needs it at once.
    const gone = await this.#gone(process).catch(() => false)
    if (this.#process !== process) return
    if (gone) this.#home.succeed(process)
    this.#wait(process)
  }

  /** Whether the store says so: the run needs something earlier than it said itself. */
  async #gone(process: string): Promise<boolean> {
    const { run, store, environment } = this.#home
    const head = await store.head(run)
    if (head === undefined || head.beside.process !== process) return head !== undefined
    for (let limit = few; ; limit *= 8) {
      const due = await store.due({ before: environment.now(), limit, namespace: head.namespace })
      const found = due.find(entry => entry.run === run)
      if (found !== undefined) return found.due < (head.due ?? Number.POSITIVE_INFINITY)
      if (due.length < limit || limit >= most) return false
    }
  }
}
