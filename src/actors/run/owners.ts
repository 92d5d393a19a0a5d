import type { Beside, BesideChange, Store } from '../contracts/store.ts'
import type { Environment } from '../environment.ts'

/** What is kept of who has a run's invocations in flight. */
export type Owned = Pick<Beside, 'process' | 'owners'>

/** The pending invocations of a state, by their keys. */
export interface Shares {
  readonly all: ReadonlySet<string>
  /** Those that other processes have in flight, or that nobody has. */
  readonly others: readonly string[]
}

/** What an item says of it. */
export interface OwnersDraft {
  process?: string | null
  owners?: NonNullable<BesideChange['owners']>
}

/** Who has it in flight; `null`: nobody. */
export function ownerOf({ process, owners }: Owned, key: string): string | null {
  return owners[key] ?? process
}

/** All who have something in flight. */
export function ownersOf({ process, owners }: Owned): ReadonlySet<string> {
  const all = new Set(Object.values(owners))
  if (process !== null) all.add(process)
  return all
}

/** Whether another process has something in flight. */
export function namesOthers(kept: Owned, { process }: Environment): boolean {
  for (const owner of ownersOf(kept)) if (owner !== process) return true
  return false
}

/**
 * Until when the other processes live that have something in flight, by name: those that do. The store is asked only if there
 * are any.
 */
export async function livingOwners(
  kept: Owned,
  store: Store,
  environment: Environment,
): Promise<ReadonlyMap<string, number>> {
  const others = [...ownersOf(kept)].filter(owner => owner !== environment.process)
  if (others.length === 0) return new Map()
  const until = await store.livesUntil(others)
  const now = environment.now()
  return new Map(others.map((owner, place) => [owner, until[place]!] as const).filter(([, end]) => end > now))
}

/**
 * Who has the invocations of a run in flight, as its store knows it, and what the next item says of that.
 *
 * The store's index finds a run by one process only. So that nothing is lost with any other, the one that it names knows all of
 * them, and looks after them: whoever comes to have something in flight takes the name, having seen all who were there before. When
 * it has nothing left, it names the other one; of several it does not know who knows of whom, and names nobody: then the run is
 * due, and one of them takes the name.
 */
export class Owners {
  readonly #process: string
  #kept: Owned
  /** What the item on its way leads to. */
  #offered: Owned
  /** It says that this process leaves what it has. */
  #isLeaving = false
  /** That is said, or cannot be. */
  #isLeft = false

  /** @param process this one */
  constructor(process: string, kept: Owned) {
    this.#process = process
    this.#kept = this.#offered = kept
  }

  /** Who goes on with what is in flight, once the item on its way is durable. */
  get process(): string | null {
    return this.#offered.process
  }

  /** Whether this process has anything in flight, or is about to. */
  get present(): boolean {
    return this.#has(this.#offered)
  }

  /** It is still to be said that this process leaves what it has. */
  get lingers(): boolean {
    return this.present && !this.#isLeft
  }

  /** Several processes have something in flight, this one among them, and none looks after the others. */
  get leaderless(): boolean {
    return this.#kept.process === null && this.lingers
  }

  /** What the next item says, if it leads to these. @param leaves this process leaves to others whatever it has in flight */
  offer(shares: Shares, leaves: boolean, beside: OwnersDraft): void {
    const next = (this.#offered = this.#next(shares, leaves))
    this.#isLeaving = leaves
    const { process, owners } = this.#kept
    if (next.process !== process) beside.process = next.process
    let change: Record<string, string | null> | undefined
    for (const key in next.owners) if (next.owners[key] !== owners[key]) (change ??= bare())[key] = next.owners[key]!
    for (const key in owners) if (next.owners[key] === undefined) (change ??= bare())[key] = null
    if (change !== undefined) beside.owners = change
  }

  /** The item is durable, or nothing of it is. */
  settled(durable: boolean): void {
    if (durable) this.#kept = this.#offered
    else this.#offered = this.#kept
    if (durable) this.#isLeft = this.#isLeaving
    this.#isLeaving = false
  }

  /** This process may not write: nothing is said of it any more. */
  forgo(): void {
    this.#isLeft = true
  }

  /** Somebody else wrote: what is durable now. */
  reset(kept: Owned): void {
    this.#kept = this.#offered = kept
  }

  #has({ process, owners }: Owned): boolean {
    return process === this.#process || Object.values(owners).includes(this.#process)
  }

  #next({ all, others }: Shares, leaves: boolean): Owned {
    const own = all.size - others.length
    const process = this.#nextProcess(leaves ? 0 : own, leaves && own > 0, others)
    if (others.length === 0 && (leaves || own === 0 || process === this.#process)) return { process, owners: none }
    const owners = bare<string>()
    if (!leaves && process !== this.#process) for (const key of all) owners[key] = this.#process
    for (const key of others) {
      const owner = ownerOf(this.#kept, key)
      if (owner === null || owner === process) delete owners[key]
      else owners[key] = owner
    }
    return { process, owners }
  }

  #nextProcess(own: number, isLeft: boolean, others: readonly string[]): string | null {
    const { process } = this.#kept
    const owners = new Set(others.map(key => ownerOf(this.#kept, key)))
    const stays = process !== null && process !== this.#process && owners.has(process)
    // Whoever has the name knows already of a process that has something in flight.
    if (own > 0) return stays && this.#has(this.#kept) ? process : this.#process
    // What is nobody's would be that of whoever is named.
    if (isLeft || owners.has(null)) return null
    if (stays) return process
    const [only = null] = owners
    return owners.size > 1 ? null : only
  }
}

const none: Beside['owners'] = Object.freeze(bare<string>())

function bare<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>
}
