import { batchStream } from '../actors/batch-stream.ts'
import type {
  AbortOptions,
  AppendItem,
  AppendOutcome,
  Claim,
  DueQuery,
  DueRun,
  HeadOptions,
  LeaseKey,
  LeaseRow,
  ListOptions,
  MachineRecord,
  Mail,
  MailOutcome,
  ReadOptions,
  RunHead,
  Store,
  StoredSnapshot,
} from '../actors/contracts/store.ts'
import type { ObjectFormat, Unit } from '../actors/contracts/unit.ts'
import { aborted, XMachinesError } from '../actors/errors.ts'
import { AttentionIndex, partitionName } from './attention.ts'
import { judge, judgeMail, mailId } from './judge.ts'
import { MemoryRun } from './memory/run.ts'
import {
  validateClaim,
  validateDue,
  validateHead,
  validateItem,
  validateLease,
  validateMail,
  validateRange,
  validateRenewal,
} from './misuse.ts'

/** How {@link memoryStore} is made. */
export interface MemoryStoreOptions {
  /** The hash of the ids. @default 'sha1' */
  readonly objectFormat?: ObjectFormat | undefined
}

/** How many units or heads a reader is handed at once. */
const batchSize = 256

/**
 * A store in the memory of this process: nothing survives `close`. For tests, for tools, and for runs that need a
 * history only as long as they live.
 *
 * It keeps the units that it is handed as they are. Every operation is done when its call returns; the promise only says so.
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { objectFormat = 'sha1' } = options
  if (objectFormat !== 'sha1' && objectFormat !== 'sha256') {
    throw new TypeError(`Expected \`objectFormat\` to be 'sha1' or 'sha256', got ${String(objectFormat)}.`)
  }
  return new MemoryStore(objectFormat)
}

class MemoryStore implements Store {
  readonly objectFormat: ObjectFormat
  readonly location = 'memory'
  readonly #runs = new Map<string, MemoryRun>()
  /** Namespace → key → run. */
  readonly #pins = new Map<string, Map<string, string>>()
  readonly #machines = new Map<string, MachineRecord>()
  readonly #leases = new Map<string, LeaseRow>()
  readonly #attention = new AttentionIndex()
  /** The ids of all runs in order; made when a listing needs it. */
  #sorted: readonly string[] | undefined
  #closed = false

  constructor(objectFormat: ObjectFormat) {
    this.objectFormat = objectFormat
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    try {
      this.#admit(options?.signal)
      for (const item of items) this.#validate(item)
      return Promise.resolve(items.map(item => this.#append(item)))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    const found = this.#runs.get(run)
    return batchStream(this.#units(run, found, found?.seq ?? -1, options))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#do(options?.signal, () => {
      validateHead(run, options)
      return this.#runs.get(run)?.head(options?.mail)
    })
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#do(options?.signal, () => this.#pins.get(namespace)?.get(key))
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return batchStream(this.#heads(options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#do(options?.signal, () => this.#machines.get(oid))
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    return this.#do(options?.signal, () => this.#runs.get(run)?.saveSnapshot(snapshot))
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    return this.#do(options?.signal, () => this.#runs.get(run)?.snapshot(options?.atMost ?? Number.POSITIVE_INFINITY))
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#do(options?.signal, () => {
      validateClaim(claim)
      const { namespace, partition, owner, group, above = 0 } = claim
      const epoch = Math.max(this.#leaseOf(claim)?.epoch ?? 0, above) + 1
      return this.#setLease({ namespace, partition, epoch, owner, group })
    })
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    return this.#do(options?.signal, () => {
      validateLease(key, key.epoch)
      const row = this.#leaseOf(key)
      if (row === undefined || row.epoch !== key.epoch) return false
      this.#setLease({ ...row, owner: null, group: null })
      return true
    })
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#do(options?.signal, () => {
      validateLease(key)
      return this.#leaseOf(key)
    })
  }

  deliver(mail: readonly Mail[], options?: AbortOptions): Promise<readonly MailOutcome[]> {
    return this.#do(options?.signal, () => {
      validateMail(mail)
      return mail.map(entry => {
        const run = this.#runs.get(entry.receiver)
        const name = mailId(entry)
        const outcome = judgeMail(run, run?.knows(name) ?? false)
        if (outcome === 'taken' && run !== undefined) {
          run.receive(entry, name)
          this.#attend(run)
        }
        return outcome
      })
    })
  }

  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#do(options?.signal, () => {
      validateDue(query)
      return this.#attention.due(query)
    })
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#do(options?.signal, () => {
      validateRenewal(process, until)
      this.#attention.renew(process, until)
    })
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#do(options?.signal, () => Object.freeze(processes.map(process => this.#attention.until(process))))
  }

  close(): Promise<void> {
    this.#closed = true
    for (const kept of [this.#runs, this.#pins, this.#machines, this.#leases]) kept.clear()
    return Promise.resolve()
  }

  /** @throws STORE_CLOSED, ABORTED */
  #admit(signal: AbortSignal | undefined): void {
    if (this.#closed) throw new XMachinesError('STORE_CLOSED', 'The memory store is closed. Make a new one.')
    if (signal?.aborted) throw aborted(signal)
  }

  #do<T>(signal: AbortSignal | undefined, work: () => T): Promise<T> {
    try {
      this.#admit(signal)
      return Promise.resolve(work())
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #leaseOf = (key: LeaseKey): LeaseRow | undefined => this.#leases.get(partitionName(key))

  #setLease(row: LeaseRow): LeaseRow {
    this.#leases.set(partitionName(row), Object.freeze(row))
    return row
  }

  #validate(item: AppendItem): void {
    validateItem(item)
    const fork = item.expected === null ? item.units[0]?.creation?.fork : undefined
    if (fork !== undefined && !((this.#runs.get(fork.run)?.seq ?? -1) >= fork.at)) {
      throw new TypeError(`Expected the run ${fork.run} to have a unit ${fork.at} to fork at; the store has none.`)
    }
  }

  #append(item: AppendItem): AppendOutcome {
    const creation = item.expected === null ? item.units[0]!.creation : undefined
    const known = this.#runs.get(item.run)
    const pinned = creation?.key === undefined ? undefined : this.#pins.get(creation.namespace)?.get(creation.key)
    const outcome = judge(item, known, pinned, this.#leaseOf)
    if (outcome.status !== 'appended') return outcome
    const machine = item.machine === undefined ? undefined : this.#keepMachine(item.machine)
    const run = known ?? this.#create(item, machine!)
    run.take(item, machine)
    this.#attend(run)
    return outcome
  }

  #create(item: AppendItem, machine: MachineRecord): MemoryRun {
    const { namespace, key, fork } = item.units[0]!.creation!
    const run = new MemoryRun(item, machine, fork && this.#runs.get(fork.run), this.objectFormat)
    this.#runs.set(item.run, run)
    this.#sorted = undefined
    if (key !== undefined) {
      const keys = this.#pins.get(namespace)
      if (keys === undefined) this.#pins.set(namespace, new Map([[key, item.run]]))
      else keys.set(key, item.run)
    }
    return run
  }

  #keepMachine(machine: MachineRecord): MachineRecord {
    const kept = this.#machines.get(machine.oid) ?? Object.freeze({ ...machine })
    this.#machines.set(machine.oid, kept)
    return kept
  }

  #attend(run: MemoryRun): void {
    this.#attention.set(run.attention, run.due, run.beside.process, run.lease)
  }

  async *#units(id: string, run: MemoryRun | undefined, head: number, options: ReadOptions): AsyncGenerator<Unit[]> {
    const { from = 0, to = head, ids = true, signal } = options
    validateRange(id, options)
    this.#admit(signal)
    if (run === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The memory store has no run ${id}. Check the id.`, {
        details: { run: id },
      })
    }
    const last = Math.min(to, head)
    for (let next = Math.max(0, from); next <= last; next += batchSize) {
      yield run.history.units(next, Math.min(last, next + batchSize - 1), ids)
      this.#admit(signal)
    }
  }

  async *#heads({ namespace, prefix = '', after, signal }: ListOptions): AsyncGenerator<RunHead[]> {
    this.#admit(signal)
    this.#sorted ??= [...this.#runs.keys()].sort()
    const sorted = this.#sorted
    let at = after === undefined || after < prefix ? lowerBound(sorted, prefix) : lowerBound(sorted, after)
    while (at < sorted.length && sorted[at]!.startsWith(prefix)) {
      const batch: RunHead[] = []
      for (; at < sorted.length && sorted[at]!.startsWith(prefix) && batch.length < batchSize; at++) {
        const run = this.#runs.get(sorted[at]!)!
        if (sorted[at] !== after && (namespace === undefined || run.creation.namespace === namespace)) {
          batch.push(run.head())
        }
      }
      yield batch
      this.#admit(signal)
    }
  }
}

/** The first index whose id is not before `id`. */
function lowerBound(sorted: readonly string[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}
