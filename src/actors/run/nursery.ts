import type { RunHead, Store } from '../contracts/store.ts'
import type { Environment, TimeoutHandle } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import type { Observer } from './observer.ts'
import { closeTimeout, residencyOf } from './residency.ts'
import type { Resident } from './resident.ts'
import { isReadersError } from './run-errors.ts'

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
  readonly parent: string
  readonly environment: Environment
  readonly reopen: Reopen
  readonly children: Set<Child>
  /** Children that the store has failed, to be opened again. */
  readonly retries: Map<string, TimeoutHandle>
  /** How often it has, since they last got anywhere. */
  readonly failures: Map<string, number>
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
    this.family.failures.delete(this.resident.run)
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
  enter(parent: string, environment: Environment, reopen: Reopen): void {
    if (this.#families.has(parent)) return
    const nobody = { children: new Set<Child>(), retries: new Map(), failures: new Map() }
    this.#families.set(parent, { parent, environment, reopen, ...nobody })
    this.#deaf ??= residencyOf(this.#store).onMail(run => void this.#wake(run))
  }

  /** Whether children of it have something under way, so that it should stay. */
  busy(parent: string): boolean {
    const family = this.#families.get(parent)
    if (family === undefined) return false
    for (const child of family.children) if (child.needed) return true
    return family.retries.size > 0
  }

  /** Takes over a child that is held once for it. @param kin the parent, or whoever started it in its place */
  async keep(parent: string, kin: string, resident: Resident): Promise<void> {
    const { run, program, state } = resident
    const house = this.#houseOf(resident.name.namespace, program.record.oid)
    if (house !== undefined) await house.lodge(resident)
    const family = this.#families.get(parent) ?? this.#families.get(kin)
    const isOver = resident.over !== undefined || state.snapshot.status !== 'active'
    if (house !== undefined || family === undefined || this.#children.has(run) || isOver) {
      // What it has to say goes out first; nobody waits for that here.
      void this.#release(resident, house === undefined ? family : undefined, closeTimeout)
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
    for (const retry of family.retries.values()) family.environment.clearTimeout(retry)
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
    const leaving = this.#release(resident, family, timeout).finally(() => this.#leaving.delete(run))
    this.#leaving.set(run, leaving)
    return leaving
  }

  /** Lets go of a child. Where the store was the reason, or would not take what it had to say, it is opened again. */
  async #release(resident: Resident, family: Family | undefined, timeout: number): Promise<void> {
    const { run } = resident
    // Its handles are told what is wrong with it.
    await residencyOf(this.#store)
      .release(resident, timeout)
      .catch(() => {})
    if (family === undefined) return
    const error = resident.over?.error
    if (error !== undefined) this.#failed(run, family, error)
    else if (resident.owes) this.#retry(run, family)
    else family.failures.delete(run)
  }

  /** Nobody has a handle of the child that would tell: it is opened again, as long as its parent is here. */
  #failed(run: string, family: Family, thrown: unknown): void {
    if (XMachinesError.is(thrown) && thrown.retryable && !isReadersError(thrown)) this.#retry(run, family)
  }

  #retry(run: string, family: Family): void {
    if (this.#families.get(family.parent) !== family || family.retries.has(run)) return
    const failures = family.failures.get(run) ?? 0
    family.failures.set(run, failures + 1)
    const again = (): void => {
      family.retries.delete(run)
      void this.#wake(run, family)
    }
    family.retries.set(run, family.environment.setTimeout(again, Math.min(10_000, 100 * 2 ** Math.min(failures, 7))))
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

  /** Mail came in for a run that is not in memory, or the store has failed it. @param of whose child it is, where that is known */
  async #wake(run: string, of?: Family): Promise<void> {
    if (this.#waking.has(run)) return
    this.#waking.add(run)
    let family = of
    try {
      const head = await this.#store.head(run)
      const link = head?.beside.parent
      if (head === undefined || link === null || link === undefined) return
      // One that has ended may still have that to say.
      if (head.status !== 'active' && head.beside.mailing.length + head.beside.returns.length === 0) return
      family = this.#families.get(link.run)
      if (family === undefined || this.#houseOf(head.namespace, head.machine) !== undefined) return
      const resident = await family.reopen(head)
      if (resident !== undefined) await this.keep(link.run, link.run, resident)
    } catch (thrown) {
      // What cannot pass stays in the store's index of what is due, for whoever looks after it next.
      if (family !== undefined) this.#failed(run, family, thrown)
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
