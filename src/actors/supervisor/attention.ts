import type { DueRun, LeaseKey, Store } from '../contracts/store.ts'
import type { Environment, TimeoutHandle } from '../environment.ts'
import { asError, type XMachinesError } from '../errors.ts'
import { residencyOf } from '../run/residency.ts'

/** Whose runs are looked after: a partition's, or those of a namespace that are pinned to none. */
export type AttentionScope = { readonly lease: LeaseKey } | { readonly namespace: string }

/** What the attention of a lease, or of a host, needs of it. */
export interface AttentionHome {
  readonly store: Store
  readonly environment: Environment
  /** Runs that are in memory or on their way need no waking. */
  readonly awake: { has(run: string): boolean; readonly size: number }
  /** The run needs something, and what is awake of it is not the run: it may stand parked no longer. */
  readonly notice?: (run: string) => void
  /** Brings a run into memory. Resolves after the first try. */
  wake(run: string): Promise<void>
  /** The store cannot say now. Resolves when it may be asked again, to whether there is still something to ask for. */
  pause(error: XMachinesError): Promise<boolean>
  stop(error: XMachinesError): void
}

/** Runs that are woken at a time. */
const atOnce = 64
/** Whoever waits longer looks in between, ms: the clock may be set, and a machine that slept did not count the time. */
const longest = 60_000
/** How often the holder of a lease looks for what other processes have left for its runs, ms. A host looks as often, by itself. */
const patrol = 10_000

/**
 * Wakes the runs that need something while they are not in memory: at the start whatever was left undone, later
 * by due time.
 */
export class Attention {
  readonly #scope: AttentionScope
  readonly #home: AttentionHome
  #timer: TimeoutHandle | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #looking = false
  #again = false
  #over = false
  /** Runs that were woken for what is still due: waking them again would not help. */
  #seen = new Map<string, number>()
  /** Runs that are due while they go out of memory: nobody there takes notice any more. */
  readonly #missed = new Set<string>()
  readonly #deaf: () => void

  constructor(scope: AttentionScope, home: AttentionHome) {
    this.#scope = scope
    this.#home = home
    this.#deaf = residencyOf(home.store).onMail(run => this.lookAgain(run))
  }

  /** Looks which runs are due. */
  look(): void {
    if (this.#over) return
    this.#again = true
    if (!this.#looking) void this.#lookOn()
  }

  /** A run went out of memory before it did what it was woken for. */
  lookAgain(run: string): void {
    this.#seen.delete(run)
    this.look()
  }

  /** A run has gone out of memory. */
  left(run: string): void {
    // What it was woken for is done: what is due from now on is something else.
    this.#seen.delete(run)
    if (this.#missed.delete(run)) this.lookAgain(run)
  }

  /** A run that goes out of memory needs to be woken at `due`, ms. */
  expect(due: number): void {
    if (this.#over || due >= this.#timerAt) return
    this.#arm(due)
  }

  end(): void {
    this.#over = true
    this.#deaf()
    this.#disarm()
  }

  async #lookOn(): Promise<void> {
    this.#looking = true
    try {
      while (this.#again && !this.#over) {
        this.#again = false
        try {
          await this.#wakeDue()
        } catch (thrown) {
          const error = asError(thrown, 'STORE_UNAVAILABLE')
          if (!error.retryable) return this.#home.stop(error)
          if (!(await this.#home.pause(error))) return
          this.#again = true
        }
      }
    } finally {
      // In the turn in which the loop ends: who asks after that starts another one.
      this.#looking = false
    }
  }

  async #wakeDue(): Promise<void> {
    const { store, environment, awake } = this.#home
    const before = Number.MAX_SAFE_INTEGER
    const limit = awake.size + this.#seen.size + atOnce
    const due = await store.due({ ...this.#scope, before, limit })
    if (this.#over) return
    const now = environment.now()
    // What another process has put into their inboxes; without a lease also what one has left undone.
    const told = 'lease' in this.#scope ? 0 : now
    const residency = residencyOf(store)
    for (const { run, due: at } of due) {
      if (at > told || !awake.has(run)) continue
      if (residency.has(run)) residency.notice(run)
      else {
        this.#missed.add(run)
        this.#home.notice?.(run)
      }
    }
    const asleep = due.filter(entry => !awake.has(entry.run) && this.#seen.get(entry.run) !== entry.due)
    const overdue = asleep.filter(entry => entry.due <= now)
    this.#forget(due)
    for (const entry of overdue) this.#seen.set(entry.run, entry.due)
    await Promise.all(overdue.map(({ run }) => this.#wake(run)))
    if (overdue.length > 0 && due.length >= limit) this.#again = true
    const next = asleep[overdue.length]
    if (next !== undefined) this.expect(next.due)
    if ('lease' in this.#scope && store.shared) this.expect(now + patrol)
  }

  async #wake(run: string): Promise<void> {
    try {
      await this.#home.wake(run)
    } catch (error) {
      // It was not woken: the next look is to try it again.
      this.#seen.delete(run)
      throw error
    }
  }

  /** Whatever is not due any more may become due again. */
  #forget(due: readonly DueRun[]): void {
    if (this.#seen.size === 0) return
    const still = new Map<string, number>()
    for (const { run, due: at } of due) if (this.#seen.get(run) === at) still.set(run, at)
    this.#seen = still
  }

  #arm(at: number): void {
    this.#disarm()
    this.#timerAt = at
    const wait = Math.min(longest, Math.max(0, at - this.#home.environment.now()))
    this.#timer = this.#home.environment.setTimeout(() => {
      this.#disarm()
      this.look()
    }, wait)
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#home.environment.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerAt = Number.POSITIVE_INFINITY
  }
}
