import { batchStream } from '../../actors/batch-stream.ts'
import type {
  AbortOptions,
  AppendItem,
  AppendOutcome,
  Claim,
  DueRun,
  HeadOptions,
  LeaseKey,
  LeaseRow,
  ListOptions,
  MachineRecord,
  Mail,
  ReadOptions,
  RunHead,
  Store,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { validateItem, validateRenewal } from '../misuse.ts'
import { inboxPage } from '../waiting.ts'
import { type Placed, Round } from './append.ts'
import type { Refused, RunWrite, ServerBackend, WrittenHead } from './backend.ts'
import { Patience } from './patience.ts'
import { readUnits } from './reading.ts'
import { RecentRows } from './recent-rows.ts'
import { rolledBack } from './rolled-back.ts'
import { headOf, type RunRow, readRow } from './run-row.ts'
import { perhapsDone } from './together.ts'

/** How a store on a server is made, whichever server it is. */
export interface ServerStoreOptions {
  /** The hash of the ids, fixed when the store is made. @default 'sha1' */
  readonly objectFormat?: ObjectFormat
  /** How long an operation goes on trying while the server does not answer, ms. @default 10_000 */
  readonly patience?: number
  /** Whether a store is made where there is none; else operations reject with `STORE_MISSING`. @default true */
  readonly create?: boolean
}

const headsAtOnce = 256

/** Of so many runs it is remembered where they stand, and of twice as many at most: a kilobyte or so each. */
const rememberedRuns = 8192

/**
 * A store that a server keeps: what all of them do alike. What is decided here is sent with the condition that it was
 * decided for, and the server judges; so any number of processes may share one.
 */
export class ServerStore implements Store {
  readonly objectFormat: ObjectFormat
  readonly location: string
  readonly #server: ServerBackend
  readonly #patience: Patience
  readonly #create: boolean
  readonly #recent = new RecentRows(rememberedRuns)
  readonly #pending = new Set<Promise<unknown>>()
  /** With how many writes it sent, names one among all others. */
  readonly #instance = newInstance()
  #rounds = 0
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
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    if (items.length === 0) return this.#ask(options?.signal, async () => [])
    return this.#run(options?.signal, async () => {
      const placed = items.map((item, place) => ({ place, item }))
      for (const item of items) validateItem(item)
      const outcomes = new Array<AppendOutcome>(items.length)
      for (let left: Placed[] = placed; left.length > 0; ) {
        const round = await this.#round(left, outcomes, options?.signal).catch(error => {
          throw outcomes.some(outcome => outcome?.status === 'appended') ? perhapsDone(error) : error
        })
        left = round.later
      }
      return outcomes
    })
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    const row = this.#run(options.signal, () => this.#row(run))
    // Whoever reads is told; a stream that nobody reads tells nobody.
    row.catch(() => {})
    return batchStream(this.#units(run, row, options))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#ask(options?.signal, async () => {
      const head = await this.#server.head(run, options?.mail ?? inboxPage)
      return head && this.#headOf(head)
    })
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#ask(options?.signal, () => this.#server.pinned(namespace, key))
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return batchStream(this.#heads(options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.machine(oid)))
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    return this.#ask(options?.signal, () => this.#server.saveSnapshot(run, snapshot))
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    const atMost = options?.atMost ?? Number.POSITIVE_INFINITY
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.loadSnapshot(run, atMost)))
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.claim(claim)))
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    return this.#ask(options?.signal, () => this.#server.release(key))
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.lease(key)))
  }

  deliver(
    mail: readonly Mail[],
    options?: AbortOptions,
  ): Promise<readonly ('taken' | 'duplicate' | 'unknown' | 'finished')[]> {
    // Taken by a try whose answer was lost, it would be a duplicate now: either way it is in the inbox, once.
    return this.#ask(options?.signal, async () => (mail.length === 0 ? [] : this.#server.deliver(mail)))
  }

  due(query: Parameters<Store['due']>[0], options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.due(query)))
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#ask(options?.signal, async () => {
      validateRenewal(process, until)
      await this.#server.renew(process, until)
    })
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#ask(options?.signal, async () => deepFreeze(await this.#server.livesUntil(processes)))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Judges what can be judged together, and has it written. @param outcomes takes what became of each */
  async #round(
    items: readonly Placed[],
    outcomes: AppendOutcome[],
    signal: AbortSignal | undefined,
  ): Promise<ReturnType<Round['settle']>> {
    await this.#learn(items, signal)
    const round = new Round(items, run => this.#recent.get(run))
    const { writes } = round
    const token = `${this.#instance}${(this.#rounds++).toString(36)}`
    const { refusals, mayBeDone } = await this.#patience.run(async mayBeDone => {
      await this.#open()
      return { refusals: await this.#server.append(writes, token), mayBeDone }
    }, signal)
    const forgotten = round.findForgotten(refusals)
    if (forgotten !== undefined) {
      throw rolledBack(this.location, `units of run ${forgotten} that it had`, forgotten)
    }
    // Not tried again: the server would only say the same.
    if (mayBeDone) refuseUncertain(writes, refusals)
    const settled = round.settle(refusals, outcomes)
    for (const row of settled.rows) this.#recent.set(row)
    return settled
  }

  /** Looks up where the runs stand of which that is not known, and whether there is what a fork begins with. */
  async #learn(items: readonly Placed[], signal: AbortSignal | undefined): Promise<void> {
    const wanted = new Set<string>()
    for (const { item } of items) {
      const { run, expected } = item
      const fork = forkOf(item)
      if (expected !== null && this.#recent.get(run)?.revision !== expected.revision) wanted.add(run)
      if (fork !== undefined && !((this.#recent.get(fork.run)?.seq ?? -1) >= fork.at)) wanted.add(fork.run)
    }
    if (wanted.size > 0) {
      const rows = await this.#patience.run(async () => {
        await this.#open()
        return this.#server.rows([...wanted])
      }, signal)
      for (const row of rows) this.#recent.set(readRow(row))
    }
    for (const { item } of items) {
      const fork = forkOf(item)
      if (fork !== undefined && !((this.#recent.get(fork.run)?.seq ?? -1) >= fork.at)) {
        throw new TypeError(`Expected the run ${fork.run} to have a unit ${fork.at} to fork at; the store has none.`)
      }
    }
  }

  async #row(run: string): Promise<RunRow | undefined> {
    const rows = await this.#patience.run(async () => {
      await this.#open()
      return this.#server.rows([run])
    }, undefined)
    return rows[0] && readRow(rows[0])
  }

  #headOf({ row, inbox, waiting }: WrittenHead): RunHead {
    return headOf(readRow(row), deepFreeze(inbox), waiting)
  }

  async *#units(run: string, atCall: Promise<RunRow | undefined>, options: ReadOptions): AsyncGenerator<Unit[]> {
    const { from = 0, ids = true, signal } = options
    const row = await atCall
    this.#admit(signal)
    if (row === undefined) {
      throw new XMachinesError('RUN_UNKNOWN', `The store ${this.location} has no run ${run}. Check the id.`, {
        details: { run },
      })
    }
    const source = {
      objectFormat: this.objectFormat,
      row: (of: string) => this.#row(of),
      units: (of: string, first: number, last: number) => this.#ask(signal, () => this.#server.units(of, first, last)),
    }
    for await (const batch of readUnits(source, row, from, options.to ?? row.seq, ids)) {
      this.#admit(signal)
      yield batch
    }
    this.#admit(signal)
  }

  async *#heads({ namespace, prefix = '', after, signal }: ListOptions): AsyncGenerator<RunHead[]> {
    let inclusive = after === undefined || after < prefix
    let last = inclusive ? prefix : after!
    for (;;) {
      const query = { after: last, inclusive, prefix, namespace, limit: headsAtOnce }
      const heads = await this.#ask(signal, () => this.#server.heads(query))
      if (heads.length > 0) yield heads.map(head => this.#headOf(head))
      if (heads.length < headsAtOnce) return
      last = heads.at(-1)!.row.run
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

  /** One question to the server, asked again while it does not answer. */
  #ask<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    return this.#run(signal, () =>
      this.#patience.run(async () => {
        await this.#open()
        return work()
      }, signal),
    )
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
    this.#recent.clear()
    await this.#server.close()
  }
}

function forkOf({ expected, units }: AppendItem): { readonly run: string; readonly at: number } | undefined {
  return expected === null ? units[0]?.creation?.fork : undefined
}

/**
 * A try before may have been done, and somebody may have gone on from there since: then what is refused now may have been
 * written, and whoever sent it must look.
 */
function refuseUncertain(writes: readonly RunWrite[], refusals: readonly (Refused | undefined)[]): void {
  for (const [at, refused] of refusals.entries()) {
    const { run, expected } = writes[at]!
    const isAsking = expected !== null && expected.seq < 0
    if (isAsking || refused?.row === undefined || refused.row.revision <= (expected?.revision ?? 0)) continue
    const message = `The answer to an append to run ${run} was lost, and the run has gone on since.`
    throw new XMachinesError('STORE_OUTCOME_UNKNOWN', `${message} Reopen it and look, or repeat with the same id.`, {
      details: { run },
    })
  }
}

/** Names an instance among all others of its store. */
function newInstance(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(9))
  return btoa(String.fromCharCode(...bytes))
}
