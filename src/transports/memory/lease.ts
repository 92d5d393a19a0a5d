import { batchStream } from '../../actors/batch-stream.ts'
import type { BrokerRecord, PartitionLease } from '../../actors/contracts/broker.ts'
import type { AbortOptions } from '../../actors/contracts/store.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { Bell } from '../broker/bell.ts'
import { Slabs } from '../broker/slabs.ts'
import type { PartitionLog } from './topic.ts'

/** Most records that one fetch brings. */
const fetchSize = 500

/** The group's side of a lease. */
export interface LeaseKeeper {
  commit(lease: MemoryLease, nextOffset: number, options: AbortOptions): Promise<void>
  released(lease: MemoryLease): void
}

/** The consumer's side of a lease. */
export interface LeaseHolder {
  /** Nothing passes between group and consumer. */
  readonly cut: boolean
  /** Tells the group, as soon as something passes. */
  pass(message: () => void): void
  ended(lease: MemoryLease): void
}

/** What a lease begins with. */
export interface LeaseTerms {
  /** How many partitions the topic has. */
  readonly partitions: number
  readonly start: number
  readonly generation: number
}

/** A partition, held by one session: a cursor over its log and two signals. */
export class MemoryLease implements PartitionLease {
  readonly topic: string
  readonly partition: number
  readonly partitions: number
  readonly generation: number
  readonly records: ReadableStream<BrokerRecord>
  readonly #log: PartitionLog
  readonly #holder: LeaseHolder
  readonly #keeper: LeaseKeeper
  readonly #revoking = new AbortController()
  readonly #over = new AbortController()
  /** Ends `records`: at the first of the two above. */
  readonly #stop = new AbortController()
  readonly #bell = new Bell()
  readonly #unwatch: () => void
  #position: number

  constructor(
    log: PartitionLog,
    { partitions, start, generation }: LeaseTerms,
    holder: LeaseHolder,
    keeper: LeaseKeeper,
  ) {
    this.topic = log.topic
    this.partition = log.partition
    this.partitions = partitions
    this.generation = generation
    this.#log = log
    this.#position = start
    this.#holder = holder
    this.#keeper = keeper
    this.#unwatch = log.watch(() => this.wake())
    this.records = batchStream({ [Symbol.asyncIterator]: () => this.#fetches() }, { until: this.#stop.signal })
  }

  get revoked(): AbortSignal {
    return this.#revoking.signal
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  /** The offset that the next fetch begins at. */
  get position(): number {
    return this.#position
  }

  /** Whether its holder is cut off from the group. */
  get cut(): boolean {
    return this.#holder.cut
  }

  async commit(nextOffset: number, options: AbortOptions = {}): Promise<void> {
    if (!Number.isSafeInteger(nextOffset) || nextOffset < 0)
      throw new TypeError(`Expected nextOffset to be a whole number from 0, got ${nextOffset}.`)
    await this.#keeper.commit(this, nextOffset, options)
  }

  async release(): Promise<void> {
    this.#giveBack()
  }

  /** The consumer closes without a broker to drain to. */
  abandon(): void {
    this.#giveBack(this.lost('its consumer was closed while it was cut off.'))
  }

  /** The group wants the partition back. */
  revoke(): void {
    if (this.signal.aborted || this.revoked.aborted) return
    this.#stopReading()
    this.#revoking.abort()
  }

  /** The group has given the partition away. */
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

  /** Delivers up to `count` records once more; answers how many. */
  rewind(count: number): number {
    const back = Math.max(this.#log.start, this.#position - count)
    const again = this.#position - back
    this.#position = back
    this.wake()
    return again
  }

  /** Something changed that a waiting fetch may care about. */
  wake(): void {
    this.#bell.ring()
  }

  #giveBack(reason?: XMachinesError): void {
    if (this.#end(reason)) this.#holder.pass(() => this.#keeper.released(this))
  }

  #end(reason?: XMachinesError): boolean {
    if (this.signal.aborted) return false
    this.#unwatch()
    this.#stopReading()
    this.#holder.ended(this)
    this.#over.abort(reason)
    return true
  }

  #stopReading(): void {
    this.#stop.abort()
    this.wake()
  }

  #fetches(): AsyncIterator<readonly BrokerRecord[]> {
    const slabs = new Slabs()
    const next = async (): Promise<IteratorResult<readonly BrokerRecord[]>> => {
      while (!this.#stop.signal.aborted) {
        const batch = this.cut ? [] : this.#log.read(this.#position, fetchSize, slabs)
        this.#position += batch.length
        if (batch.length > 0) return { done: false, value: batch }
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
