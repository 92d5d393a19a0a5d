import type { PartitionLease } from '../../actors/contracts/broker.ts'
import { check, same, text, upTo } from './check.ts'
import type { Member } from './member.ts'
import type { Case, Stage } from './stage.ts'

const partitions = 8
const perPartition = 120

/** What the workers of one group have done. */
class Work {
  /** Values that were read, by partition. */
  readonly seen = new Map<number, Set<string>>(upTo(partitions).map(partition => [partition, new Set()]))
  /** What the group's next owner is to start at. */
  readonly committed = new Map<number, number>()
  readonly #stage: Stage

  constructor(stage: Stage) {
    this.#stage = stage
  }

  get done(): boolean {
    return [...this.seen.values()].every(values => values.size === perPartition)
  }

  /** Reads a lease to its end, commits now and then and at the end, and releases it. */
  async on(lease: PartitionLease): Promise<void> {
    const { partition } = lease
    const start = this.committed.get(partition) ?? 0
    let next: number | undefined
    for await (const { offset, value } of lease.records) {
      if (next === undefined) same(offset, start, `The first record of a new lease on partition ${partition}`)
      check(next === undefined || offset >= next, `Partition ${partition} went back from ${next} to ${offset}.`)
      next = offset + 1
      this.seen.get(partition)!.add(String(text(value)))
      if (next % 7 === 0) await this.#commit(lease, next)
      this.#stage.changed()
    }
    if (next !== undefined) await this.#commit(lease, next)
    await lease.release()
  }

  async #commit(lease: PartitionLease, next: number): Promise<void> {
    await lease.commit(next)
    this.committed.set(lease.partition, Math.max(next, this.committed.get(lease.partition) ?? 0))
  }
}

/** Many members, many partitions, and no rest. */
export const storm: readonly Case[] = [
  [
    'members come and go: every record is read, leases start at the commit, commits never go back',
    async stage => {
      const topic = await stage.topic(partitions)
      const group = stage.group()
      const work = new Work(stage)
      const watcher = stage.broker.consumer({ topic, group })
      const join = () => stage.join(topic, group, { obedient: false, work: lease => work.on(lease) })
      const members: Member[] = upTo(3).map(join)
      let before = new Map<number, number>()
      for (const round of upTo(8)) {
        for (const partition of upTo(partitions)) {
          await stage.fill(topic, partition, perPartition / 8, (round * perPartition) / 8)
        }
        const leaver = members.shift()!
        if (round % 2 === 0) members.push(join())
        await Promise.all([
          leaver.consumer.close(),
          stage.until('some member with a lease', () => members.some(({ held }) => held.length > 0)),
        ])
        if (round % 2 === 1) members.push(join())
        const now = new Map(await watcher.committedOffsets(topic))
        for (const [partition, offset] of now) {
          const earlier = before.get(partition) ?? 0
          check(offset >= earlier, `The commit of partition ${partition} went back from ${earlier} to ${offset}.`)
        }
        before = now
      }
      await stage.until('every record', () => work.done)
      await Promise.all(members.map(member => member.consumer.close()))
      const ends = await watcher.endOffsets(topic)
      same(await watcher.committedOffsets(topic), ends, 'The commits at the end')
      await watcher.close()
    },
  ],
]
