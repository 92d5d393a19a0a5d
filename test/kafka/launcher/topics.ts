import { Kafka, logLevel } from 'kafkajs'

/** What a topic is made with. */
export interface TopicOptions {
  readonly partitions: number
  /** @default 3 on three nodes, else 1 */
  readonly replicas?: number
  /** As `retention.ms` and the like. */
  readonly config?: Readonly<Record<string, string>>
}

/** Makes a topic. Resolves when its partitions have leaders. */
export async function createTopic(brokers: readonly string[], name: string, options: TopicOptions): Promise<void> {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'launcher', logLevel: logLevel.NOTHING })
  const admin = kafka.admin()
  await admin.connect()
  try {
    const { partitions, replicas = brokers.length, config = {} } = options
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
    const topic = { topic: name, numPartitions: partitions, replicationFactor: replicas, configEntries }
    const isNew = await admin.createTopics({ topics: [topic], waitForLeaders: true })
    if (!isNew) throw new Error(`The topic ${name} is there already: choose another name.`)
  } finally {
    await admin.disconnect()
  }
}
