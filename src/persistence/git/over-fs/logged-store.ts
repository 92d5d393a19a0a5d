import { batchesOf, batchStream } from '../../../actors/batch-stream.ts'
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
  ReadOptions,
  RunHead,
  Store,
  StoredSnapshot,
} from '../../../actors/contracts/store.ts'
import type { ObjectFormat, Unit } from '../../../actors/contracts/unit.ts'
import { messageOf, XMachinesError } from '../../../actors/errors.ts'
import { memoryStore } from '../../memory.ts'
import type { Operation, OperationLog } from './operation-log.ts'

interface Waiting {
  /** Does it in memory; what it is recorded as, if it changed anything. */
  readonly work: (memory: Store) => Promise<{ readonly result: unknown; readonly operation: Operation | undefined }>
  readonly resolve: (result: never) => void
  readonly reject: (error: unknown) => void
}

interface Reader {
  readonly read: (memory: Store) => void
  readonly reject: (error: unknown) => void
}

/**
 * A store in memory whose operations are logged: one is answered, and shown, when it is in the log. What waits while the
 * log is written goes into the next file together.
 */
export class LoggedStore implements Store {
  readonly objectFormat: ObjectFormat
  readonly location: string
  readonly #log: OperationLog
  #memory: Store | undefined
  #waiting: Waiting[] = []
  #readers: Reader[] = []
  #running = false

  constructor(log: OperationLog, { location, objectFormat }: Pick<Store, 'location' | 'objectFormat'>) {
    this.#log = log
    this.location = location
    this.objectFormat = objectFormat
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    return this.#write(
      memory => memory.append(items, options),
      outcomes => {
        const appended = items.filter((_, at) => outcomes[at]!.status === 'appended')
        return appended.length === 0 ? undefined : { do: 'append', items: appended }
      },
    )
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#write(
      memory => memory.claim(claim, options),
      () => ({ do: 'claim', claim }),
    )
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    const { namespace, partition, epoch } = key
    const operation = { do: 'release', key: { namespace, partition, epoch } } as const
    return this.#write(
      memory => memory.release(key, options),
      isDone => (isDone ? operation : undefined),
    )
  }

  deliver(mail: readonly Mail[], options?: AbortOptions): ReturnType<Store['deliver']> {
    return this.#write(
      memory => memory.deliver(mail, options),
      outcomes => {
        const taken = mail.filter((_, at) => outcomes[at] === 'taken')
        return taken.length === 0 ? undefined : { do: 'deliver', mail: taken }
      },
    )
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#write(
      memory => memory.renew(process, until, options),
      () => ({ do: 'renew', process, until }),
    )
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    return this.#write(
      memory => memory.saveSnapshot(run, snapshot, options),
      () => ({ do: 'snapshot', run, snapshot }),
    )
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#read(memory => memory.head(run, options))
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#read(memory => memory.find(namespace, key, options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#read(memory => memory.machine(oid, options))
  }

  loadSnapshot(run: string, options?: Parameters<Store['loadSnapshot']>[1]): Promise<StoredSnapshot | undefined> {
    return this.#read(memory => memory.loadSnapshot(run, options))
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#read(memory => memory.lease(key, options))
  }

  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#read(memory => memory.due(query, options))
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#read(memory => memory.livesUntil(processes, options))
  }

  read(run: string, options: ReadOptions = {}): ReadableStream<Unit> {
    return this.#stream(memory => memory.read(run, options))
  }

  list(options: ListOptions = {}): ReadableStream<RunHead> {
    return this.#stream(memory => memory.list(options))
  }

  /** Resolves when what was begun is done. */
  async close(): Promise<void> {
    // What cannot be read is not open.
    await this.#read(memory => memory.close()).catch(() => {})
  }

  /** Reads the log, if it is not read yet. @throws STORE_DAMAGED, STORE_UNAVAILABLE */
  async load(): Promise<void> {
    await this.#read(async () => {})
  }

  #write<T>(work: (memory: Store) => Promise<T>, operationOf: (result: T) => Operation | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const recorded = async (memory: Store) => {
        const result = await work(memory)
        return { result, operation: operationOf(result) }
      }
      this.#waiting.push({ work: recorded, resolve, reject })
      if (!this.#running) void this.#run()
    })
  }

  /** Between two groups, so that nothing is seen that is not durable. */
  async #read<T>(work: (memory: Store) => Promise<T>): Promise<T> {
    if (!this.#running && this.#memory !== undefined) return work(this.#memory)
    return new Promise((resolve, reject) => {
      this.#readers.push({ read: memory => work(memory).then(resolve, reject), reject })
      if (!this.#running) void this.#run()
    })
  }

  #stream<T>(of: (memory: Store) => ReadableStream<T>): ReadableStream<T> {
    if (!this.#running && this.#memory !== undefined) return of(this.#memory)
    const waited = async function* (this: LoggedStore): AsyncGenerator<readonly T[]> {
      yield* batchesOf(await this.#read(async memory => of(memory)))
    }
    return batchStream(waited.call(this))
  }

  /** Groups, readers and looks at the log, one after the other: a look beside a write would go back behind what it wrote. */
  async #run(): Promise<void> {
    this.#running = true
    do {
      await this.#group(this.#waiting.splice(0))
      await this.#answer(this.#readers.splice(0))
    } while (this.#waiting.length > 0 || this.#readers.length > 0)
    this.#running = false
  }

  async #group(group: readonly Waiting[]): Promise<void> {
    if (group.length === 0) return
    const answers: (() => void)[] = []
    const operations: Operation[] = []
    try {
      const memory = await this.#loaded()
      for (const { work, resolve, reject } of group) {
        try {
          const { result, operation } = await work(memory)
          if (operation !== undefined) operations.push(operation)
          answers.push(() => resolve(result as never))
        } catch (error) {
          answers.push(() => reject(error))
        }
      }
      if (operations.length > 0) await this.#log.append(operations)
    } catch (thrown) {
      // Memory is ahead of the log: what is there is read again.
      this.#memory = undefined
      const error = XMachinesError.is(thrown) ? thrown : unknown(this.location, thrown)
      for (const { reject } of group) reject(error)
      return
    }
    for (const answer of answers) answer()
  }

  async #answer(readers: readonly Reader[]): Promise<void> {
    if (readers.length === 0) return
    try {
      const memory = await this.#loaded()
      for (const { read } of readers) read(memory)
    } catch (error) {
      for (const { reject } of readers) reject(error)
    }
  }

  /** What the log says. Asked for by `#run` alone. @throws STORE_DAMAGED, STORE_UNAVAILABLE */
  async #loaded(): Promise<Store> {
    if (this.#memory !== undefined) return this.#memory
    const memory = memoryStore({ objectFormat: this.objectFormat })
    try {
      for (const operation of await this.#log.read()) await repeat(memory, operation)
    } catch (thrown) {
      throw XMachinesError.is(thrown) ? thrown : unread(this.location, thrown)
    }
    this.#memory = memory
    return memory
  }
}

/** Nothing was begun: what was asked for is not done. */
function unread(location: string, thrown: unknown): XMachinesError {
  return new XMachinesError(
    'STORE_UNAVAILABLE',
    `The file system of ${location} failed while the store was read: ${messageOf(thrown)}. Nothing was done. Try again.`,
    { cause: thrown, details: { path: location } },
  )
}

function unknown(location: string, thrown: unknown): XMachinesError {
  return new XMachinesError(
    'STORE_OUTCOME_UNKNOWN',
    `The file system of ${location} failed while it was written to: ${messageOf(thrown)}. Look whether it is there, or try again with the same id.`,
    { cause: thrown, details: { path: location } },
  )
}

async function repeat(memory: Store, operation: Operation): Promise<void> {
  switch (operation.do) {
    case 'append':
      await memory.append(operation.items)
      break
    case 'claim':
      await memory.claim(operation.claim)
      break
    case 'release':
      await memory.release(operation.key)
      break
    case 'deliver':
      await memory.deliver(operation.mail)
      break
    case 'renew':
      await memory.renew(operation.process, operation.until)
      break
    case 'snapshot':
      await memory.saveSnapshot(operation.run, operation.snapshot)
  }
}
