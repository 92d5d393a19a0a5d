import type { BrokerConsumer, PartitionOffsets } from '../contracts/broker.ts'

/** Where a group's topics end and what it has committed, as they were last asked for. */
export class GroupOffsets {
  readonly #consumer: BrokerConsumer
  readonly #ends = new Map<string, PartitionOffsets>()
  readonly #committed = new Map<string, PartitionOffsets>()
  #asking: Promise<void> | undefined

  constructor(consumer: BrokerConsumer) {
    this.#consumer = consumer
  }

  end(topic: string, partition: number): number | undefined {
    return this.#ends.get(topic)?.get(partition)
  }

  committed(topic: string, partition: number): number | undefined {
    return this.#committed.get(topic)?.get(partition)
  }

  /** Asks again. Where the broker does not answer, the last answers stay. @param uncommitted topics of whose commits something is not known */
  ask(uncommitted: ReadonlySet<string>): Promise<void> {
    this.#asking ??= this.#ask(uncommitted)
      .catch(() => {})
      .then(() => {
        this.#asking = undefined
      })
    return this.#asking
  }

  async #ask(uncommitted: ReadonlySet<string>): Promise<void> {
    const consumer = this.#consumer
    await Promise.all(
      consumer.topics.map(async topic => {
        this.#ends.set(topic, await consumer.endOffsets(topic))
        if (uncommitted.has(topic)) this.#committed.set(topic, await consumer.committedOffsets(topic))
      }),
    )
  }
}
