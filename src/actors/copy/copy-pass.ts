import type { DamagedRun, LeaseRow, MachineRecord, RunHead, Store } from '../contracts/store.ts'
import { aborted, asError, XMachinesError } from '../errors.ts'
import { isUnreadable } from '../history/unreadable.ts'
import { AppendQueue } from './append-queue.ts'
import type { CopyMemory } from './copy-memory.ts'
import { idAt, RunCopy } from './copy-run.ts'
import type { CopyOptions, CopyProgress, CopyReport } from './copy-store.ts'
import { TargetLeases } from './target-leases.ts'
import { all, settleMail } from './unsettled-mail.ts'

/** Copies whose last item may still wait, at most. */
const mostOpen = 1024

/** Looks at each run of a store once, and copies what the target has not got. */
export class CopyPass {
  readonly #from: Store
  readonly #to: Store
  readonly #options: CopyOptions
  readonly #queue: AppendQueue
  readonly #leases: TargetLeases
  readonly #machines = new Map<string, MachineRecord>()
  readonly #memory: CopyMemory
  readonly #failed = new Map<string, XMachinesError>()
  #progress: CopyProgress
  /** Copies whose last item may still wait in the queue. */
  readonly #open = new Map<string, { readonly head: RunHead; readonly copy: RunCopy }>()

  /** @param units that passes before it have appended */
  constructor(from: Store, to: Store, options: CopyOptions, memory: CopyMemory, units: number) {
    this.#from = from
    this.#to = to
    this.#options = options
    this.#memory = memory
    this.#progress = { runs: 0, unchanged: 0, units }
    this.#queue = new AppendQueue(to)
    this.#leases = new TargetLeases(from, to)
  }

  async run(): Promise<CopyReport> {
    try {
      await this.#copyAll()
      await this.#flush()
      if (!this.#isHeld) await this.#settleMail()
    } finally {
      await this.#leases.release()
    }
    return { ...this.#progress, failed: [...this.#failed].map(([run, error]) => ({ run, error })) }
  }

  get #isHeld(): boolean {
    return (this.#options.source ?? 'leave') === 'leave'
  }

  /** Runs in the order of their ids; forks that are new in the target once the run is there that they begin with. */
  async #copyAll(): Promise<void> {
    const { signal } = this.#options
    /** Fork → the run that it begins with. All that is kept of them: there may be many. */
    const forks = new Map<string, string>()
    const targets = this.#to.list({ signal })[Symbol.asyncIterator]()
    let target = await targets.next()
    const damaged = ({ run, error }: DamagedRun): void => {
      this.#failed.set(run, asError(error, 'RUN_DAMAGED'))
      this.#looked({ changed: true, units: 0 })
    }
    for await (const head of this.#from.list({ signal, damaged })) {
      while (!target.done && target.value.run < head.run) target = await targets.next()
      const found = !target.done && target.value.run === head.run ? target.value : undefined
      const base = head.fork?.creation?.fork
      if (base !== undefined && found === undefined) forks.set(head.run, base.run)
      else await this.#copy(head, found)
    }
    await targets.return?.()
    await this.#flush()
    for (const fork of forks.keys()) await this.#copyFork(fork, forks)
  }

  /** A fork of a fork after that one. */
  async #copyFork(fork: string, forks: Map<string, string>): Promise<void> {
    const line: string[] = []
    for (let run: string | undefined = fork; run !== undefined && forks.has(run); run = forks.get(run)) line.push(run)
    for (const run of line.reverse()) {
      if (this.#open.has(forks.get(run)!)) await this.#flush()
      forks.delete(run)
      const head = (await this.#from.head(run))!
      if (await this.#hasBeginning(head)) await this.#copy(head, undefined)
      else {
        const message = `Run ${run} was not copied: ${this.#to.location} has not got what it begins with, as the copy of that failed.`
        this.#failed.set(run, new XMachinesError('IMPORT_DIFFERS', message, { details: { run, seq: head.fork!.seq } }))
        this.#looked({ changed: true, units: 0 })
      }
    }
  }

  /** Whether the unit that a fork begins after is in the target, where the run that has it may not have been copied. */
  async #hasBeginning({ fork }: RunHead): Promise<boolean> {
    const { run, at, parent } = fork!.creation!.fork!
    if (!this.#failed.has(run)) return true
    const there = await this.#to.head(run)
    return there !== undefined && there.seq >= at && (await idAt(this.#to, run, at)) === parent
  }

  async #copy(listed: RunHead, listedTarget: RunHead | undefined): Promise<void> {
    const { signal } = this.#options
    if (signal?.aborted) throw aborted(signal)
    if (this.#memory.isAsLeft(listed, listedTarget, this.#isHeld)) return this.#looked({ changed: false, units: 0 })
    const head = await withInbox(this.#from, listed)
    const target = listedTarget && (await withInbox(this.#to, listedTarget))
    const lease = async (): Promise<LeaseRow | undefined> => head.lease && this.#leases.of(head.lease)
    const place = {
      from: this.#from,
      to: this.#to,
      queue: this.#queue,
      lease,
      held: this.#isHeld,
      isCompared: (of: RunHead) => this.#memory.isCompared(of),
      signal,
      machine: this.#machine,
    }
    const copy = new RunCopy(place, head, target)
    this.#open.set(head.run, { head, copy })
    try {
      await copy.run()
    } catch (thrown) {
      if (!isOfRun(thrown)) throw thrown
      copy.error ??= thrown
    }
    if (this.#open.size >= mostOpen || this.#queue.isEmpty) await this.#flush()
  }

  async #flush(): Promise<void> {
    await this.#queue.flush()
    for (const [run, { head, copy }] of this.#open) {
      const { error } = copy
      if (error !== undefined) this.#failed.set(run, error)
      this.#memory.remember(head, error === undefined ? copy.revision : undefined, this.#isHeld)
      this.#looked({ changed: copy.changed || error !== undefined, units: copy.units })
    }
    this.#open.clear()
  }

  #looked(copy: { readonly changed: boolean; readonly units: number }): void {
    const { runs, unchanged, units } = this.#progress
    this.#progress = {
      runs: runs + 1,
      unchanged: unchanged + (copy.changed ? 0 : 1),
      units: units + copy.units,
    }
    this.#options.onProgress?.(this.#progress)
  }

  async #settleMail(): Promise<void> {
    const { signal } = this.#options
    for await (const head of this.#from.list({ signal, damaged: () => {} })) {
      // What it sent cannot be read, and it does not go on in the target.
      if (isUnreadable(this.#failed.get(head.run))) continue
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

/** Whether one run cannot be copied, for a reason of its own: the others can. */
function isOfRun(thrown: unknown): thrown is XMachinesError {
  return isUnreadable(thrown) || XMachinesError.is(thrown, 'IMPORT_DIFFERS') || XMachinesError.is(thrown, 'LEASE_HELD')
}

/** A listing shows only the oldest mail of a long inbox. */
async function withInbox(store: Store, head: RunHead): Promise<RunHead> {
  const { inbox, waiting } = head.beside
  return inbox.length === waiting ? head : ((await store.head(head.run, all)) ?? head)
}
