import type { LeaseRow, MachineRecord, RunHead, Store } from '../contracts/store.ts'
import { aborted, XMachinesError } from '../errors.ts'
import { AppendQueue } from './append-queue.ts'
import { RunCopy } from './copy-run.ts'
import { copier, TargetLeases } from './target-leases.ts'
import { all, settleMail } from './unsettled-mail.ts'

/** How {@link copyStore} copies. */
export interface CopyOptions {
  /** Stops between two runs: what is copied stays, and the next copy goes on from there. */
  readonly signal?: AbortSignal
  /**
   * What becomes of the source.
   *
   * - `'leave'`: it goes on as before, and its runs are held in the target: their effects are shown, not started.
   * - `'quiet'`: nobody runs it any more; the target goes on where it stood. Mail that is under way is delivered first.
   * - `'fence'`: as `'quiet'`, and whoever holds its partitions loses them now, under a higher epoch. Runs of no partition
   *   have no lease to lose: whoever has them open must have closed them.
   *
   * @default 'leave'
   */
  readonly source?: 'leave' | 'quiet' | 'fence'
  /** Told after each run. */
  readonly onProgress?: (progress: CopyProgress) => void
}

/** How far a copy is. */
export interface CopyProgress {
  /** Runs that were looked at. */
  readonly runs: number
  /** Of these, runs that the target had already as they are. */
  readonly unchanged: number
  /** Units that were appended. */
  readonly units: number
}

/** What a copy did. */
export interface CopyReport extends CopyProgress {
  /** Runs that were not copied, and why: `IMPORT_DIFFERS` where the target has another history, `LEASE_HELD` where somebody runs them there. */
  readonly failed: readonly { readonly run: string; readonly error: XMachinesError }[]
}

/**
 * Copies the runs of a store into another one: histories with ids, provenance and epochs, what is kept beside them, the
 * machines, the epochs of the partitions, the newest snapshots. What the target has already is compared and left; so a
 * copy that was interrupted is simply made again. A run that differs is reported, and the others go on.
 *
 * @throws OBJECT_FORMAT_MISMATCH: the ids would be others; ABORTED; what the stores throw
 */
export async function copyStore(from: Store, to: Store, options: CopyOptions = {}): Promise<CopyReport> {
  if (from.objectFormat !== to.objectFormat) {
    const message = `${from.location} has ${from.objectFormat} ids and ${to.location} has ${to.objectFormat} ones.`
    throw new XMachinesError('OBJECT_FORMAT_MISMATCH', `${message} Make a target with the hash of the source.`, {
      details: { objectFormat: from.objectFormat },
    })
  }
  const copy = new StoreCopy(from, to, options)
  return copy.run()
}

class StoreCopy {
  readonly #from: Store
  readonly #to: Store
  readonly #options: CopyOptions
  readonly #queue: AppendQueue
  readonly #leases: TargetLeases
  readonly #machines = new Map<string, MachineRecord>()
  readonly #fenced = new Set<string>()
  readonly #failed: { run: string; error: XMachinesError }[] = []
  #progress: CopyProgress = { runs: 0, unchanged: 0, units: 0 }
  /** Copies whose last item may still wait in the queue. */
  #open: { readonly run: string; readonly copy: RunCopy }[] = []

  constructor(from: Store, to: Store, options: CopyOptions) {
    this.#from = from
    this.#to = to
    this.#options = options
    this.#queue = new AppendQueue(to)
    this.#leases = new TargetLeases(from, to)
  }

  async run(): Promise<CopyReport> {
    try {
      if (this.#options.source === 'fence') await this.#fence()
      await this.#copyAll()
      await this.#flush()
      if (this.#options.source !== undefined && this.#options.source !== 'leave') await this.#settleMail()
    } finally {
      await this.#leases.release()
    }
    return { ...this.#progress, failed: this.#failed }
  }

  /** Nobody appends to the pinned runs of the source from here on. */
  async #fence(): Promise<void> {
    for await (const { lease } of this.#from.list({ signal: this.#options.signal })) {
      if (lease === undefined) continue
      const name = JSON.stringify([lease.namespace, lease.partition])
      if (this.#fenced.has(name)) continue
      this.#fenced.add(name)
      const row = await this.#from.lease(lease)
      if (row?.owner !== null && row?.owner !== copier)
        await this.#from.claim({ ...lease, owner: copier, group: copier })
    }
  }

  /** Runs in the order of their ids, forks once the run is there that they begin with. */
  async #copyAll(): Promise<void> {
    const forks: RunHead[] = []
    const targets = this.#to.list({ signal: this.#options.signal })[Symbol.asyncIterator]()
    let target = await targets.next()
    for await (const head of this.#from.list({ signal: this.#options.signal })) {
      if (head.fork !== undefined) {
        forks.push(head)
        continue
      }
      while (!target.done && target.value.run < head.run) target = await targets.next()
      await this.#copy(head, !target.done && target.value.run === head.run ? target.value : undefined)
    }
    await targets.return?.()
    // By what they begin with: a fork of a fork after that one.
    const left = new Map(forks.map(head => [head.run, head]))
    const copied = async (head: RunHead): Promise<void> => {
      if (!left.delete(head.run)) return
      const parent = left.get(head.fork!.creation!.fork!.run)
      if (parent !== undefined) await copied(parent)
      await this.#queue.flush()
      await this.#copy(head, await this.#to.head(head.run))
    }
    for (const head of forks) await copied(head)
  }

  async #copy(listed: RunHead, listedTarget: RunHead | undefined): Promise<void> {
    const { signal, source = 'leave' } = this.#options
    if (signal?.aborted) throw aborted(signal)
    const { run } = listed
    const head = await withInbox(this.#from, listed)
    const target = listedTarget && (await withInbox(this.#to, listedTarget))
    const lease = async (): Promise<LeaseRow | undefined> => head.lease && this.#leases.of(head.lease)
    const place = {
      from: this.#from,
      to: this.#to,
      queue: this.#queue,
      lease,
      held: source === 'leave',
      signal,
      machine: this.#machine,
    }
    const copy = new RunCopy(place, head, target)
    this.#open.push({ run, copy })
    try {
      await copy.run()
    } catch (thrown) {
      if (!XMachinesError.is(thrown, 'IMPORT_DIFFERS') && !XMachinesError.is(thrown, 'LEASE_HELD')) throw thrown
      copy.error ??= thrown
    }
    if (this.#open.length >= 1024) await this.#flush()
  }

  async #flush(): Promise<void> {
    await this.#queue.flush()
    for (const { run, copy } of this.#open.splice(0)) {
      const { runs, unchanged, units } = this.#progress
      if (copy.error !== undefined) this.#failed.push({ run, error: copy.error })
      this.#progress = {
        runs: runs + 1,
        unchanged: unchanged + (copy.changed || copy.error !== undefined ? 0 : 1),
        units: units + copy.units,
      }
      this.#options.onProgress?.(this.#progress)
    }
  }

  async #settleMail(): Promise<void> {
    const { signal } = this.#options
    for await (const head of this.#from.list({ signal })) {
      if (head.beside.mailing.length + head.beside.returns.length > 0)
        await settleMail(this.#from, this.#to, this.#leases, head)
    }
  }

  #machine = async (oid: string): Promise<MachineRecord> => {
    const record = this.#machines.get(oid) ?? (await this.#from.machine(oid))
    if (record === undefined) {
      throw new XMachinesError('STORE_DAMAGED', `${this.#from.location} has not got the machine ${oid} of its runs.`, {
        details: { machine: oid },
      })
    }
    this.#machines.set(oid, record)
    return record
  }
}

/** A listing shows only the oldest mail of a long inbox. */
async function withInbox(store: Store, head: RunHead): Promise<RunHead> {
  const { inbox, waiting } = head.beside
  return inbox.length === waiting ? head : ((await store.head(head.run, all)) ?? head)
}
