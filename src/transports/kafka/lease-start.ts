import type { StartFrom } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { outOfRange } from './fetcher.ts'
import type { OffsetToCommit } from './group/membership.ts'
import type { KafkaLease } from './lease.ts'
import type { KafkaLogger } from './log.ts'
import type { CommittedOffset, Offsets } from './offsets.ts'
import { mayPass, toldOf } from './problems.ts'
import { wait } from './wait.ts'

export interface LeaseStartOptions {
  readonly offsets: Offsets
  readonly from: StartFrom
  commit(offsets: () => readonly OffsetToCommit[]): Promise<void>
  readonly logger: KafkaLogger
}

/**
 * Settles where new leases begin: at the group's commit, or where `from` says, which is then committed, so that it
 * means the same to the next owner.
 *
 * Refuses what must not be read as if nothing had happened: a commit below what is kept, or beyond the end (the topic is
 * another one of that name), or made when the topic had another number of partitions (keys have moved between them).
 */
export class LeaseStart {
  readonly #options: LeaseStartOptions
  readonly #partitions = new Map<string, number>()

  constructor(options: LeaseStartOptions) {
    this.#options = options
  }

  /** What is written beside each commit. */
  metadataOf(topic: string): string {
    return `partitions=${this.#partitions.get(topic) ?? 0}`
  }

  /** Settles each lease, and calls `settled`. Tries as long as the lease is there. */
  async settle(leases: readonly KafkaLease[], settled: (lease: KafkaLease) => void): Promise<void> {
    const topics = new Map<string, KafkaLease[]>()
    for (const lease of leases) topics.set(lease.topic, [...(topics.get(lease.topic) ?? []), lease])
    await Promise.all([...topics].map(([topic, own]) => this.#settleTopic(topic, own, settled)))
  }

  async #settleTopic(topic: string, all: readonly KafkaLease[], settled: (lease: KafkaLease) => void): Promise<void> {
    for (let tries = 1; ; tries++) {
      const leases = all.filter(({ signal }) => !signal.aborted)
      if (leases.length === 0) return
      try {
        await this.#begin(topic, leases)
        for (const lease of leases) settled(lease)
        return
      } catch (error) {
        const { group } = this.#options.offsets
        if (!mayPass(error)) throw toldOf(error, `Taking over partitions of ${topic}`, { topic, group })
        this.#options.logger.warn('Where a lease begins cannot be told; trying again', {
          topic,
          error: String(error),
          tries,
        })
        await wait(Math.min(1_000, 20 * 2 ** Math.min(tries, 6)))
      }
    }
  }

  async #begin(topic: string, leases: readonly KafkaLease[]): Promise<void> {
    const { offsets, from, commit } = this.#options
    const partitions = leases.map(({ partition }) => partition)
    const all = await offsets.partitionsOf(topic)
    const [committed, starts, ends, logEnds] = await Promise.all([
      offsets.committed(topic, all),
      offsets.starts(topic, partitions),
      offsets.ends(topic, partitions),
      offsets.logEnds(topic, partitions),
    ])
    for (const before of committed.values()) this.#checkCommit(topic, before, all.length)
    this.check(topic, all.length)
    this.#partitions.set(topic, all.length)
    const uncommitted = partitions.filter(partition => !committed.has(partition))
    const first = uncommitted.length > 0 ? await offsets.startOf(topic, uncommitted, from) : new Map<number, number>()
    const inRange = (partition: number, offset: number) =>
      offset >= starts.get(partition)! && offset <= logEnds.get(partition)!
    const fresh = leases.filter(({ partition }) => first.has(partition) && inRange(partition, first.get(partition)!))
    if (fresh.length > 0) {
      await commit(() =>
        fresh
          .filter(({ signal }) => !signal.aborted)
          .map(({ partition }) => ({
            topic,
            partition,
            offset: first.get(partition)!,
            metadata: this.metadataOf(topic),
          })),
      )
    }
    for (const lease of leases) {
      const { partition } = lease
      const before = committed.get(partition)
      const position = before?.offset ?? first.get(partition)!
      lease.end = Math.max(lease.end, ends.get(partition)!)
      lease.partitions = all.length
      lease.committed = before || fresh.includes(lease) ? position : -1
      if (!inRange(partition, position))
        lease.fail(outOfRange(lease, position, starts.get(partition), logEnds.get(partition)))
      lease.begin(position)
    }
  }

  /** @throws XMachinesError `PARTITIONS_CHANGED` when a topic has not as many partitions as when its first lease began */
  check(topic: string, now: number): void {
    const then = this.#partitions.get(topic)
    if (then !== undefined && now !== then) throw changed(topic, then, now)
  }

  #checkCommit(topic: string, { metadata }: CommittedOffset, now: number): void {
    const then = Number(/^partitions=(\d+)$/.exec(metadata)?.[1])
    if (then && then !== now) throw changed(topic, then, now)
  }
}

function changed(topic: string, before: number, now: number): XMachinesError {
  return new XMachinesError(
    'PARTITIONS_CHANGED',
    `Topic ${topic} has ${now} partitions; it had ${before} when this group last committed. Keys have moved between partitions, so ` +
      'a run would get its events out of order. Move to a new topic with the number that you want (docs/guides/kafka.md, ' +
      '"Another number of partitions"), or give the group a new name if no run goes on.',
    { details: { topic, partitions: now, before } },
  )
}
