import { resolve as absolute } from 'node:path'
import { batchStream } from '../../actors/batch-stream.ts'
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
} from '../../actors/contracts/store.ts'
import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { validateDue, validateHead, validateLease, validateRange } from '../misuse.ts'
import { readFailure } from './failures.ts'
import { isLocked } from './lock.ts'
import { LogReader } from './log-reader.ts'
import { readForkCreation, readUnits } from './reading.ts'
import { readMail, type WrittenMail } from './record.ts'
import type { Row } from './row.ts'
import type { RunIndex } from './run-index.ts'
import type { FileStoreSettings } from './settings.ts'
import { sortedIds } from './table-merge.ts'
import { inTurns, nextTurn } from './turns.ts'
import { holder, Writer } from './writer.ts'

const headsAtOnce = 256

/** The store of a directory. Reads go to the log as it is; the first write takes the lock and makes a {@link Writer}. */
export class FileStore implements Store {
  readonly objectFormat: ObjectFormat
  readonly location: string
  readonly #settings: FileStoreSettings
  readonly #reader: LogReader
  readonly #pending = new Set<Promise<unknown>>()
  #refreshing: Promise<void> | undefined
  #refreshNext: Promise<void> | undefined
  #writer: Writer | undefined
  #opening: Promise<Writer> | undefined
  #closing: Promise<void> | undefined

  constructor(dir: string, settings: FileStoreSettings) {
    this.location = absolute(dir)
    this.objectFormat = settings.objectFormat
    this.#settings = settings
    const { objectFormat, segmentBytes, files, readOnly, onWarning: warn } = settings
    this.#reader = new LogReader({ dir: this.location, objectFormat, files, segmentBytes, mustExist: readOnly, warn })
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    return this.#write(options?.signal, writer => writer.append(items))
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    const row = this.#writer === undefined ? undefined : this.#reader.row(run)
    return batchStream(this.#units(run, row, options))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#look(options?.signal, () => {
      validateHead(run, options)
      const row = this.#reader.row(run)
      return row && this.#headOf(row, options?.mail)
    })
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#look(options?.signal, () => this.#reader.index.pinned(namespace, key))
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return batchStream(this.#heads(options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#look(options?.signal, () => {
      const place = this.#reader.index.machine(oid)
      if (place === undefined) return undefined
      const line: { readonly record: MachineRecord } = JSON.parse(this.#reader.segments.line(place.position).toString())
      return deepFreeze(line.record)
    })
  }

  async saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    try {
      await this.#write(options?.signal, () => {
        this.#reader.snapshots.save(run, snapshot)
        return Promise.resolve()
      })
    } catch (error) {
      // A cache: who may not write keeps none.
      if (!XMachinesError.is(error, 'STORE_LOCKED') && !XMachinesError.is(error, 'STORE_READ_ONLY')) throw error
    }
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    const load = (): StoredSnapshot | undefined =>
      this.#reader.snapshots.load(run, options?.atMost ?? Number.POSITIVE_INFINITY)
    if (this.#writer !== undefined) return this.#look(options?.signal, load)
    return this.#look(options?.signal, async () => {
      await this.#reader.snapshots.scan()
      // What a writer kept meanwhile is of units that it wrote meanwhile.
      await this.#refresh()
      return load()
    })
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#write(options?.signal, writer => writer.claim(claim))
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    return this.#write(options?.signal, writer => writer.release(key))
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#look(options?.signal, () => {
      validateLease(key)
      return this.#reader.index.lease(key)
    })
  }

  deliver(mail: readonly Mail[], options?: AbortOptions): Promise<readonly MailOutcome[]> {
    return this.#write(options?.signal, writer => writer.deliver(mail))
  }

  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#look(options?.signal, async () => {
      validateDue(query)
      return (await this.#attentive()).due(query)
    })
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#write(options?.signal, writer => writer.renew(process, until))
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#look(options?.signal, async () => {
      const index = await this.#attentive()
      return Object.freeze(processes.map(process => index.until(process)))
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The index, which knows who is gone: what the last writer had in flight ended with it. */
  async #attentive(): Promise<RunIndex> {
    const { index } = this.#reader
    if (this.#writer === undefined && index.hasRenewalsBefore(holder) && !(await isLocked(this.location)))
      index.forgetRenewalsBefore(holder)
    return index
  }

  /** @throws STORE_CLOSED, ABORTED */
  #admit(signal: AbortSignal | undefined): void {
    if (this.#closing !== undefined) {
      throw new XMachinesError('STORE_CLOSED', `The store ${this.location} is closed. Open it again.`)
    }
    if (signal?.aborted) throw aborted(signal)
  }

  /** Does what only reads: at once where this process writes, else when what others wrote is known. */
  #look<T>(signal: AbortSignal | undefined, work: () => T | Promise<T>): Promise<T> {
    try {
      this.#admit(signal)
      if (this.#writer !== undefined) return Promise.resolve(work())
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#track(after(this.#refresh(), signal, work))
  }

  /** Does what writes. What waits for the lock is done in the order of the calls. */
  #write<T>(signal: AbortSignal | undefined, work: (writer: Writer) => Promise<T>): Promise<T> {
    try {
      this.#admit(signal)
      if (this.#writer !== undefined) return work(this.#writer)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.#track(after(this.#becomeWriter(), signal, work))
  }

  #track<T>(operation: Promise<T>): Promise<T> {
    this.#pending.add(operation)
    const done = (): void => {
      this.#pending.delete(operation)
    }
    operation.then(done, done)
    return operation
  }

  /** Knows all that was written before the call. Calls that wait for the same share one look. */
  #refresh(): Promise<void> {
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#refreshOnce().finally(() => {
        this.#refreshing = undefined
      })
      return this.#refreshing
    }
    this.#refreshNext ??= this.#refreshing
      .catch(() => {})
      .then(() => {
        this.#refreshNext = undefined
        return this.#refresh()
      })
    return this.#refreshNext
  }

  async #refreshOnce(): Promise<void> {
    if (this.#writer !== undefined) return
    try {
      await this.#reader.refresh()
    } catch (error) {
      throw readFailure(error, this.location)
    }
  }

  #becomeWriter(): Promise<Writer> {
    if (this.#opening !== undefined) return this.#opening
    // Who asked may stop waiting: `close` waits all the same, or the lock would be left held.
    this.#opening = this.#track(Writer.open(this.#reader, this.location, this.#settings, () => this.#refresh()))
    // The first of those that wait: nobody who calls later comes before those who called meanwhile.
    this.#opening.then(
      writer => {
        this.#writer = writer
      },
      () => {
        this.#opening = undefined
      },
    )
    return this.#opening
  }

  #readMail = (position: number): Mail =>
    readMail(JSON.parse(this.#reader.segments.line(position).toString()) as WrittenMail)

  #headOf(row: Row, mail?: number): RunHead {
    return row.toHead(this.#readMail, readForkCreation(this.#reader, row), mail)
  }

  async *#units(run: string, atCall: Row | undefined, options: ReadOptions): AsyncGenerator<Unit[]> {
    const { from = 0, ids = true, signal } = options
    validateRange(run, options)
    await this.#look(signal, () => {})
    const row = atCall ?? this.#reader.row(run)
    if (row === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The store ${this.location} has no run ${run}. Check the id.`, {
        details: { run },
      })
    }
    for (const batch of readUnits(this.#reader, row, from, options.to ?? row.seq, ids)) {
      yield batch
      // Reading is synchronous: others have a turn between two batches.
      await nextTurn()
      this.#admit(signal)
    }
  }

  async *#heads({ namespace, prefix = '', after, signal }: ListOptions): AsyncGenerator<RunHead[]> {
    await this.#look(signal, () => {})
    const { index } = this.#reader
    const loose = await inTurns(sortedIds(index.looseRuns()))
    let last = after === undefined || after < prefix ? prefix : after
    let inclusive = after === undefined || after < prefix
    for (;;) {
      this.#admit(signal)
      const rows = index.rowsAfter(loose, last, inclusive, headsAtOnce)
      const fitting = rows.filter(row => row.run.startsWith(prefix))
      yield fitting.filter(row => namespace === undefined || row.namespace === namespace).map(row => this.#headOf(row))
      if (rows.length < headsAtOnce || fitting.length < rows.length) return
      last = rows[rows.length - 1]!.run
      inclusive = false
      await nextTurn()
    }
  }

  async #close(): Promise<void> {
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
    await this.#writer?.close()
    await this.#reader.close()
  }
}

/**
 * What `work` makes of what is waited for, in the order of the calls. ABORTED where the signal fires during the wait; a
 * write that was begun is answered as it ends.
 */
function after<W, T>(wait: Promise<W>, signal: AbortSignal | undefined, work: (of: W) => T | Promise<T>): Promise<T> {
  if (signal === undefined) return wait.then(work)
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(aborted(signal))
    signal.addEventListener('abort', abort, { once: true })
    const done = wait.then(of => {
      if (signal.aborted) throw aborted(signal)
      signal.removeEventListener('abort', abort)
      return work(of)
    })
    done.then(resolve, error => {
      signal.removeEventListener('abort', abort)
      reject(error)
    })
  })
}
