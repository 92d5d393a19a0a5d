import type { RunHead, Store } from '../contracts/store.ts'
import type { Observer } from './observer.ts'
import { closeTimeout, residencyOf } from './residency.ts'
import type { Resident } from './resident.ts'

/** Whoever looks after the runs of a namespace for longer than a parent is in memory: a host. */
export interface House {
  /** Whether it knows the machine of such a run. */
  takes(namespace: string, machine: string): boolean
  /** Keeps a run in memory that somebody holds just now. */
  lodge(resident: Resident): Promise<void>
}

/** How a parent opens a child that went out of memory; `undefined`: its machine is not known. */
export type Reopen = (head: RunHead) => Promise<Resident> | undefined

/** Children that stay in memory at a time without anything to do, of all parents. */
const mostAtRest = 1024
/** How many of them are looked at for one that may go. */
const looks = 64

/** A parent in memory, and those of its children that are. */
interface Family {
  readonly reopen: Reopen
  readonly children: Set<Child>
}

/** A child run in memory. */
class Child implements Observer {
  readonly resident: Resident
  readonly family: Family
  readonly #over: (child: Child) => void

  constructor(resident: Resident, family: Family, over: (child: Child) => void) {
    this.resident = resident
    this.family = family
    this.#over = over
  }

  /** Nobody but this process goes on with it: the store says so only of what is due. */
  get needed(): boolean {
    const { busy, time, state } = this.resident
    // Under source time nobody is woken by a timer.
    return busy || (time === 'arrival' && state.table.timers.size > 0)
  }

  adopted(): void {
    if (this.resident.state.snapshot.status !== 'active') this.#over(this)
  }
  refused(): void {}
  ended(): void {
    this.#over(this)
  }
}

/**
 * The child runs of a store that this process runs because it started them: as long as their parent is in memory, or
 * until they end. Where a host looks after their namespace, they are its lodgers instead.
 */
export class Nursery {
  readonly #store: Store
  readonly #houses = new Set<House>()
  readonly #families = new Map<string, Family>()
  /** The one that was opened first comes first. */
  readonly #children = new Map<string, Child>()
  readonly #leaving = new Map<string, Promise<void>>()
  readonly #waking = new Set<string>()
  #deaf: (() => void) | undefined

  constructor(store: Store) {
    this.#store = store
  }

  /** A house that takes children in. Gives what ends that. */
  offer(house: House): () => void {
    this.#houses.add(house)
    return () => this.#houses.delete(house)
  }

  /** Whether a house takes such children in. */
  attends(namespace: string, machine: string): boolean {
    return this.#houseOf(namespace, machine) !== undefined
  }

  /** A parent that has child runs came into memory. */
  enter(parent: string, reopen: Reopen): void {
    if (this.#families.has(parent)) return
    this.#families.set(parent, { reopen, children: new Set() })
    this.#deaf ??= residencyOf(this.#store).onMail(run => void this.#wake(run))
  }

  /** Whether children of it have something under way, so that it should stay. */
  busy(parent: string): boolean {
    for (const child of this.#families.get(parent)?.children ?? []) if (child.needed) return true
    return false
  }

  /** Takes over a child that is held once for it. @param kin the parent, or whoever started it in its place */
  async keep(parent: string, kin: string, resident: Resident): Promise<void> {
    const { run, program, state } = resident
    const house = this.#houseOf(resident.name.namespace, program.record.oid)
    if (house !== undefined) await house.lodge(resident)
    const family = this.#families.get(parent) ?? this.#families.get(kin)
    const isOver = resident.over !== undefined || state.snapshot.status !== 'active'
    if (house !== undefined || family === undefined || this.#children.has(run) || isOver) {
      // What it has to say goes out first; nobody waits for that here, and its handles are told what is wrong with it.
      void residencyOf(this.#store)
        .release(resident, closeTimeout)
        .catch(() => {})
      return
    }
    const child = new Child(resident, family, over => void this.#letGo(over, closeTimeout))
    this.#children.set(run, child)
    family.children.add(child)
    resident.watch(child)
    this.#makeRoom()
  }

  /** The parent goes out of memory, and with it the children that are here for it. */
  async leave(parent: string, timeout: number): Promise<void> {
    const family = this.#families.get(parent)
    if (family === undefined) return
    this.#families.delete(parent)
    if (this.#families.size === 0) {
      this.#deaf?.()
      this.#deaf = undefined
    }
    await Promise.all([...family.children].map(child => this.#letGo(child, timeout)))
  }

  #houseOf(namespace: string, machine: string): House | undefined {
    for (const house of this.#houses) if (house.takes(namespace, machine)) return house
    return undefined
  }

  #letGo(child: Child, timeout: number): Promise<void> {
    const { resident, family } = child
    const { run } = resident
    if (this.#children.get(run) !== child) return this.#leaving.get(run) ?? Promise.resolve()
    this.#children.delete(run)
    family.children.delete(child)
    resident.unwatch(child)
    const leaving = residencyOf(this.#store)
      .release(resident, timeout)
      .catch(() => {}) // what ended it is told by its handles
      .finally(() => this.#leaving.delete(run))
    this.#leaving.set(run, leaving)
    return leaving
  }

  #makeRoom(): void {
    let left = looks
    for (const child of this.#children.values()) {
      if (this.#children.size <= mostAtRest || left-- === 0) return
      if (!child.needed) {
        void this.#letGo(child, closeTimeout)
        continue
      }
      // To the end of the line.
      this.#children.delete(child.resident.run)
      this.#children.set(child.resident.run, child)
    }
  }

  /** Mail came in for a run that is not in memory. */
  async #wake(run: string): Promise<void> {
    if (this.#waking.has(run)) return
    this.#waking.add(run)
    try {
      const head = await this.#store.head(run)
      const link = head?.beside.parent
      if (head === undefined || link === null || link === undefined || head.status !== 'active') return
      const family = this.#families.get(link.run)
      if (family === undefined || this.#houseOf(head.namespace, head.machine) !== undefined) return
      const resident = await family.reopen(head)
      if (resident !== undefined) await this.keep(link.run, link.run, resident)
    } catch {
      // It stays in the store's index of what is due, for whoever looks after it next.
    } finally {
      this.#waking.delete(run)
    }
  }
}

const nurseries = new WeakMap<Store, Nursery>()

/** The nursery of a store in this process. */
export function nurseryOf(store: Store): Nursery {
  let nursery = nurseries.get(store)
  if (nursery === undefined) nurseries.set(store, (nursery = new Nursery(store)))
  return nursery
}
