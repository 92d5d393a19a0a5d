import type { BrokerConsumer, ConsumerOptions, PartitionLease } from '../../actors/contracts/broker.ts'
import { check } from './check.ts'

/** How a member of a check behaves. */
export interface MemberOptions extends Partial<Omit<ConsumerOptions, 'topic' | 'group'>> {
  /** Gives every revoked partition back at once; otherwise the check does it. @default true */
  readonly obedient?: boolean
  /** What is done with each lease. Resolved or not, the next is taken meanwhile. */
  work?(lease: PartitionLease): Promise<void>
}

/** Who watches a member. */
export interface MemberWatcher {
  leased(lease: PartitionLease): void
  changed(): void
  failed(error: Error): void
}

/** A consumer whose leases are read as they come, and remembered. */
export class Member {
  readonly consumer: BrokerConsumer
  /** All leases so far. */
  readonly leases: PartitionLease[] = []
  /** Fires when the stream of leases ends. */
  readonly ended: Promise<void>
  readonly #reader: ReadableStreamDefaultReader<PartitionLease>
  #dismissed = false

  constructor(consumer: BrokerConsumer, options: MemberOptions, watcher: MemberWatcher) {
    this.consumer = consumer
    this.#reader = consumer.leases.getReader()
    this.ended = this.#take(options, watcher).catch(error => watcher.failed(asError(error)))
  }

  /** The leases that are not over. */
  get held(): readonly PartitionLease[] {
    return this.leases.filter(({ signal }) => !signal.aborted)
  }

  /** The partitions of those, in order. */
  get partitions(): readonly number[] {
    return this.held.map(({ partition }) => partition).sort((a, b) => a - b)
  }

  /** The lease on a partition that is not over. */
  on(partition: number): PartitionLease {
    const lease = this.held.find(held => held.partition === partition)
    check(lease, `The member holds no lease on partition ${partition}, but on ${this.partitions.join(', ') || 'none'}.`)
    return lease
  }

  /** Stops reading leases. */
  async cancel(): Promise<void> {
    await this.#reader.cancel()
  }

  /** Gives everything back and leaves, however the member behaved. */
  async dismiss(): Promise<void> {
    this.#dismissed = true
    const closed = this.consumer.close()
    for (const lease of this.leases) await lease.release()
    await closed
    await this.ended
  }

  async #take({ obedient = true, work }: MemberOptions, watcher: MemberWatcher): Promise<void> {
    for (;;) {
      const { done, value: lease } = await this.#reader.read()
      if (done) return watcher.changed()
      this.leases.push(lease)
      watcher.leased(lease)
      lease.signal.addEventListener('abort', () => watcher.changed())
      lease.revoked.addEventListener('abort', () => {
        watcher.changed()
        if (obedient || this.#dismissed) lease.release().catch(error => watcher.failed(asError(error)))
      })
      work?.(lease).catch(error => watcher.failed(asError(error)))
      watcher.changed()
    }
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
