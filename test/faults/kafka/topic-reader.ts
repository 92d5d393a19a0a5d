import { randomUUID } from 'node:crypto'
import { Kafka, type KafkaMessage, logLevel } from 'kafkajs'

/** A record as kafkajs' own consumer sees it. */
export interface ReadRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: Readonly<Record<string, string>>
}

/** All that readers of what is committed see of a topic, by partition: read by kafkajs' own consumer, which the adapter does not use. */
export async function readTopic(
  brokers: readonly string[],
  topic: string,
): Promise<ReadonlyMap<number, readonly ReadRecord[]>> {
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry: { retries: 10 } })
  const admin = kafka.admin()
  await admin.connect()
  const offsets = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const left = new Map(offsets.flatMap(({ partition, low, high }) => (low === high ? [] : [[partition, Number(high)]])))
  const read = new Map<number, ReadRecord[]>(offsets.map(({ partition }) => [partition, []]))
  const consumer = kafka.consumer({ groupId: `checker-${randomUUID()}`, maxWaitTimeInMs: 100 })
  try {
    await consumer.connect()
    await consumer.subscribe({ topic, fromBeginning: true })
    await new Promise<void>((resolve, reject) => {
      if (left.size === 0) resolve()
      // A coordinator that is loading is met by starting anew.
      consumer.on('consumer.crash', ({ payload }) => {
        if (!payload.restart) reject(payload.error)
      })
      void consumer.run({
        autoCommit: false,
        eachBatch: async ({ batch: { partition, messages } }) => {
          const records = read.get(partition)!
          // Who joins again reads again.
          const next = (records.at(-1)?.offset ?? -1) + 1
          for (const message of messages) if (Number(message.offset) >= next) records.push(recordOf(partition, message))
          if ((records.at(-1)?.offset ?? -1) + 1 >= left.get(partition)!) left.delete(partition)
          if (left.size === 0) resolve()
        },
      })
    })
  } finally {
    await consumer.disconnect()
  }
  return read
}

function recordOf(partition: number, { offset, key, value, headers = {} }: KafkaMessage): ReadRecord {
  return {
    partition,
    offset: Number(offset),
    key: key === null ? null : String(key),
    value: value === null ? null : String(value),
    headers: Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, String(bytes)])),
  }
}
