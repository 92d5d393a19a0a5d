import { XMachinesError } from '../../actors/errors.ts'
import { ask, type Cluster, type Place, refresh } from './cluster.ts'
import { byTopic, nameOf } from './group/subscription.ts'
import type { KafkaLease } from './lease.ts'
import type { KafkaLogger } from './log.ts'
import { leadersOf } from './offsets.ts'
import { isStale, refusal, toldOf, typeOf, typeOfCode } from './problems.ts'
import { wait } from './wait.ts'
import type { Codecs } from './wire/compression.ts'
import { type FetchedPartition, fetchRequest } from './wire/fetch.ts'
import { decodeRecords } from './wire/record-batch.ts'

export interface FetcherOptions {
  readonly cluster: Cluster
  readonly codecs: Codecs
  readonly logger: KafkaLogger
  /** How long a node may wait for a first record, ms: and how long one that became hungry meanwhile waits for its turn. */
  readonly maxWait: number
  readonly maxBytes: number
  readonly maxBytesPerPartition: number
  /** How long a topic may be unknown, ms: one that was made a moment ago, or whose nodes start, is for a while. */
  readonly topicPatience: number
  /** Looks at what is known of the cluster, before each fetch. */
  check(): void
}

/** What a lease may read ahead however many there are, bytes. */
const leastReadAhead = 64 * 1024
/** How much larger than that it may be in memory, where it was compressed: what is beyond is fetched again. */
const mostExpansion = 8

/**
 * Fetches for the leases that want records, and for no other: one request a node at a time. A lease that nobody reads,
 * or whose reader is slow, is left out, and holds nobody up.
 */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #leases = new Map<string, KafkaLease>()
  readonly #busy = new Set<number>()
  /** Those whose records are being decoded. */
  readonly #decoding = new Set<KafkaLease>()
  readonly #closing = new AbortController()
  /** Since when the cluster knows nothing of a topic, ms since 1970. */
  readonly #missing = new Map<string, number>()
  #isScheduled = false
  #failures = 0

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  /** Bytes that each lease may read ahead: many share what one answer may hold. */
  get readAhead(): number {
    const { maxBytes, maxBytesPerPartition } = this.#options
    const share = Math.floor(maxBytes / Math.max(1, this.#leases.size))
    return Math.min(maxBytesPerPartition, Math.max(leastReadAhead, share))
  }

  add(lease: KafkaLease): void {
    this.#leases.set(nameOf(lease), lease)
  }

  delete(lease: KafkaLease): boolean {
    return this.#leases.get(nameOf(lease)) === lease && this.#leases.delete(nameOf(lease))
  }

  close(): void {
    this.#closing.abort()
    this.#leases.clear()
  }

  /** Some lease wants records. */
  wake(): void {
    if (this.#isScheduled || this.#closing.signal.aborted) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#fetch()
    })
  }

  #fetch(): void {
    const hungry = [...this.#leases.values()].filter(lease => lease.isHungry && !this.#decoding.has(lease))
    if (hungry.length === 0) return
    const leaders = leadersOf(this.#options.cluster, hungry)
    const led = [...leaders.values()].reduce((sum, places) => sum + places.length, 0)
    for (const [nodeId, places] of leaders) {
      if (!this.#busy.has(nodeId)) void this.#fetchFrom(nodeId, places)
    }
    if (led < hungry.length) {
      void this.#once(-1, async () => {
        throw refusal('LEADER_NOT_AVAILABLE', hungry[0]!)
      })
    }
  }

  async #fetchFrom(nodeId: number, places: readonly Place[]): Promise<void> {
    await this.#once(nodeId, async () => {
      const { cluster, maxWait, maxBytes } = this.#options
      await cluster.refreshMetadataIfNecessary()
      this.#options.check()
      const node = await cluster.findBroker({ nodeId })
      const asked = new Map(places.map(place => [nameOf(place), this.#leases.get(nameOf(place))]))
      const topics = Object.entries(byTopic(places)).map(([topic, partitions]) => ({
        topic,
        partitions: partitions.flatMap(partition => {
          const offset = asked.get(nameOf({ topic, partition }))?.position
          return offset === undefined ? [] : { partition, offset }
        }),
      }))
      const answers = await ask(node, fetchRequest, {
        topics,
        maxWait,
        maxBytes,
        maxBytesPerPartition: this.readAhead,
      })
      this.#failures = 0
      let stale: string | undefined
      for (const answer of answers) {
        const lease = asked.get(nameOf(answer))
        if (lease) stale = (await this.#deliver(lease, answer)) ?? stale
      }
      if (stale !== undefined) throw refusal(stale, places[0]!)
    })
  }

  /** Gives a lease what was fetched for it; answers with the type of an error that other leaders may help. */
  async #deliver(lease: KafkaLease, answer: FetchedPartition): Promise<string | undefined> {
    const { topic, partition, errorCode, highWatermark, logStart, aborted, records } = answer
    const from = lease.position
    // A leader that is no more may have answered, too: the same records are not taken twice.
    if (from === undefined || lease.signal.aborted || this.#decoding.has(lease)) return undefined
    if (errorCode !== 0) {
      const type = typeOfCode(errorCode)
      if (isStale(type)) return type
      lease.fail(
        type === 'OFFSET_OUT_OF_RANGE'
          ? outOfRange(lease, from)
          : toldOf(refusal(type, lease), `Fetching ${nameOf(lease)}`, lease),
      )
      return undefined
    }
    lease.end = Math.max(lease.end, highWatermark)
    if (logStart > from) {
      lease.fail(outOfRange(lease, from, logStart, highWatermark))
      return undefined
    }
    this.#decoding.add(lease)
    try {
      const { slabs } = lease
      const decoded = await decodeRecords(records, {
        topic,
        partition,
        from,
        aborted,
        codecs: this.#options.codecs,
        slabs,
        enough: mostExpansion * this.readAhead,
      })
      lease.take(decoded.records, decoded.bytes, decoded.next)
      // A node fills its answer in the order in which it is asked: who has got something goes to the end.
      if (decoded.records.length > 0 && this.delete(lease)) this.add(lease)
    } catch (error) {
      lease.fail(toldOf(error, `Reading ${nameOf(lease)}`))
    } finally {
      this.#decoding.delete(lease)
    }
    return undefined
  }

  /** One thing at a time with a node; when it is over, whoever is hungry by then gets the next turn. */
  async #once(nodeId: number, work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(nodeId)) return
    this.#busy.add(nodeId)
    try {
      await work()
    } catch (error) {
      if (!this.#closing.signal.aborted) await this.#recover(error)
    } finally {
      this.#busy.delete(nodeId)
      this.wake()
    }
  }

  async #recover(error: unknown): Promise<void> {
    const { logger, cluster } = this.#options
    this.#failures += 1
    const level = this.#failures === 1 || isStale(typeOf(error)) ? 'debug' : 'warn'
    logger[level]('Records could not be fetched; trying again', { error: String(error), tries: this.#failures })
    await wait(Math.min(1_000, 20 * 2 ** Math.min(this.#failures, 6)), this.#closing.signal)
    const topics = [...new Set([...this.#leases.values()].map(({ topic }) => topic))]
    this.#miss(topics, await refresh(cluster, topics).catch(() => undefined))
  }

  /** A topic that stays unknown was deleted: whoever reads it is told. @param gone `undefined`: nobody could tell */
  #miss(topics: readonly string[], gone: readonly string[] | undefined): void {
    for (const topic of gone === undefined ? [] : topics) {
      if (!gone!.includes(topic)) {
        this.#missing.delete(topic)
        continue
      }
      const since = this.#missing.get(topic) ?? Date.now()
      this.#missing.set(topic, since)
      if (Date.now() < since + this.#options.topicPatience) continue
      for (const lease of this.#leases.values()) {
        if (lease.topic === topic)
          lease.fail(toldOf(refusal('UNKNOWN_TOPIC_OR_PARTITION', lease), `Reading ${nameOf(lease)}`, lease))
      }
    }
  }
}

/** Says that the records to come are gone, or are not those that were meant. */
export function outOfRange({ topic, partition }: Place, offset: number, start?: number, end?: number): XMachinesError {
  const kept = start === undefined ? '' : `, ${start} to ${end}`
  const why =
    end !== undefined && offset > end
      ? 'The topic was made anew or truncated since: start with a new group (and namespace), or commit an offset that exists.'
      : 'Its retention has deleted what this group had not read: start the group at an explicit `from`, or commit an offset that exists.'
  return new XMachinesError(
    'OFFSET_OUT_OF_RANGE',
    `Offset ${offset} of ${topic}/${partition} is outside of what the topic keeps${kept}. ${why}`,
    { details: { topic, partition, offset, ...(start === undefined ? {} : { start, end }) } },
  )
}
