import { expect } from 'vitest'
import type { BrokerConsumer, PartitionLease } from '../../../src/actors/contracts/broker.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { type CommitDelay, memoryBroker, type PausedMember } from '../../../src/transports/memory/index.ts'
import { settled, VirtualTimers } from './virtual-timers.ts'

export const partitions = 3
const topic = 't'
const group = 'g'
const fetchSize = 500

/** A lease, and what it must deliver. */
export interface Tracked {
  readonly lease: PartitionLease
  readonly member: Actor
  /** The offset that must come next. */
  next: number
  /** Where the batch in hand ends. */
  fetched: number
  /** Where the next fetch begins: `fetched`, unless a fault rewound it. */
  position: number
  /** One past the highest offset read: all that may be committed. */
  read: number
  /** The group may have given it away while its member was cut off, which nobody can see from here. */
  doubtful: boolean
}

/** A member that does what the test says, and nothing by itself. */
export interface Actor {
  readonly consumer: BrokerConsumer
  pause: PausedMember | undefined
  expired: boolean
  leaving: boolean
  closed: Promise<void> | undefined
}

/** One group over a memory broker, and all that may be said about it at any time. */
export class World {
  readonly timers = new VirtualTimers()
  readonly broker = memoryBroker({ partitions, timers: this.timers, clock: () => 0 })
  readonly members: Actor[] = []
  readonly tracked: Tracked[] = []
  readonly produced: number[] = Array(partitions).fill(0)
  readonly committed: number[] = Array(partitions).fill(0)
  readonly delivered = Array.from({ length: partitions }, () => new Set<number>())
  readonly #producer = this.broker.producer({ topic })
  readonly #observer = this.broker.consumer({ topic, group })
  #delays: CommitDelay[] = []
  readonly #commits: Promise<void>[] = []
  #failure: unknown

  async produce(partition: number, count: number): Promise<void> {
    const first = this.produced[partition]!
    const records = Array.from({ length: count }, (_, at) => ({ partition, value: `${partition}/${first + at}` }))
    await this.#producer.send(records)
    this.produced[partition] = first + count
  }

  join(): void {
    const consumer = this.broker.consumer({ topic, group, drainTimeout: 100, sessionTimeout: 300 })
    const member: Actor = { consumer, pause: undefined, expired: false, leaving: false, closed: undefined }
    this.members.push(member)
    this.#follow(member).catch(error => this.#fail(error))
  }

  leave(member: Actor): void {
    member.leaving = true
    member.closed = member.consumer.close()
  }

  pause(member: Actor): void {
    member.pause = this.broker.faults.pause(member.consumer)
    member.pause.assertFired()
  }

  expire(member: Actor): void {
    member.expired = true
    member.pause!.expire()
  }

  resume(member: Actor): void {
    const { pause } = member
    member.pause = undefined
    member.expired = false
    pause!.resume()
    for (const held of this.tracked) if (held.member === member) held.doubtful = false
  }

  /** Takes the partition away from its holder. */
  lose(partition: number): void {
    this.#doubt(held => held.lease.partition === partition)
    this.broker.faults.lose({ partition })
  }

  /** Loses the leases that drain for too long. */
  drainTimeout(): void {
    this.#doubt(() => true)
    this.timers.advance(100)
  }

  redeliver(partition: number, count: number): void {
    if (this.tracked.some(({ doubtful, lease }) => doubtful && lease.partition === partition)) return
    const [held] = this.holders(partition)
    this.broker.faults.redeliver({ partition }, count)
    if (held) held.position = Math.max(0, held.position - count)
  }

  delayCommits(partition: number): void {
    this.#delays.push(this.broker.faults.delayCommits({ partition }))
  }

  releaseCommits(): void {
    for (const delay of this.#delays) delay.release()
    this.#delays = []
  }

  /** Reads what is there, at most `count`. */
  async read(held: Tracked, count: number): Promise<void> {
    const { partition } = held.lease
    const there = held.fetched - held.next + this.produced[partition]! - held.position
    const reader = held.lease.records.getReader()
    for (let left = Math.min(count, there); left > 0; left--) {
      if (held.next === held.fetched) {
        held.next = held.position
        held.fetched = held.position = Math.min(held.position + fetchSize, this.produced[partition]!)
      }
      const { done, value } = await reader.read()
      const seen = done ? 'the end' : `${value.offset}: ${new TextDecoder().decode(value.value!)}`
      const due = `${held.next}: ${partition}/${held.next}`
      if (seen !== due) throw new Error(`Partition ${partition} delivers ${seen} where ${due} is due.`)
      held.next += 1
      held.read = Math.max(held.read, held.next)
      this.delivered[partition]!.add(value!.offset)
    }
    reader.releaseLock()
  }

  /** Commits; sees that it is taken exactly where the lease is held when it arrives. */
  commit({ lease, member }: Tracked, nextOffset: number): void {
    const { partition } = lease
    const before = () => this.committed[partition]!
    const taken = lease.commit(nextOffset).then(
      () => {
        this.committed[partition] = Math.max(before(), nextOffset)
      },
      error => {
        const code = lease.signal.aborted ? 'LEASE_LOST' : 'BROKER_UNAVAILABLE'
        if (!XMachinesError.is(error, code)) this.#fail(error)
        if (code === 'BROKER_UNAVAILABLE' && !member.pause) this.#fail(error)
      },
    )
    this.#commits.push(taken)
  }

  /** Who surely holds the partition, as the group knows it. */
  holders(partition: number): Tracked[] {
    return this.tracked.filter(held => held.lease.partition === partition && this.#holds(held))
  }

  /** What holds after every step. */
  async verify(): Promise<void> {
    await settled()
    if (this.#failure) throw this.#failure
    for (let partition = 0; partition < partitions; partition++) {
      expect(this.holders(partition).length, `holders of partition ${partition}`).toBeLessThanOrEqual(1)
    }
    const committed = [...(await this.#observer.committedOffsets(topic)).values()]
    expect(committed, 'what is committed').toEqual(this.committed)

    const present = this.members.filter(({ leaving, pause }) => !leaving && !pause)
    const quiet = this.members.every(({ pause }) => !pause) && !this.tracked.some(held => this.#drains(held))
    if (present.length === 0 || !quiet) return
    const loads = present.map(member => this.tracked.filter(held => held.member === member && this.#holds(held)).length)
    expect(
      loads.reduce((sum, load) => sum + load, 0),
      'partitions held',
    ).toBe(partitions)
    expect(Math.max(...loads) - Math.min(...loads), 'balance').toBeLessThanOrEqual(1)
  }

  /** Ends everything orderly; whatever was produced was delivered then. */
  async quiesce(): Promise<void> {
    this.releaseCommits()
    for (const member of this.members) if (member.pause) this.resume(member)
    await this.verify()
    for (const member of this.members) if (!member.leaving) this.leave(member)
    await settled()
    for (const held of this.tracked) await held.lease.release()
    await Promise.all([...this.members.map(({ closed }) => closed), ...this.#commits])
    await this.verify()

    this.join()
    await this.verify()
    for (let partition = 0; partition < partitions; partition++) {
      const [held] = this.holders(partition)
      await this.read(held!, this.produced[partition]!)
      expect(this.delivered[partition]!.size, `records of partition ${partition}`).toBe(this.produced[partition])
    }
    expect(this.timers.pending, 'timers left').toBe(0)
  }

  #holds({ lease, member, doubtful }: Tracked): boolean {
    return !lease.signal.aborted && !member.expired && !doubtful
  }

  #doubt(which: (held: Tracked) => boolean): void {
    for (const held of this.tracked) if (held.member.pause && which(held)) held.doubtful = true
  }

  #drains(held: Tracked): boolean {
    return this.#holds(held) && held.lease.revoked.aborted
  }

  async #follow(member: Actor): Promise<void> {
    for await (const lease of member.consumer.leases) {
      const { partition } = lease
      const start = this.committed[partition]!
      expect(this.holders(partition).length, `holders of partition ${partition} at its next lease`).toBe(0)
      this.tracked.push({ lease, member, next: start, fetched: start, position: start, read: start, doubtful: false })
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error
  }
}
