import { Kafka, logLevel } from 'kafkajs'
import { settings, topics } from './settings.ts'

/** Makes the topics, where they are not there yet. Dead letters have as many partitions as the orders. */
export async function makeTopics(): Promise<void> {
  const admin = new Kafka({ brokers: settings.brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  const { partitions: numPartitions } = settings
  await admin.createTopics({ topics: Object.values(topics).map(topic => ({ topic, numPartitions })) })
  await admin.disconnect()
}
