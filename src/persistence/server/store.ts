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
import { aborted, messageOf, XMachinesError } from '../../actors/errors.ts'
import { deepFreeze } from '../deep-freeze.ts'
import {
  validateClaim,
  validateDue,
  validateHead,
  validateLease,
  validateMail,
  validateRange,
  validateRenewal,
} from '../misuse.ts'
import { inboxPage } from '../waiting.ts'
import { Appends } from './appends.ts'
import type { ServerBackend, WrittenHead } from './backend.ts'
import { Patience } from './patience.ts'
import { readUnits } from './reading.ts'
import { headOf, type RunRow, readRow } from './run-row.ts'

/** How a store on a server is made, whichever server it is. */
export interface ServerStoreOptions {
  /** The hash of the ids, fixed when the store is made. @default 'sha1' */
  readonly objectFormat?: ObjectFormat | undefined
  /** How long an operation goes on trying while the server does not answer, ms. @default 10_000 */
  readonly patience?: number | undefined
  /** Whether a store is made where there is none; else operations reject with `STORE_MISSING`. @default true */
  readonly create?: boolean | undefined
}

const headsAtOnce = 256

/**
 * A store that a server keeps: what all of them do alike. What is decided here is sent with the condition that it was
 * decided for, and the server judges; so any number of processes may share one.
 */
export class ServerStore implements Store {
  readonly objectFormat: ObjectFormat
  readonly location: string
  readonly shared = true
  readonly #server: ServerBackend
  readonly #patience: Patience
  readonly #create: boolean
  readonly #appends: Appends
  readonly #pending = new Set<Promise<unknown>>()
  #opened: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(server: ServerBackend, options: ServerStoreOptions) {
    const { objectFormat = 'sha1', patience = 10_000, create = true } = options
    if (objectFormat !== 'sha1' && objectFormat !== 'sha256') {
      throw new TypeError(`Expected \`objectFormat\` to be 'sha1' or 'sha256', got ${String(objectFormat)}.`)
    }
    if (!(patience >= 0)) throw new TypeError(`Expected \`patience\` to be milliseconds, 0 or more, got ${patience}.`)
    this.objectFormat = objectFormat
    this.location = server.location
    this.#server = server
    this.#patience = new Patience(patience)
    this.#create = create
    this.#appends = new Appends(server, (work, signal) => this.#patiently(work, signal))
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    if (items.length === 0) return this.#ask(options?.signal, async () => [])
    return this.#run(options?.signal, () => this.#appends.append(items, options?.signal))
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    const row = this.#run(options.signal, () => this.#row(run))
    // Whoever reads is told; a stream that nobody reads tells nobody.
    row.catch(() => {})
    return batchStream(this.#units(run, row, options))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#ask(options?.signal, async () => {
      validateHead(run, options)
      const head = await this.#server.readings.head(run, options?.mail ?? inboxPage)
      return head && this.#headOf(head)
    })
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#ask(options?.signal, () => this.#server.readings.pinned(namespace, key))
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return batchStream(this.#heads(options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#ask(options?.signal, async () => {
      try {
        return deepFreeze(await this.#server.readings.machine(oid))
      } catch (cause) {
        if (!(cause instanceof SyntaxError)) throw cause
        const text = `What ${this.location} keeps of the machine ${oid} cannot be read: ${messageOf(cause)}. Restore it from a copy.`
        throw new XMachinesError('STORE_DAMAGED', text, { cause, details: { machine: oid } })
      }
    })
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    return this.#ask(options?.signal, () => this.#server.snapshots.save(run, snapshot))
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    const atMost = options?.atMost ?? Number.POSITIVE_INFINITY
    return this.#ask(options?.signal, async () => {
      try {
        return deepFreeze(await this.#server.snapshots.load(run, atMost))
      } catch (cause) {
        // A snapshot that cannot be read is none: the history has it all.
        if (cause instanceof SyntaxError) return undefined
        throw cause
      }
    })
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#ask(options?.signal, async () => {
      validateClaim(claim)
      return deepFreeze(await this.#server.leases.claim(claim))
    })
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    return this.#ask(options?.signal, async () => {
      validateLease(key, key.epoch)
      return this.#server.leases.release(key)
    })
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#ask(options?.signal, async () => {
      validateLease(key)
      return deepFreeze(await this.#server.leases.row(key))
    })
  }

  deliver(mail: readonly Mail[], options?: AbortOptions): Promise<readonly MailOutcome[]> {
    // Taken by a try whose answer was lost, it would be a duplicate now: either way it is in the inbox, once.
    return this.#ask(options?.signal, async () => {
      validateMail(mail)
      return mail.length === 0 ? [] : this.#server.deliver(mail)
    })
  }

  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#ask(options?.signal, async () => {
      validateDue(query)
      return deepFreeze(await this.#server.attention.due(query))
    })
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#ask(options?.signal, async () => {
      validateRenewal(process, until)
      await this.#server.attention.renew(process, until)
    })
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.attention.livesUntil(processes)))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #row(run: string): Promise<RunRow | undefined> {
    const rows = await this.#patiently(() => this.#server.readings.rows([run]), undefined)
    return rows[0] && readRow(rows[0])
  }

  #headOf({ row, inbox, waiting }: WrittenHead): RunHead {
    if (row instanceof XMachinesError) throw row
    return headOf(readRow(row), deepFreeze(inbox), waiting)
  }

  async *#units(run: string, atCall: Promise<RunRow | undefined>, options: ReadOptions): AsyncGenerator<Unit[]> {
    const { from = 0, ids = true, signal } = options
    const row = await atCall
    validateRange(run, options)
    this.#admit(signal)
    if (row === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The store ${this.location} has no run ${run}. Check the id.`, {
        details: { run },
      })
    }
    const source = {
      objectFormat: this.objectFormat,
      row: (of: string) => this.#row(of),
      units: (of: string, first: number, last: number) =>
        this.#ask(signal, () => this.#server.readings.units(of, first, last)),
    }
    for await (const batch of readUnits(source, row, from, options.to ?? row.seq, ids)) {
      this.#admit(signal)
      yield batch
    }
    this.#admit(signal)
  }

  async *#heads({ namespace, prefix = '', after, signal, damaged }: ListOptions): AsyncGenerator<RunHead[]> {
    let inclusive = after === undefined || after < prefix
    let last = inclusive ? prefix : after!
    for (;;) {
      const query = { after: last, inclusive, prefix, namespace, limit: headsAtOnce }
      const heads = await this.#ask(signal, () => this.#server.readings.heads(query))
      const readable: RunHead[] = []
      for (const written of heads) {
        try {
          readable.push(this.#headOf(written))
        } catch (error) {
          if (damaged === undefined || !XMachinesError.is(error, 'RUN_DAMAGED')) throw error
          const { run, row } = written
          const { namespace, key = null } = row instanceof XMachinesError ? {} : row
          const names = { ...(namespace !== undefined && { namespace }), ...(key !== null && { key }) }
          damaged({ run, ...names, error })
        }
      }
      if (readable.length > 0) yield readable
      if (heads.length < headsAtOnce) return
      last = heads.at(-1)!.run
      inclusive = false
    }
  }

  /** @throws STORE_CLOSED, ABORTED */
  #admit(signal: AbortSignal | undefined): void {
    if (this.#closing !== undefined) {
      throw new XMachinesError('STORE_CLOSED', `The store ${this.location} is closed. Make a new one.`)
    }
    if (signal?.aborted) throw aborted(signal)
  }

  /** One question to the server. */
  #ask<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return this.#run(signal, () => this.#patiently(work, signal))
  }

  /** Asks the server once it is open, and again while it does not answer. @param work is told whether a try before may have been done */
  #patiently<T>(work: (mayBeDone: boolean) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#patience.run(async mayBeDone => {
      await this.#open()
      return work(mayBeDone)
    }, signal)
  }

  /** An operation: refused when closed or aborted; closing waits for it. */
  async #run<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    this.#admit(signal)
    const running = work()
    this.#pending.add(running)
    try {
      return await running
    } finally {
      this.#pending.delete(running)
    }
  }

  /** Opens at the first operation; after a failure, at the next. */
  #open(): Promise<void> {
    if (this.#opened === undefined) {
      this.#opened = this.#server.open(this.objectFormat, this.#create)
      this.#opened.catch(() => {
        this.#opened = undefined
      })
    }
    return this.#opened
  }

  async #close(): Promise<void> {
    this.#patience.end()
    while (this.#pending.size > 0) await Promise.allSettled(this.#pending)
    this.#appends.clear()
    await this.#server.close()
  }
}
