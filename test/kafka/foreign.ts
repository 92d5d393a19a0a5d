import { Kafka, logLevel } from 'kafkajs'

/** Joins a group as another application does, with an assigner of its own. Rejects as the group refuses it; resolves to its leave. */
export async function foreignMember(
  brokers: readonly string[],
  topic: string,
  groupId: string,
): Promise<() => Promise<void>> {
  const consumer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).consumer({
    groupId,
    retry: { retries: 0, restartOnFailure: async () => false },
  })
  await consumer.subscribe({ topic })
  const joined = new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, () => resolve())
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
  })
  joined.catch(() => {})
  try {
    await consumer.run({ eachBatch: async () => {} })
    await joined
  } catch (error) {
    await consumer.disconnect()
    throw error
  }
  return () => consumer.disconnect()
}
