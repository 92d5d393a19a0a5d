import type {
  BrokerConsumer,
  ConsumerOptions,
  GroupTerms,
  PartitionLease,
  PartitionOffsets,
  StartFrom,
} from '../../actors/contracts/broker.ts'
import type { AbortOptions } from '../../actors/contracts/store.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import { Bell } from '../broker/bell.ts'
import { type Client, topicPatienceOf } from './client.ts'
import type { Cluster, Place } from './cluster.ts'
import { type ConsumerParts, openParts } from './consumer-parts.ts'
import type { Member } from './group/membership.ts'
import { protocolName } from './group/protocol.ts'
import { nameOf, type Subscription } from './group/subscription.ts'
import { abandonable, KafkaLease, type KafkaLease as Lease, type LeaseHolder } from './lease.ts'
import type { LeaseStart } from './lease-start.ts'
import { endConnections } from './open-connections.ts'
import type { Asked } from './permission.ts'
import { toldOf } from './problems.ts'
import { retentionOf } from './topic-config.ts'
import { wait } from './wait.ts'

/** Releases that come close to one another are told to the group at once, ms. */
const gathering = 20

/** What a consumer needs of its broker. */
export interface ConsumerHome {
  client(): Promise<Client>
  closed(consumer: KafkaConsumer): void
}

/** A member of a consumer group. It joins when `leases` is first read. */
export class KafkaConsumer implements BrokerConsumer, LeaseHolder, Member {
  readonly group: string
  readonly topics: readonly string[]
  readonly leases: ReadableStream<PartitionLease>
  readonly #home: ConsumerHome
  readonly #from: StartFrom
  readonly #sessionTimeout: number
  readonly #drainTimeout: number
  readonly #held = new Map<string, Lease>()
  /** Leases that nobody has read yet. */
  readonly #offered: Lease[] = []
  readonly #bell = new Bell()
  readonly #ended = new Bell()
  /** Questions under way: the leases that a rebalance brings all ask. */
  readonly #retentions = new Map<string, Promise<number | undefined>>()
  #open: Promise<ConsumerParts> | undefined
  #parts: ConsumerParts | undefined
  #isJoined = false
  #failure: XMachinesError | undefined
  #gathering: ReturnType<typeof setTimeout> | undefined
  #closing: Promise<void> | undefined
  protocol = protocolName({})

  constructor(options: ConsumerOptions, home: ConsumerHome) {
    const { topic, group, from = 'earliest', drainTimeout = 30_000, sessionTimeout = 30_000 } = options
    this.topics = typeof topic === 'string' ? [topic] : [...new Set(topic)]
    if (this.topics.length === 0) throw new TypeError('Expected `topic` to name a topic, got an empty list.')
    this.group = group
    this.#home = home
    this.#from = from
    this.#drainTimeout = drainTimeout
    this.#sessionTimeout = sessionTimeout
    this.leases = new ReadableStream(
      {
        pull: controller => this.#deliver(controller),
        // Whoever stops reading may still hold leases, so nothing here waits for their release.
        cancel: () => void this.close(),
      },
      { highWaterMark: 0 },
    )
  }

  get #asked(): Asked {
    return { topic: this.topics.join(', '), group: this.group }
  }

  get clusterId(): string {
    return this.#parts?.clusterId ?? ''
  }

  agreeOn(terms: GroupTerms): void {
    this.protocol = protocolName(terms)
  }

  endOffsets(topic: string, options: AbortOptions = {}): Promise<PartitionOffsets> {
    return this.#ask(options, `Asking for the ends of ${topic}`, async ({ offsets }) =>
      offsets.ends(topic, await offsets.partitionsOf(topic)),
    )
  }

  committedOffsets(topic: string, options: AbortOptions = {}): Promise<PartitionOffsets> {
    return this.#ask(options, `Asking for the commits of ${this.group} in ${topic}`, async ({ offsets }) => {
      const partitions = await offsets.partitionsOf(topic)
      const committed = await offsets.committed(topic, partitions)
      const uncommitted = partitions.filter(partition => !committed.has(partition))
      const starts = uncommitted.length > 0 ? await offsets.startOf(topic, uncommitted, this.#from) : new Map()
      return new Map(
        partitions.map(partition => [partition, committed.get(partition)?.offset ?? starts.get(partition)]),
      )
    })
  }

  retention(topic: string, options: AbortOptions = {}): Promise<number | undefined> {
    return this.#ask(options, `Asking how long ${topic} keeps records`, ({ cluster }) => {
      const underWay = this.#retentions.get(topic)
      if (underWay !== undefined) return underWay
      const asked = retentionOf(cluster, topic).finally(() => this.#retentions.delete(topic))
      this.#retentions.set(topic, asked)
      return asked
    })
  }

  get readAhead(): number {
    return this.#parts?.fetcher.readAhead ?? 0
  }

  close(): Promise<void> {
    this.#closing ??= Promise.resolve().then(() => this.#leave())
    return this.#closing
  }

  // What the group says.

  subscription(): Subscription {
    const held = [...this.#held.values()]
    const place = ({ topic, partition }: Lease): Place => ({ topic, partition })
    return {
      topics: this.#closing ? [] : this.topics,
      keeps: held.filter(({ revoked }) => !revoked.aborted).map(place),
      drains: held.filter(({ revoked }) => revoked.aborted).map(place),
    }
  }

  assigned(places: readonly Place[], generation: number): void {
    const mine = new Set(places.map(nameOf))
    for (const [name, lease] of [...this.#held]) if (!mine.has(name)) this.#revoke(lease)
    const gained = places.filter(place => !this.#held.has(nameOf(place)))
    if (gained.length > 0 && !this.#closing) this.#gain(gained, generation)
  }

  expelled(why: string): void {
    for (const lease of [...this.#held.values()]) {
      this.#withdraw(lease)
      lease.lose(why)
    }
  }

  failed(error: XMachinesError): void {
    this.#failure ??= error
    this.#bell.ring()
  }

  // What the leases say.

  hungry(): void {
    this.#parts?.fetcher.wake()
  }

  async commit(lease: Lease, nextOffset: number): Promise<void> {
    const { committer, offsets } = await this.#connect()
    if (nextOffset > lease.end) {
      const { topic, partition } = lease
      const end = (await offsets.ends(topic, [partition])).get(partition) ?? 0
      lease.end = Math.max(lease.end, end)
    }
    if (lease.signal.aborted) throw lease.lost('it was over before the commit was made.')
    if (nextOffset > lease.end) throw beyondEnd(lease, nextOffset)
    await committer.commit(lease, nextOffset)
  }

  ended(lease: Lease): void {
    if (this.#held.get(nameOf(lease)) === lease) this.#held.delete(nameOf(lease))
    this.#parts?.fetcher.delete(lease)
    this.#parts?.committer.ended(lease)
    this.#ended.ring()
    // The last one's leave tells the group.
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined
      this.#parts?.membership.rejoin()
    }, gathering)
  }

  async #deliver(controller: ReadableStreamDefaultController<PartitionLease>): Promise<void> {
    for (;;) {
      if (this.#closing) return controller.close()
      if (this.#failure) throw this.#failure
      if (!this.#isJoined) await this.#join()
      const lease = this.#offered.shift()
      if (lease) return controller.enqueue(lease)
      if (!this.#closing && !this.#failure) await this.#bell.wait()
    }
  }

  async #join(): Promise<void> {
    this.#isJoined = true
    const began = Date.now()
    for (let tries = 1; !this.#closing; tries++) {
      try {
        const { offsets, membership } = await this.#connect()
        for (const topic of this.topics) await offsets.partitionsOf(topic)
        if (!this.#closing) membership.start()
        return
      } catch (error) {
        const told = toldOf(error, `Joining the group ${this.group}`, this.#asked)
        const { tuning } = await this.#home.client()
        const { patience, logger } = tuning
        const limit = told.retryable ? patience : told.code === 'TOPIC_UNKNOWN' ? topicPatienceOf(tuning) : 0
        if (Date.now() >= began + limit) return this.failed(told)
        logger.warn('The cluster cannot be joined; trying again', { error: told.message, tries })
        await Promise.race([wait(Math.min(2_000, 50 * 2 ** Math.min(tries, 6))), this.#bell.wait()])
      }
    }
  }

  #gain(places: readonly Place[], generation: number): void {
    const { starts, fetcher } = this.#parts!
    const leases = places.map(({ topic, partition }) => {
      const lease = new KafkaLease(topic, partition, generation, this)
      this.#held.set(nameOf(lease), lease)
      fetcher.add(lease)
      return lease
    })
    starts
      .settle(leases, lease => this.#offer(lease))
      .catch(error => this.failed(toldOf(error, `Taking over partitions of ${this.topics.join(', ')}`, this.#asked)))
  }

  /** The topics have as many partitions as when their leases began; or nothing of them is read any more. */
  #checkPartitions(cluster: Cluster, starts: LeaseStart): void {
    for (const topic of this.topics) {
      try {
        const { length } = cluster.findTopicPartitionMetadata(topic)
        // None: it is not known for the moment.
        if (length > 0) starts.check(topic, length)
      } catch (thrown) {
        const error = toldOf(thrown, `Reading ${topic}`)
        for (const lease of this.#held.values()) if (lease.topic === topic) lease.fail(error)
        this.failed(error)
      }
    }
  }

  #offer(lease: Lease): void {
    if (lease.signal.aborted) return
    if (lease.revoked.aborted) return void lease.release()
    this.#offered.push(lease)
    this.#bell.ring()
  }

  #revoke(lease: Lease): void {
    // What nobody has read needs no drain.
    if (lease.position === undefined || this.#withdraw(lease)) void lease.release()
    else lease.revoke(this.#drainTimeout)
  }

  /** Takes back a lease; whether nobody had read it yet. */
  #withdraw(lease: Lease): boolean {
    const at = this.#offered.indexOf(lease)
    if (at >= 0) this.#offered.splice(at, 1)
    return at >= 0
  }

  async #leave(): Promise<void> {
    this.#bell.ring()
    const parts = this.#open && (await this.#open.catch(() => undefined))
    for (const lease of [...this.#held.values()]) this.#revoke(lease)
    while (this.#held.size > 0) await this.#ended.wait()
    clearTimeout(this.#gathering)
    if (parts) {
      await parts.membership.leave()
      parts.fetcher.close()
      await endConnections(parts.cluster)
    }
    this.#home.closed(this)
  }

  async #ask<Answer>(
    { signal }: AbortOptions,
    doing: string,
    question: (parts: ConsumerParts) => Promise<Answer>,
  ): Promise<Answer> {
    if (signal?.aborted) throw aborted(signal)
    if (this.#closing) throw new XMachinesError('BROKER_CLOSED', 'The consumer is closed. Make a new one.')
    const answer = this.#connect()
      .then(question)
      .catch(error => {
        throw toldOf(error, doing, this.#asked)
      })
    return signal ? abandonable(answer, signal) : answer
  }

  #connect(): Promise<ConsumerParts> {
    this.#open ??= this.#openCluster().catch(error => {
      this.#open = undefined
      throw error
    })
    return this.#open
  }

  async #openCluster(): Promise<ConsumerParts> {
    const client = await this.#home.client()
    const { topics, group } = this
    const options = { topics, group, from: this.#from, sessionTimeout: this.#sessionTimeout, asked: this.#asked }
    const parts = await openParts(client, options, this, ({ cluster, starts }) =>
      this.#checkPartitions(cluster, starts),
    )
    this.#parts = parts
    return parts
  }
}

function beyondEnd({ topic, partition, end }: Lease, offset: number): XMachinesError {
  return new XMachinesError(
    'OFFSET_OUT_OF_RANGE',
    `Offset ${offset} of ${topic}/${partition} is beyond its end, ${end}: there is nothing to commit. Commit an offset that exists.`,
    { details: { topic, partition, offset, end } },
  )
}
