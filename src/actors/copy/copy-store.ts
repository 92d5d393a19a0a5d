import type { Store } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import { checkedStore } from '../given.ts'
import { CopyMemory } from './copy-memory.ts'
import { CopyPass } from './copy-pass.ts'
import { SourceFence } from './source-fence.ts'

/** How {@link copyStore} copies. */
export interface CopyOptions {
  /** Stops between two runs: what is copied stays, and the next copy goes on from there. */
  readonly signal?: AbortSignal | undefined
  /**
   * What becomes of the source.
   *
   * - `'leave'`: it goes on as before, and its runs are held in the target: their effects are shown, not started.
   * - `'quiet'`: nobody runs it any more; the target goes on where it stood. Mail that is under way is delivered first.
   * - `'fence'`: as `'quiet'`, and whoever holds its partitions loses them now, under a higher epoch. A partition that is
   *   claimed again meanwhile, as by a rebalance, is fenced and copied again, until nobody came in between. All workers must
   *   stay away from the source once the copy is over: the next that starts there claims its partitions as ever. Runs of no
   *   partition, which child runs are, have no lease to lose: once whoever has them open has ended, copy again, `'quiet'`.
   *
   * @default 'leave'
   */
  readonly source?: 'leave' | 'quiet' | 'fence' | undefined
  /** Told after each run of each pass: there are several where a source that is fenced was written to meanwhile. */
  readonly onProgress?: ((progress: CopyProgress) => void) | undefined
}

/** How far a copy is. */
export interface CopyProgress {
  /** Runs that were looked at, in this pass. */
  readonly runs: number
  /** Of these, runs that the target had already as they are. */
  readonly unchanged: number
  /** Units that were appended, in all passes. */
  readonly units: number
}

/** What a copy did. */
export interface CopyReport extends CopyProgress {
  /** Runs that were not copied, and why: `IMPORT_DIFFERS` where the target has another history, `LEASE_HELD` where somebody runs them there, `RUN_DAMAGED` or `COMMIT_DAMAGED` where the history cannot be read, and `HISTORY_SHALLOW` where a clone has not got it: the target then has the units before, if any. */
  readonly failed: readonly { readonly run: string; readonly error: XMachinesError }[]
}

/**
 * Copies the runs of a store into another one: histories with ids, provenance and epochs, what is kept beside them, the
 * machines, the epochs of the partitions, the newest snapshots. What the target has already is compared and left; so a
 * copy that was interrupted is simply made again. A run that differs, or is damaged, is reported, and the others go on.
 *
 * @throws OBJECT_FORMAT_MISMATCH: the ids would be others; ABORTED; what the stores throw
 */
export async function copyStore(from: Store, to: Store, options: CopyOptions = {}): Promise<CopyReport> {
  checkedStore('from', from)
  checkedStore('to', to)
  // Of one pass nobody will ever ask again.
  return new StoreCopier(from, to, new CopyMemory(options.source === 'fence' ? undefined : 0)).copy(options)
}

/** Copies between two stores, again and again: each pass after the first one reads only runs that have changed. */
export class StoreCopier {
  readonly #from: Store
  readonly #to: Store
  readonly #memory: CopyMemory

  /** @throws OBJECT_FORMAT_MISMATCH */
  constructor(from: Store, to: Store, memory = new CopyMemory()) {
    if (from.objectFormat !== to.objectFormat) {
      const message = `${from.location} has ${from.objectFormat} ids and ${to.location} has ${to.objectFormat} ones.`
      throw new XMachinesError('OBJECT_FORMAT_MISMATCH', `${message} Make a target with the hash of the source.`, {
        details: { objectFormat: from.objectFormat },
      })
    }
    this.#from = from
    this.#to = to
    this.#memory = memory
  }

  /** As {@link copyStore}. */
  async copy(options: CopyOptions = {}): Promise<CopyReport> {
    if (options.source !== 'fence') return this.#pass(options, 0)
    const fence = new SourceFence(this.#from, options.signal)
    await fence.close()
    for (let units = 0; ; ) {
      const report = await this.#pass(options, units)
      if (!(await fence.close())) return report
      units = report.units
    }
  }

  #pass(options: CopyOptions, units: number): Promise<CopyReport> {
    return new CopyPass(this.#from, this.#to, options, this.#memory, units).run()
  }
}
