import { batchesOf, batchStream } from '../actors/batch-stream.ts'
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
import { Faults, type MetFault } from './faults.ts'

const writes = ['append', 'saveSnapshot', 'claim', 'release', 'deliver', 'renew'] as const
const reads = ['head', 'find', 'machine', 'loadSnapshot', 'lease', 'due', 'livesUntil'] as const
const streams = ['read', 'list'] as const

type Write = (typeof writes)[number]
type Call = Write | (typeof reads)[number]
type StreamCall = (typeof streams)[number]

/**
 * Where a {@link FaultyStore} can fail:
 * - `<operation>.before`: it rejects with `STORE_UNAVAILABLE` and the store is not asked. A stream errors with it.
 * - `<write>.after`: it is done, and its acknowledgement is lost: `STORE_OUTCOME_UNKNOWN`.
 * - `<operation>.delay`: it reaches the store only when the fault is released (or not at all, if its signal fires first).
 * - `<operation>.late`: it is done at once; the caller learns of it only when the fault is released.
 * - `append.torn`, `deliver.torn`: the first half of the items is written (of one item: nothing), then `STORE_OUTCOME_UNKNOWN`.
 * - `append.duplicate`, `deliver.duplicate`: it reaches the store twice, as from a driver that sends again; the first answer is given.
 * - `<stream>.torn`: the stream gives its first batch, then errors with `STORE_UNAVAILABLE`.
 */
export type StoreFaultPoint =
  | `${Call | StreamCall}.before`
  | `${Write}.after`
  | `${Call}.${'delay' | 'late'}`
  | `${'append' | 'deliver'}.${'torn' | 'duplicate'}`
  | `${StreamCall}.torn`

/** What a planned fault may look at: the first argument of the operation. */
export type StoreFaultCall = unknown

/** A store that fails where a test plans it to. */
export interface FaultyStore extends Store {
  readonly faults: Faults<StoreFaultPoint, StoreFaultCall>
}

/**
 * Wraps a store, so that a test can let it fail at named points. Without a planned fault it is the store.
 *
 * @example
 * const store = faultyStore(memoryStore())
 * store.faults.plan('append.after')           // the next append is written, and says STORE_OUTCOME_UNKNOWN
 * …
 * store.faults.assertAllFired()
 */
export function faultyStore(store: Store): FaultyStore {
  return new WrappedStore(store)
}

const points: readonly StoreFaultPoint[] = [
  ...[...writes, ...reads].flatMap(name => [`${name}.before`, `${name}.delay`, `${name}.late`] as const),
  ...writes.map(name => `${name}.after` as const),
  ...(['append', 'deliver'] as const).flatMap(name => [`${name}.torn`, `${name}.duplicate`] as const),
  ...streams.flatMap(name => [`${name}.before`, `${name}.torn`] as const),
]

class WrappedStore implements FaultyStore {
  readonly faults = new Faults<StoreFaultPoint, StoreFaultCall>(points)
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  get objectFormat(): ObjectFormat {
    return this.#store.objectFormat
  }

  get location(): string {
    return this.#store.location
  }

  get shared(): boolean {
    return this.#store.shared === true
  }

  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]> {
    return this.#list('append', items, options, part => this.#store.append(part, options))
  }

  read(run: string, options?: ReadOptions): ReadableStream<Unit> {
    return this.#stream('read', run, () => this.#store.read(run, options))
  }

  head(run: string, options?: HeadOptions): Promise<RunHead | undefined> {
    return this.#call('head', run, options, () => this.#store.head(run, options))
  }

  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined> {
    return this.#call('find', { namespace, key }, options, () => this.#store.find(namespace, key, options))
  }

  list(options?: ListOptions): ReadableStream<RunHead> {
    return this.#stream('list', options, () => this.#store.list(options))
  }

  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined> {
    return this.#call('machine', oid, options, () => this.#store.machine(oid, options))
  }

  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void> {
    return this.#call('saveSnapshot', run, options, () => this.#store.saveSnapshot(run, snapshot, options))
  }

  loadSnapshot(
    run: string,
    options?: AbortOptions & { readonly atMost?: number },
  ): Promise<StoredSnapshot | undefined> {
    return this.#call('loadSnapshot', run, options, () => this.#store.loadSnapshot(run, options))
  }

  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow> {
    return this.#call('claim', claim, options, () => this.#store.claim(claim, options))
  }

  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean> {
    return this.#call('release', key, options, () => this.#store.release(key, options))
  }

  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined> {
    return this.#call('lease', key, options, () => this.#store.lease(key, options))
  }

  deliver(mail: readonly Mail[], options?: AbortOptions): Promise<readonly MailOutcome[]> {
    return this.#list('deliver', mail, options, part => this.#store.deliver(part, options))
  }

  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]> {
    return this.#call('due', query, options, () => this.#store.due(query, options))
  }

  renew(process: string, until: number, options?: AbortOptions): Promise<void> {
    return this.#call('renew', process, options, () => this.#store.renew(process, until, options))
  }

  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]> {
    return this.#call('livesUntil', processes, options, () => this.#store.livesUntil(processes, options))
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  #list<Item, Answer>(
    name: 'append' | 'deliver',
    items: readonly Item[],
    options: AbortOptions | undefined,
    work: (items: readonly Item[]) => Promise<readonly Answer[]>,
  ): Promise<readonly Answer[]> {
    const fault = this.faults.meet([`${name}.torn`, `${name}.duplicate`], items)
    if (fault === undefined) return this.#call(name, items, options, () => work(items))
    if (fault.point === `${name}.duplicate`) return twice(() => work(items))
    return work(items.slice(0, items.length >> 1)).then(() => Promise.reject(outcomeUnknown(fault)))
  }

  #call<T>(name: Call, call: unknown, options: AbortOptions | undefined, work: () => Promise<T>): Promise<T> {
    const at: StoreFaultPoint[] = [`${name}.before`, `${name}.delay`, `${name}.late`]
    if (isWrite(name)) at.push(`${name}.after`)
    const fault = this.faults.meet(at, call)
    switch (fault?.point) {
      case undefined:
        return work()
      case `${name}.before`:
        return Promise.reject(unavailable(fault!))
      case `${name}.delay`:
        return held(fault!, options?.signal).then(work)
      case `${name}.late`:
        return work().finally(() => fault!.released)
      default:
        return work().then(() => Promise.reject(outcomeUnknown(fault!)))
    }
  }

  #stream<T>(name: StreamCall, call: unknown, open: () => ReadableStream<T>): ReadableStream<T> {
    const fault = this.faults.meet([`${name}.before`, `${name}.torn`], call)
    return fault === undefined ? open() : batchStream(torn(fault, open))
  }
}

function isWrite(name: Call): name is Write {
  return (writes as readonly string[]).includes(name)
}

/** A driver that sends again does so at once, before it has the answer. */
async function twice<T>(work: () => Promise<T>): Promise<T> {
  const [first] = await Promise.all([work(), work()])
  return first
}

async function* torn<T>(fault: MetFault, open: () => ReadableStream<T>): AsyncGenerator<readonly T[]> {
  if (fault.point.endsWith('.before')) throw unavailable(fault)
  for await (const batch of batchesOf(open())) {
    yield batch
    break
  }
  throw unavailable(fault)
}

/** Waits for the release, or for the signal. */
function held(fault: MetFault, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return fault.released
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(aborted(signal))
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    fault.released.then(() => {
      signal.removeEventListener('abort', stop)
      resolve()
    })
  })
}

function unavailable({ point }: MetFault): XMachinesError {
  return new XMachinesError('STORE_UNAVAILABLE', `The planned fault ${point}: nothing was written.`, {
    details: { point },
  })
}

function outcomeUnknown({ point }: MetFault): XMachinesError {
  return new XMachinesError('STORE_OUTCOME_UNKNOWN', `The planned fault ${point}: it may be written.`, {
    details: { point },
  })
}
