import type { AbortOptions } from '../../actors/contracts/store.ts'
import { aborted } from '../../actors/errors.ts'
import { assign } from '../broker/assign.ts'
import { groupMismatch } from '../broker/terms.ts'
import { type FaultPoints, unavailable } from './fault-points.ts'
import { type LeaseKeeper, MemoryLease } from './lease.ts'
import type { Timers } from './options.ts'
import type { Session } from './session.ts'
import type { PartitionLog, Topic } from './topic.ts'

/** A partition, as one group sees it. */
interface GroupPartition {
  readonly log: PartitionLog
  committed: number | undefined
  /** Who is to hold it. */
  target: Session | undefined
  /** Who holds it. */
  held: Held | undefined
}

interface Held {
  readonly lease: MemoryLease
  readonly session: Session
  /** Runs while the lease is being revoked. */
  drain?: { readonly timer: unknown }
}

/** A consumer group: who holds which partition, and what it has committed, also while nobody is there. */
export class Group implements LeaseKeeper {
  readonly name: string
  readonly #timers: Timers
  readonly #faults: FaultPoints
  readonly #topics = new Map<string, readonly GroupPartition[]>()
  readonly #sessions: Session[] = []
  #generation = 0

  constructor(name: string, timers: Timers, faults: FaultPoints) {
    this.name = name
    this.#timers = timers
    this.#faults = faults
  }

  /** @throws XMachinesError `GROUP_MISMATCH` */
  join(session: Session, topics: readonly Topic[]): void {
    const { terms } = session.options
    const other = this.#sessions.find(({ options }) => options.terms !== terms)
    if (other !== undefined) throw groupMismatch(this.name, terms, other.options.terms)
    for (const topic of topics) this.partitionsOf(topic)
    this.#sessions.push(session)
    this.#rebalance()
  }

  /** Takes back what the session holds, at the pace of its releases. */
  leave(session: Session): void {
    if (this.#forget(session)) this.#rebalance()
  }

  /** Gives the session up: its partitions go to others at once. Answers whether it was still a member. */
  expire(session: Session): boolean {
    if (!this.#forget(session)) return false
    for (const partition of this.#all()) {
      if (partition.held?.session === session) this.#take(partition, 'its member was silent for too long.')
    }
    this.#rebalance()
    return true
  }

  /** Takes a lease away from whoever holds it. */
  lose(lease: MemoryLease, why: string): void {
    const partition = this.#heldUnder(lease)
    if (!partition) return
    this.#take(partition, why)
    this.#handOut(partition)
  }

  released(lease: MemoryLease): void {
    const partition = this.#heldUnder(lease)
    if (!partition) return
    this.#clear(partition)
    this.#handOut(partition)
  }

  commit(lease: MemoryLease, nextOffset: number, options: AbortOptions): Promise<void> {
    const { topic, partition } = lease
    return this.#faults.committing({ group: this.name, topic, partition }, options, () => {
      if (options.signal?.aborted) throw aborted(options.signal)
      if (lease.signal.aborted) throw lease.lost('it was released or lost before the commit.')
      if (lease.cut) throw unavailable('the member is cut off.')
      const place = this.#heldUnder(lease)
      if (!place) throw lease.lost('the group has given it away.')
      if (nextOffset > place.log.end) throw place.log.outOfRange(nextOffset)
      // Commits may overtake each other; what is settled stays settled.
      place.committed = Math.max(nextOffset, place.committed ?? 0)
    })
  }

  /** The group's partitions of `topic`, in order. */
  partitionsOf(topic: Topic): readonly Readonly<GroupPartition>[] {
    let partitions = this.#topics.get(topic.name)
    if (!partitions) {
      partitions = topic.partitions.map(log => ({ log, committed: undefined, target: undefined, held: undefined }))
      this.#topics.set(topic.name, partitions)
    }
    return partitions
  }

  /** The leases that are held now. */
  leases(): readonly MemoryLease[] {
    return this.#all().flatMap(({ held }) => held?.lease ?? [])
  }

  #rebalance(): void {
    this.#generation += 1
    const partitions = this.#all()
    const targets = assign({
      members: this.#sessions,
      partitions,
      holder: ({ target }) => target,
      takes: ({ options }, { log }) => options.topics.includes(log.topic),
    })
    for (const partition of partitions) partition.target = targets.get(partition)
    // Who listens to a signal may answer at once, so each partition is looked at anew.
    for (const partition of partitions) {
      if (partition.held && partition.held.session !== partition.target) this.#revoke(partition.held)
      else this.#handOut(partition)
    }
  }

  #handOut(partition: GroupPartition): void {
    const { target: session, log } = partition
    if (!session || partition.held) return
    const start = partition.committed ?? log.startOf(session.options.from)
    // Kept, so that 'latest' means the same to the next owner.
    if (log.has(start)) partition.committed ??= start
    const { length: partitions } = this.#topics.get(log.topic)!
    const lease = new MemoryLease(log, { partitions, start, generation: this.#generation }, session, this)
    partition.held = { lease, session }
    session.give(lease)
  }

  #revoke(held: Held): void {
    const { lease, session } = held
    if (held.drain) return
    const late = () => this.lose(lease, 'it was not released within `drainTimeout`.')
    held.drain = { timer: this.#timers.setTimeout(late, session.options.drainTimeout) }
    session.revoke(lease)
  }

  #take(partition: GroupPartition, why: string): void {
    const { held } = partition
    this.#clear(partition)
    held?.session.lose(held.lease, why)
  }

  #clear(partition: GroupPartition): void {
    if (partition.held?.drain) this.#timers.clearTimeout(partition.held.drain.timer)
    partition.held = undefined
  }

  #forget(session: Session): boolean {
    const at = this.#sessions.indexOf(session)
    if (at < 0) return false
    this.#sessions.splice(at, 1)
    return true
  }

  #heldUnder(lease: MemoryLease): GroupPartition | undefined {
    const partition = this.#topics.get(lease.topic)?.[lease.partition]
    return partition?.held?.lease === lease ? partition : undefined
  }

  #all(): GroupPartition[] {
    return [...this.#topics.values()].flat()
  }
}
