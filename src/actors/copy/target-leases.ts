import type { LeaseKey, LeaseRow, Store } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'

/** Who a copy claims partitions for. */
export const copier = 'xmachines copy'

/**
 * The partitions of the runs that are copied, held in the target while it is written to: a run is pinned by a leased
 * append. Their rows get the epochs that they have in the source, where the target has not come further.
 */
export class TargetLeases {
  readonly #from: Store
  readonly #to: Store
  readonly #held = new Map<string, LeaseRow>()

  constructor(from: Store, to: Store) {
    this.#from = from
    this.#to = to
  }

  /** The lease that an append to a run of the partition is made with. @throws LEASE_HELD: somebody runs them there already */
  async of({ namespace, partition }: LeaseKey): Promise<LeaseRow> {
    const key = { namespace, partition }
    const name = JSON.stringify([namespace, partition])
    const known = this.#held.get(name)
    if (known !== undefined) return known
    const [there, here] = await Promise.all([this.#from.lease(key), this.#to.lease(key)])
    if (here !== undefined && here.owner !== null && here.owner !== copier) {
      const message = `Partition ${partition} of '${namespace}' is held by '${here.owner}' in ${this.#to.location}.`
      throw new XMachinesError('LEASE_HELD', `${message} Stop it before runs of that partition are copied there.`, {
        details: { ...here },
      })
    }
    const above = (there?.epoch ?? 1) - 1
    const row = await this.#to.claim({ ...key, owner: copier, group: copier, above })
    this.#held.set(name, row)
    return row
  }

  async release(): Promise<void> {
    for (const row of this.#held.values()) await this.#to.release(row)
    this.#held.clear()
  }
}
