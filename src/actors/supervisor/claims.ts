import type { LeaseKey, Store } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import { leaseHeld } from '../run/run-errors.ts'
import { mayPass } from './failures.ts'
import type { Settings } from './options.ts'

/** How often a claim is given back to a store that fails: an owner that stays is ended by hand. */
const tries = 4

/** Of each store, by partition, who was answered last in this process: the row does not say which of its supervisors that is. */
const answered = new WeakMap<Store, Map<string, Claims>>()

/** What claims need of the settings. */
type ClaimSettings = Pick<Settings, 'store' | 'consumer' | 'environment' | 'backoff'>

/** The row of a partition in the store, as a supervisor claims it and gives it back. */
export class Claims {
  readonly #settings: ClaimSettings
  readonly #key: LeaseKey
  #claiming: Promise<unknown> = Promise.resolve()
  /** Of the last claim that was answered. */
  #epoch: number | undefined
  /** The last one may have been done, under an epoch that only the store knows. */
  #isUncertain = false

  constructor(settings: ClaimSettings, key: LeaseKey) {
    this.#settings = settings
    this.#key = key
  }

  /** Takes it over; answers the new epoch. */
  claim(): Promise<number> {
    const { store, consumer, environment } = this.#settings
    const claimed = store
      .claim({ ...this.#key, owner: environment.process, group: consumer.group })
      // Known before whoever waits to give it back looks.
      .then(({ epoch }) => {
        this.#isUncertain = false
        this.#enter(epoch)
        return (this.#epoch = epoch)
      })
    this.#claiming = claimed.catch(error => {
      this.#isUncertain ||= XMachinesError.is(error, 'STORE_OUTCOME_UNKNOWN')
    })
    return claimed
  }

  /** Why it must not be claimed again: it has an owner of another group. */
  async hindrance(): Promise<XMachinesError | undefined> {
    const { store, consumer } = this.#settings
    const { owner = null, group = null, epoch = 0 } = (await store.lease(this.#key)) ?? {}
    if (owner === null || group === consumer.group) return undefined
    return leaseHeld(`${this.#key.namespace}/${this.#key.partition}`, { epoch, owner })
  }

  /** Gives it back, once a claim that is under way is answered: it may bring another epoch. */
  async release(): Promise<void> {
    await this.#claiming
    const { store, environment, backoff } = this.#settings
    for (let attempt = 1; attempt <= tries; attempt++) {
      try {
        const epoch = this.#isUncertain ? await this.#ownEpoch() : this.#epoch
        if (epoch !== undefined) await store.release({ ...this.#key, epoch })
        const holders = answered.get(store)
        if (holders?.get(this.#name) === this) holders.delete(this.#name)
        return
      } catch (thrown) {
        if (!mayPass(thrown)) return
        await new Promise<void>(resolve => environment.setTimeout(resolve, backoff(attempt)))
      }
    }
  }

  /** That of the row, if this process owns it, and no other supervisor of the process is known to. */
  async #ownEpoch(): Promise<number | undefined> {
    const { store, consumer, environment } = this.#settings
    const row = await store.lease(this.#key)
    if (row?.owner !== environment.process || row.group !== consumer.group) return undefined
    const holder = answered.get(store)?.get(this.#name)
    return holder === undefined || holder === this || holder.#epoch !== row.epoch ? row.epoch : undefined
  }

  get #name(): string {
    return `${this.#key.partition}/${this.#key.namespace}`
  }

  #enter(epoch: number): void {
    const { store } = this.#settings
    const holders = answered.get(store) ?? new Map<string, Claims>()
    answered.set(store, holders)
    const holder = holders.get(this.#name)
    if (holder === undefined || (holder.#epoch ?? 0) <= epoch) holders.set(this.#name, this)
  }
}
