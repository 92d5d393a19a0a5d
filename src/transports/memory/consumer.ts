import type { BrokerConsumer, GroupTerms, PartitionLease, PartitionOffsets } from '../../actors/contracts/broker.ts'
import type { AbortOptions } from '../../actors/contracts/store.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { Bell } from '../broker/bell.ts'
import { termsText } from '../broker/terms.ts'
import { fires, unavailable } from './fault-points.ts'
import type { Group } from './group.ts'
import type { MemoryLease } from './lease.ts'
import { type LeaseTaker, Session, type SessionOptions } from './session.ts'
import type { Topic } from './topic.ts'

/** What a consumer needs of its broker. */
export interface ConsumerHome {
  readonly clusterId: string
  readonly group: Group
  topic(name: string): Topic
  closed(consumer: MemoryConsumer): void
}

/** A member of a group in this process. It joins when `leases` is first read. */
export class MemoryConsumer implements BrokerConsumer, LeaseTaker {
  readonly clusterId: string
  readonly group: string
  readonly leases: ReadableStream<PartitionLease>
  readonly #home: ConsumerHome
  #options: SessionOptions
  /** Leases that nobody has read yet. */
  readonly #offered: MemoryLease[] = []
  readonly #bell = new Bell()
  #session: Session | undefined
  #failure: unknown
  #closing: Promise<void> | undefined

  constructor(options: SessionOptions, home: ConsumerHome) {
    this.clusterId = home.clusterId
    this.group = home.group.name
    this.#home = home
    this.#options = options
    this.leases = new ReadableStream(
      {
        pull: controller => this.#deliver(controller),
        // Whoever stops reading may still hold leases, so nothing here waits for their release.
        cancel: () => void this.close(),
      },
      { highWaterMark: 0 },
    )
  }

  get topics(): readonly string[] {
    return this.#options.topics
  }

  agreeOn(terms: GroupTerms): void {
    this.#options = { ...this.#options, terms: termsText(terms) }
  }

  async endOffsets(topic: string, options: AbortOptions = {}): Promise<PartitionOffsets> {
    this.#check(options)
    return new Map(this.#home.topic(topic).partitions.map(({ partition, end }) => [partition, end]))
  }

  async committedOffsets(topic: string, options: AbortOptions = {}): Promise<PartitionOffsets> {
    this.#check(options)
    const partitions = this.#home.group.partitionsOf(this.#home.topic(topic))
    return new Map(
      partitions.map(({ log, committed }) => [log.partition, committed ?? log.startOf(this.#options.from)]),
    )
  }

  close(): Promise<void> {
    this.#closing ??= Promise.resolve().then(() => this.#leave())
    return this.#closing
  }

  offer(lease: MemoryLease): void {
    this.#offered.push(lease)
    this.#bell.ring()
  }

  withdraw(lease: MemoryLease): boolean {
    const at = this.#offered.indexOf(lease)
    if (at >= 0) this.#offered.splice(at, 1)
    return at >= 0
  }

  /** Cuts this member off, as a stopped process is; `undefined` where it has not joined. */
  interrupt(): Session | undefined {
    this.#session?.interrupt()
    return this.#session
  }

  /** Gives up the session of a member that is cut off. */
  expire(session: Session): boolean {
    return this.#home.group.expire(session)
  }

  /** Ends the cut. Whoever was given up meanwhile learns it, and joins anew. */
  mend(session: Session, expired: boolean): void {
    session.mend()
    if (expired && !this.#closing) this.#join()
  }

  async #deliver(controller: ReadableStreamDefaultController<PartitionLease>): Promise<void> {
    for (;;) {
      if (this.#closing) return controller.close()
      if (!this.#session) this.#join()
      if (this.#failure !== undefined) throw this.#failure
      const lease = this.#offered.shift()
      if (lease) return controller.enqueue(lease)
      await this.#bell.wait()
    }
  }

  #join(): void {
    this.#session = new Session(this.#options, this)
    try {
      this.#home.group.join(
        this.#session,
        this.topics.map(topic => this.#home.topic(topic)),
      )
    } catch (thrown) {
      this.#failure = thrown
      this.#bell.ring()
    }
  }

  async #leave(): Promise<void> {
    this.#bell.ring()
    const session = this.#session
    if (session) {
      const { group } = this.#home
      if (session.cut) for (const lease of session.leases) lease.abandon()
      session.pass(() => group.leave(session))
      await Promise.all([...session.leases].map(lease => fires(lease.signal)))
    }
    this.#home.closed(this)
  }

  #check({ signal }: AbortOptions): void {
    if (signal?.aborted) throw aborted(signal)
    if (this.#closing) throw new XMachinesError('BROKER_CLOSED', 'The consumer is closed. Make a new one.')
    if (this.#session?.cut) throw unavailable('the member is cut off.')
  }
}
