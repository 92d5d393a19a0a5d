import type { Store } from '../contracts/store.ts'
import type { Environment, TimeoutHandle } from '../environment.ts'
import { disown } from './disowning.ts'
import { journalOf } from './journal.ts'

/** How long a renewal holds, and how often it is said again, ms (semantics 22). */
const holds = 30_000
const every = 10_000

/**
 * Says of this process that it lives, for as long as any run has effects in flight here: one row in the store, however many
 * runs. Once the row has run out, hosts take what the process has left behind.
 */
class Presence {
  readonly #store: Store
  readonly #environment: Environment
  /** Until when the store is known to know that it lives, ms. */
  #until = 0
  #runs = 0
  /** Runs that a failure ended here, and of which the store may still say that this process has something in flight. */
  readonly #disowned = new Set<string>()
  #timer: TimeoutHandle | undefined

  constructor(store: Store, environment: Environment) {
    this.#store = store
    this.#environment = environment
  }

  /** A run has effects in flight. Called before the append that says so, which waits until nobody can meet the process unrenewed. */
  enter(): void {
    if (this.#runs++ > 0) return
    const rest = this.#until - this.#environment.now() - (holds - every)
    // More is left only where the clock was set back.
    if (rest > 0 && rest <= every) this.#wait(rest)
    else journalOf(this.#store).waitFor(this.#renew())
  }

  /** It has none any more. */
  leave(): void {
    if (--this.#runs > 0 || this.#timer === undefined) return
    this.#environment.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** A failure ended a run here. While the process lives for other runs, it has to be said that it has nothing of this one. */
  disown(run: string): void {
    this.#disowned.add(run)
  }

  async #renew(): Promise<void> {
    const environment = this.#environment
    const until = environment.now() + holds
    this.#wait(every)
    for (const run of this.#disowned) void this.#sayDisowned(run)
    // A failure is made good by the next one; the append itself tells of a store that is out of order.
    try {
      await this.#store.renew(environment.process, until)
      this.#until = until
    } catch {}
  }

  async #sayDisowned(run: string): Promise<void> {
    // Without an answer it is said again with the next renewal.
    const isSaid = await disown(this.#store, run, this.#environment).catch(() => false)
    if (isSaid) this.#disowned.delete(run)
  }

  #wait(ms: number): void {
    this.#timer = this.#environment.setTimeout(() => void this.#renew(), ms)
    // Nobody waits for it: it must not keep a program from its end.
    ;(this.#timer as unknown as { readonly unref?: () => void }).unref?.()
  }
}

const presences = new WeakMap<Store, WeakMap<Environment, Presence>>()

/** The presence of this process in a store. */
export function presenceOf(store: Store, environment: Environment): Presence {
  let ofStore = presences.get(store)
  if (ofStore === undefined) presences.set(store, (ofStore = new WeakMap()))
  let presence = ofStore.get(environment)
  if (presence === undefined) ofStore.set(environment, (presence = new Presence(store, environment)))
  return presence
}
