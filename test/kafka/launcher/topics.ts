import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'

/** What a topic is made with. */
export interface TopicOptions {
  readonly partitions: number
  /** @default one on each broker */
  readonly replicas?: number
  /** As `retention.ms` and the like. */
  readonly config?: Readonly<Record<string, string>>
}

const patience = 30_000

/** Makes a topic. Resolves when every broker that serves knows the leaders of its partitions: clients ask any of them. */
export async function createTopic(brokers: readonly string[], name: string, options: TopicOptions): Promise<void> {
  const { partitions, replicas = brokers.length, config = {} } = options
  const configEntries = Object.entries(config).map(([entry, value]) => ({ name: entry, value }))
  const topic = { topic: name, numPartitions: partitions, replicationFactor: replicas, configEntries }
  const serving = await asAdmin(brokers, {}, async admin => {
    const isNew = await admin.createTopics({ topics: [topic], waitForLeaders: false })
    if (!isNew) throw new Error(`The topic ${name} is there already: choose another name.`)
    return (await admin.describeCluster()).brokers
  })
  // A client that knows one broker only has that one to ask.
  await Promise.all(
    serving.map(({ host, port }) => asAdmin([`${host}:${port}`], { retries: 0 }, led(name, partitions))),
  )
}

function led(topic: string, partitions: number): (admin: Admin) => Promise<void> {
  return async admin => {
    const until = performance.now() + patience
    for (;;) {
      // Until the broker has heard of it, the answer is an error.
      const answer = await admin.fetchTopicMetadata({ topics: [topic] }).catch((error: Error) => error)
      if (!(answer instanceof Error)) {
        const known = answer.topics[0]!.partitions
        if (known.length === partitions && known.every(({ leader }) => leader >= 0)) return
      }
      if (performance.now() > until) throw new Error(`The topic ${topic} has no leaders after ${patience / 1000} s.`)
      await sleep(20)
    }
  }
}

async function asAdmin<T>(
  brokers: readonly string[],
  retry: { readonly retries?: number },
  work: (admin: Admin) => Promise<T>,
): Promise<T> {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'launcher', logLevel: logLevel.NOTHING, retry })
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}
