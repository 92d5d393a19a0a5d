import type { Message, Producer, TopicMessages, Transaction } from 'kafkajs'
import { XMachinesError } from '../../actors/errors.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'
import { toldOf } from '../../transports/kafka/problems.ts'
import { openKafkajs } from './kafkajs.ts'
import type { PlacedLetter } from './letters.ts'

/** What is sent together with the commit that says so. */
export interface Redriven {
  readonly letters: readonly PlacedLetter[]
  /** Where the letters are, and behind which of them all are dealt with. */
  readonly partition: number
  readonly next: number
}

export interface RedriveOptions {
  /** The topic of dead letters. */
  readonly topic: string
  readonly group: string
  /** @default the topic that each came from */
  readonly to: string | undefined
  /** Whether the records are of the time that they were of first. */
  readonly originalTime: boolean
}

/** The header of a re-driven record that names its dead letter. */
const redrivenHeader = 'xmachines-redriven'

/**
 * Sends records again, each batch in one transaction with the commit of the replay's group: whatever fails, a letter is
 * re-driven once. Another replay of the same group that is under way is shut out by this one.
 */
export class Redrive {
  readonly #producer: Producer
  readonly #options: RedriveOptions
  /** kafkajs shuts earlier replays out with the first transaction, not when it connects. */
  #begun: Transaction | undefined

  private constructor(producer: Producer, begun: Transaction, options: RedriveOptions) {
    this.#producer = producer
    this.#begun = begun
    this.#options = options
  }

  /** When it resolves no earlier replay can commit any more: only then it is known how far they came. */
  static async open(connection: KafkaConnection, options: RedriveOptions): Promise<Redrive> {
    const { topic, group } = options
    const { kafka, partitioner } = await openKafkajs(connection)
    const producer = kafka.producer({
      transactionalId: `xmachines-replay/${topic}/${group}`,
      idempotent: true,
      maxInFlightRequests: 1,
      // Every record has a partition already.
      createPartitioner: partitioner,
    })
    try {
      await producer.connect()
      return new Redrive(producer, await producer.transaction(), options)
    } catch (error) {
      await producer.disconnect().catch(() => {})
      throw toldOf(error, `Replaying ${topic}`)
    }
  }

  async send({ letters, partition, next }: Redriven): Promise<void> {
    const { topic, group } = this.#options
    let transaction = this.#begun
    this.#begun = undefined
    try {
      transaction ??= await this.#producer.transaction()
      if (letters.length > 0) await transaction.sendBatch({ topicMessages: this.#byTopic(letters), acks: -1 })
      const topics = [{ topic, partitions: [{ partition, offset: String(next) }] }]
      await transaction.sendOffsets({ consumerGroupId: group, topics })
      await transaction.commit()
    } catch (error) {
      if (transaction?.isActive()) await transaction.abort().catch(() => {})
      throw isFenced(error) ? shutOut(topic) : toldOf(error, `Replaying ${topic}`)
    }
  }

  async close(): Promise<void> {
    await this.#producer.disconnect().catch(() => {})
  }

  #byTopic(letters: readonly PlacedLetter[]): TopicMessages[] {
    const topics = new Map<string, Message[]>()
    for (const letter of letters) {
      const topic = this.#options.to ?? letter.topic
      const messages = topics.get(topic) ?? []
      topics.set(topic, messages)
      messages.push(this.#messageOf(letter))
    }
    return [...topics].map(([topic, messages]) => ({ topic, messages }))
  }

  /** The record as it was, with one header more: which letter it was. */
  #messageOf({ id, key, value, partition, timestamp, headers }: PlacedLetter): Message {
    const own: Record<string, Buffer[]> = Object.create(null)
    // kafkajs throws for a header without a value: it goes with an empty one.
    for (const [name, bytes] of headers)
      if (name !== redrivenHeader) (own[name] ??= []).push(Buffer.from(bytes ?? new Uint8Array()))
    return {
      key: key && Buffer.from(key),
      value: value && Buffer.from(value),
      partition,
      headers: { ...own, [redrivenHeader]: id },
      ...(this.#options.originalTime ? { timestamp: String(timestamp) } : {}),
    }
  }
}

function isFenced(error: unknown): boolean {
  const type = (error as { readonly type?: string }).type
  return type === 'INVALID_PRODUCER_EPOCH' || type === 'PRODUCER_FENCED'
}

function shutOut(topic: string): XMachinesError {
  return new XMachinesError(
    'REPLAY_SUPERSEDED',
    `Another replay of ${topic} has begun, and shuts this one out. What this one had committed is done; the other one goes on from there.`,
    { details: { topic } },
  )
}
