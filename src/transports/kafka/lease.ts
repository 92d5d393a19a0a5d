import { batchStream } from '../../actors/batch-stream.ts'
import type { BrokerRecord, PartitionLease } from '../../actors/contracts/broker.ts'
import type { AbortOptions } from '../../actors/contracts/store.ts'
import { longestTimeout } from '../../actors/environment.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { Bell } from '../broker/bell.ts'
import { Slabs } from '../broker/slabs.ts'

/** Most records that are handed on at once. */
const batchSize = 500

/** The consumer's side of a lease. */
export interface LeaseHolder {
  /** Bytes of records that a lease holds before it fetches no more. */
  readonly readAhead: number
  /** Records are wanted. */
  hungry(lease: KafkaLease): void
  commit(lease: KafkaLease, nextOffset: number): Promise<void>
  /** The lease is over, whoever ended it. */
  ended(lease: KafkaLease): void
}

interface Fetched {
  readonly records: readonly BrokerRecord[]
  readonly bytes: number
}

/** A partition, held by this member: a bounded queue of what was fetched, and two signals. */
export class KafkaLease implements PartitionLease {
  readonly topic: string
  readonly partition: number
  /** Known once it has begun. */
  partitions: number | undefined
  readonly generation: number
  readonly records: ReadableStream<BrokerRecord>
  /** Who gets copies of what is fetched for this lease. */
  readonly slabs = new Slabs()
  readonly #holder: LeaseHolder
  readonly #revoking = new AbortController()
  readonly #over = new AbortController()
  /** Ends `records`: at the first of the two above. */
  readonly #stop = new AbortController()
  readonly #bell = new Bell()
  readonly #queue: Fetched[] = []
  #queued = 0
  #isRead = false
  #position: number | undefined
  /** Behind the last record that was fetched: what lies between there and the position is none. */
  #recordsEnd = 0
  #failure: XMachinesError | undefined
  #drain: ReturnType<typeof setTimeout> | undefined
  /** The end of the partition, as far as is known. */
  end = 0
  /** What is committed, as far as is known. */
  committed = -1

  constructor(topic: string, partition: number, generation: number, holder: LeaseHolder) {
    this.topic = topic
    this.partition = partition
    this.generation = generation
    this.#holder = holder
    this.records = batchStream({ [Symbol.asyncIterator]: () => this.#reading() }, { until: this.#stop.signal })
  }

  get revoked(): AbortSignal {
    return this.#revoking.signal
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** The offset that the next fetch begins at; nothing while it is not known. */
  get position(): number | undefined {
    return this.#position
  }

  /** Whether somebody reads, and less than half of what may be held is there. */
  get isHungry(): boolean {
    return (
      this.#isRead &&
      this.#position !== undefined &&
      this.#failure === undefined &&
      this.#queued <= this.#holder.readAhead / 2 &&
      !this.#stop.signal.aborted
    )
  }

  /** Settles where it begins. */
  begin(position: number): void {
    this.#position = position
    this.#recordsEnd = position
    if (this.isHungry) this.#holder.hungry(this)
  }

  /** Takes what was fetched. */
  take(records: readonly BrokerRecord[], bytes: number, next: number): void {
    if (this.#stop.signal.aborted) return
    this.#position = next
    if (records.length === 0) {
      // Nobody will ever commit the mark of a transaction, and readers of lags count it.
      if (this.committed >= this.#recordsEnd && next > this.committed) this.#holder.commit(this, next).catch(() => {})
      return
    }
    this.#recordsEnd = records.at(-1)!.offset + 1
    const share = bytes / records.length
    for (let at = 0; at < records.length; at += batchSize) {
      const some = records.slice(at, at + batchSize)
      this.#queue.push({ records: some, bytes: share * some.length })
    }
    this.#queued += bytes
    this.#bell.ring()
  }

  /** What comes next can never be read: `records` errors behind what was fetched. */
  fail(failure: XMachinesError): void {
    this.#failure ??= failure
    this.#bell.ring()
  }

  async commit(nextOffset: number, { signal }: AbortOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(nextOffset) || nextOffset < 0)
      throw new TypeError(`Expected nextOffset to be a whole number from 0, got ${nextOffset}.`)
    if (signal?.aborted) throw aborted(signal)
    if (this.signal.aborted) throw this.lost('it was released or lost before the commit.')
    const position = this.#position ?? 0
    const next = nextOffset >= this.#recordsEnd ? Math.max(nextOffset, position) : nextOffset
    const committed = this.#holder.commit(this, next)
    await (signal ? abandonable(committed, signal) : committed)
  }

  async release(): Promise<void> {
    this.#end()
  }

  /** The group wants the partition back. */
  revoke(drainTimeout: number): void {
    if (this.signal.aborted || this.revoked.aborted) return
    const late = () => this.lose('it was not released within `drainTimeout`.')
    this.#drain = setTimeout(late, Math.min(longestTimeout, drainTimeout))
    this.#stopReading()
    this.#revoking.abort()
  }

  /** The group has given the partition away, or may have. */
  lose(why: string): void {
    this.#end(this.lost(why))
  }

  /** Says that this lease is no longer its holder's. */
  lost(why: string): XMachinesError {
    const { topic, partition, generation } = this
    return new XMachinesError(
      'LEASE_LOST',
      `The lease on ${topic}/${partition} is over: ${why} Stop; whoever holds it next goes on from the last commit.`,
      { details: { topic, partition, generation } },
    )
  }

  #end(reason?: XMachinesError): void {
    if (this.signal.aborted) return
    clearTimeout(this.#drain)
    this.#stopReading()
    this.#over.abort(reason)
    this.#holder.ended(this)
  }

  #stopReading(): void {
    this.#queue.length = 0
    this.#queued = 0
    this.#stop.abort()
    this.#bell.ring()
  }

  #reading(): AsyncIterator<readonly BrokerRecord[]> {
    const next = async (): Promise<IteratorResult<readonly BrokerRecord[]>> => {
      this.#isRead = true
      while (!this.#stop.signal.aborted) {
        const fetched = this.#queue.shift()
        if (fetched) this.#queued -= fetched.bytes
        if (this.isHungry) this.#holder.hungry(this)
        if (fetched) return { done: false, value: fetched.records }
        if (this.#failure) throw this.#failure
        await this.#bell.wait()
      }
      return { done: true, value: undefined }
    }
    const cancel = async (): Promise<IteratorResult<readonly BrokerRecord[]>> => {
      this.#stopReading()
      return { done: true, value: undefined }
    }
    return { next, return: cancel }
  }
}

/** The answer, or `ABORTED` if the caller stops to wait for it. */
export function abandonable<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(aborted(signal))
    signal.addEventListener('abort', abort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
