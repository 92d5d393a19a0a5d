import type {
  BrokerProducer,
  BrokerRecord,
  ConsumerOptions,
  OutgoingRecord,
  PartitionLease,
} from '../../actors/contracts/broker.ts'
import { check } from './check.ts'
import type { BrokerCapabilities, BrokerFixture } from './fixture.ts'
import { Member, type MemberOptions } from './member.ts'

/** One check: what holds, and how it is seen. */
export type Case = readonly [name: string, body: (stage: Stage) => Promise<void>]

/** What a check plays on: topics and groups of its own, members that are watched, nothing left behind. */
export class Stage {
  readonly broker: BrokerFixture['broker']
  readonly capabilities: BrokerCapabilities
  readonly #fixture: BrokerFixture
  readonly #name = `check-${crypto.randomUUID().slice(0, 13)}`
  readonly #members: Member[] = []
  readonly #producers = new Map<string, BrokerProducer>()
  readonly #watchers = new Set<() => void>()
  readonly #holders = new Map<string, PartitionLease>()
  #failure: Error | undefined
  #count = 0

  constructor(fixture: BrokerFixture) {
    this.#fixture = fixture
    this.broker = fixture.broker
    this.capabilities = fixture.capabilities ?? {}
  }

  /** A new topic. */
  async topic(partitions: number): Promise<string> {
    const topic = this.#unused('topic')
    await this.#fixture.createTopic(topic, partitions)
    return topic
  }

  /** The name of a new group. */
  group(): string {
    return this.#unused('group')
  }

  async send(topic: string, records: readonly OutgoingRecord[]) {
    let producer = this.#producers.get(topic)
    if (!producer) {
      producer = this.broker.producer({ topic })
      this.#producers.set(topic, producer)
    }
    return this.soon(producer.send(records), 'a send')
  }

  /** Sends `count` values, 'v0' and so on, to one partition. */
  async fill(topic: string, partition: number, count: number, first = 0): Promise<void> {
    await this.send(
      topic,
      Array.from({ length: count }, (_, at) => ({ partition, value: `v${first + at}` })),
    )
  }

  /** A new member of a group, reading its leases. */
  join(topic: ConsumerOptions['topic'], group: string, options: MemberOptions = {}): Member {
    const consumer = this.broker.consumer({ topic, group, ...options })
    const member = new Member(consumer, options, {
      leased: lease => this.#leased(group, lease),
      changed: () => this.changed(),
      failed: error => this.#fail(error),
    })
    this.#members.push(member)
    return member
  }

  /** Reads `count` records of a lease. */
  async read(lease: PartitionLease, count: number): Promise<BrokerRecord[]> {
    const reader = lease.records.getReader()
    const records: BrokerRecord[] = []
    try {
      while (records.length < count) {
        const { done, value } = await this.soon(reader.read(), `record ${records.length + 1} of ${count}`)
        check(!done, `The records of ${lease.topic}/${lease.partition} ended after ${records.length} of ${count}.`)
        records.push(value)
      }
    } finally {
      reader.releaseLock()
    }
    return records
  }

  /** Waits until `condition` holds, asked again whenever something happened to a member. */
  async until(what: string, condition: () => boolean): Promise<void> {
    while (!condition()) {
      let watch = () => {}
      const change = new Promise<void>(resolve => {
        watch = resolve
        this.#watchers.add(resolve)
      })
      await this.soon(change, what).finally(() => this.#watchers.delete(watch))
      if (this.#failure) throw this.#failure
    }
  }

  /** The answer of `promise`, or a failure that names what was waited for. */
  async soon<Answer>(promise: Promise<Answer>, what: string): Promise<Answer> {
    const { patience = 30_000 } = this.capabilities
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Waited ${patience} ms for ${what}.`)), patience)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
    }
  }

  /** Says that a condition may hold now. */
  changed(): void {
    for (const watch of [...this.#watchers]) watch()
  }

  /** Fails if anything was seen that no broker may do. */
  verify(): void {
    if (this.#failure) throw this.#failure
  }

  /** A lease that its holder cannot know to be over. */
  forget(lease: PartitionLease, group: string): void {
    this.#holders.delete(placeOf(group, lease))
  }

  async close(): Promise<void> {
    await this.soon(Promise.all(this.#members.map(member => member.dismiss())), 'all members to leave')
    await Promise.all([...this.#producers.values()].map(producer => producer.close()))
    await this.#fixture.close()
  }

  #leased(group: string, lease: PartitionLease): void {
    const place = placeOf(group, lease)
    const before = this.#holders.get(place)
    if (before && !before.signal.aborted) this.#fail(new Error(`${place} was leased while another lease on it lived.`))
    this.#holders.set(place, lease)
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.changed()
  }

  #unused(kind: string): string {
    this.#count += 1
    return `${this.#name}-${kind}-${this.#count}`
  }
}

function placeOf(group: string, { topic, partition }: PartitionLease): string {
  return `${group}: ${topic}/${partition}`
}
