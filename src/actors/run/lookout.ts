import { nurseryOf } from './nursery.ts'
import type { Resident } from './resident.ts'
import { type Sleeper, watchesOf } from './timers.ts'

/** How often it is looked, ms: as often as a host does. */
const interval = 10_000

/**
 * Looks whether another process has written to a run that is open here: mail for it, units, or what that process left when it
 * died. Whoever has a run open is its host (semantics 22); a host, or the holder of a lease, looks for all of its runs at once.
 */
export class Lookout implements Sleeper {
  readonly #resident: Resident
  #over = false

  constructor(resident: Resident) {
    this.#resident = resident
    this.#rest()
  }

  wake(): void {
    void this.#look()
  }

  end(): void {
    this.#over = true
    watchesOf(this.#resident.environment).set(this, undefined)
  }

  #rest(): void {
    const { environment } = this.#resident
    watchesOf(environment).set(this, environment.now() + interval)
  }

  async #look(): Promise<void> {
    const { store, run, name, program, revision } = this.#resident
    const isHosted = nurseryOf(store).attends(name.namespace, program.record.oid)
    if (!isHosted && revision !== undefined && !this.#resident.held) {
      // Whoever uses the run is told of a store that does not answer.
      const head = await store.head(run).catch(() => undefined)
      // An append that came in between has found out.
      const isStill = !this.#over && this.#resident.revision === revision
      if (isStill && head !== undefined && head.revision !== revision) this.#resident.notice()
    }
    if (!this.#over) this.#rest()
  }
}
