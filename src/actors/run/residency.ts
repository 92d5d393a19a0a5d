import type { Store } from '../contracts/store.ts'
import type { Resident } from './resident.ts'

/** A run in memory and how many hold it. */
interface Residence {
  readonly resident: Promise<Resident>
  holders: number
}

/** How long a passivation waits for promises in flight unless told otherwise, ms. */
export const closeTimeout = 5000

/**
 * Which runs of a store are in memory in this process. Whoever uses a run holds it; the last to let go passivates it.
 * A run is in memory once: handles of the same run share it.
 */
export class Residency {
  readonly #runs = new Map<string, Residence>()
  readonly #wakers = new Set<(run: string) => void>()
  readonly #leaving = new Map<string, Promise<void>>()

  /** How many runs are in memory. */
  get size(): number {
    return this.#runs.size
  }

  /** Whether the run is in memory, or on its way. */
  has(run: string): boolean {
    return this.#runs.has(run)
  }

  /** Whether the run is in memory, or comes there, and has not ended. */
  async lives(run: string): Promise<boolean> {
    const resident = await this.#runs.get(run)?.resident.catch(() => undefined)
    return resident !== undefined && resident.over === undefined
  }

  /** Holds the run: as it is in memory, or as `load` brings it there. @throws rejects as `load`, or with why what it brought has ended */
  async hold(run: string, load: () => Promise<Resident>): Promise<Resident> {
    for (;;) {
      await this.#leaving.get(run)
      const found = this.#runs.get(run)
      const residence = found ?? this.#enter(run, load())
      residence.holders++
      const resident = await residence.resident
      const { over } = resident
      if (over === undefined) return resident
      if (this.#runs.get(run) === residence) this.#runs.delete(run)
      // It ended while it was looked up: a fresh one is loaded. What ended a fresh one (a lease of another's, say, where
      // something is due) would end the next one too.
      if (found === undefined && over.error !== undefined) throw over.error
    }
  }

  /** Holds a run that was made just now; `undefined` if one is there already. */
  admit(resident: Resident): boolean {
    if (this.#runs.has(resident.run) || this.#leaving.has(resident.run)) return false
    this.#enter(resident.run, Promise.resolve(resident)).holders++
    return true
  }

  /** Lets go of a run. The last to do so passivates it. */
  async release(resident: Resident, timeout: number): Promise<void> {
    const residence = this.#runs.get(resident.run)
    if (residence === undefined || !(await isOf(residence, resident))) return resident.passivate(timeout)
    if (--residence.holders > 0) return
    this.#runs.delete(resident.run)
    const leaving = resident.passivate(timeout)
    this.#leaving.set(resident.run, leaving)
    try {
      await leaving
    } finally {
      this.#leaving.delete(resident.run)
    }
  }

  /** Tells a run that mail came in for it, or, if it is not in memory, whoever wakes runs. */
  notice(run: string): void {
    const residence = this.#runs.get(run)
    if (residence === undefined) for (const wake of this.#wakers) wake(run)
    residence?.resident.then(
      resident => resident.notice(),
      () => {}, // whoever holds it is told
    )
  }

  /** Asks to be told of mail for runs that are not in memory. Gives what ends that. */
  onMail(wake: (run: string) => void): () => void {
    this.#wakers.add(wake)
    return () => this.#wakers.delete(wake)
  }

  /** Forgets a run that ended by itself: the next to hold it loads it anew. */
  async forget(resident: Resident): Promise<void> {
    const residence = this.#runs.get(resident.run)
    if (residence !== undefined && (await isOf(residence, resident))) this.#runs.delete(resident.run)
  }

  #enter(run: string, resident: Promise<Resident>): Residence {
    const residence: Residence = { resident, holders: 0 }
    this.#runs.set(run, residence)
    resident.catch(() => {
      if (this.#runs.get(run) === residence) this.#runs.delete(run)
    })
    return residence
  }
}

/** Whether the run is in memory as `resident`. If it is being loaded anew, how that ends is not its concern. */
async function isOf(residence: Residence, resident: Resident): Promise<boolean> {
  return (await residence.resident.catch(() => undefined)) === resident
}

const residencies = new WeakMap<Store, Residency>()

/** The residency of a store in this process. */
export function residencyOf(store: Store): Residency {
  let residency = residencies.get(store)
  if (residency === undefined) residencies.set(store, (residency = new Residency()))
  return residency
}
