import { type IHeaders, Kafka, type KafkaMessage, logLevel, type Message } from 'kafkajs'

/** A record, as somebody else's client sees it. */
export interface SeenRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly timestamp: number
  readonly headers: Readonly<Record<string, string>>
}

/** kafkajs, as another application uses it: what the command line does to a cluster is seen from outside. */
export class KafkaClient {
  readonly #kafka: Kafka

  constructor(brokers: readonly string[]) {
    this.#kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
  }

  async send(topic: string, messages: Message[]): Promise<void> {
    const producer = this.#kafka.producer()
    await producer.connect()
    await producer.send({ topic, messages })
    await producer.disconnect()
  }

  /** The first `count` records of a topic: by partition, in order. */
  async read(topic: string, count: number): Promise<readonly SeenRecord[]> {
    const consumer = this.#kafka.consumer({ groupId: `reader-of-${topic}-${Math.random()}`, maxWaitTimeInMs: 50 })
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    const seen: SeenRecord[] = []
    if (count > 0) {
      await new Promise<void>((resolve, reject) => {
        const eachMessage = async ({ partition, message }: { partition: number; message: KafkaMessage }) => {
          seen.push(recordOf(partition, message))
          if (seen.length === count) resolve()
        }
        consumer.run({ autoCommit: false, eachMessage }).catch(reject)
      })
    }
    await consumer.disconnect()
    return seen.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
  }

  /** How many offsets a topic has given out, and how many of them a group has committed. */
  async offsets(topic: string, group: string): Promise<{ readonly end: number; readonly committed: number }> {
    const admin = this.#kafka.admin()
    await admin.connect()
    try {
      const ends = await admin.fetchTopicOffsets(topic)
      const [own] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
      const sum = (offsets: readonly { readonly offset: string }[]) =>
        offsets.reduce((total, { offset }) => total + Math.max(0, Number(offset)), 0)
      return { end: sum(ends), committed: sum(own?.partitions ?? []) }
    } finally {
      await admin.disconnect()
    }
  }
}

function recordOf(partition: number, { offset, key, value, timestamp, headers }: KafkaMessage): SeenRecord {
  return {
    partition,
    offset: Number(offset),
    key: key?.toString() ?? null,
    value: value?.toString() ?? null,
    timestamp: Number(timestamp),
    headers: textsOf(headers ?? {}),
  }
}

function textsOf(headers: IHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}
