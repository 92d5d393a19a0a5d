import { Kafka, logLevel } from 'kafkajs'
import type { BrokerConsumer, ConsumerOptions, PartitionLease } from 'xmachines'
import type { BrokerFixture } from 'xmachines/testing'
import { type KafkaBroker, type KafkaTuning, kafkaBroker } from 'xmachines/transports/kafka'
import { createTopic } from './launcher/topics.ts'
import { Valve } from './network/valve.ts'

/** Quick to notice what happens. */
const tuning: KafkaTuning = {
  heartbeatInterval: 100,
  maxWait: 50,
  maxBytesPerPartition: 128 * 1024,
  maxBatchBytes: 32 * 1024,
}

/** What the conformance suite needs of a cluster: members whose connections can be shut, topics that can be trimmed. */
export async function kafkaFixture(
  brokers: readonly string[],
  sessionTimeout: number,
  make: typeof kafkaBroker = kafkaBroker,
): Promise<BrokerFixture> {
  const broker = make({ brokers, ...tuning })
  const silenced = new Map<BrokerConsumer, Valve>()
  const others: KafkaBroker[] = []

  const consumer = (options: ConsumerOptions): BrokerConsumer => {
    const valve = new Valve()
    const kafka = new Kafka({
      brokers: [...brokers],
      socketFactory: valve.socketFactory,
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 50, maxRetryTime: 200, retries: 3 },
    })
    const own = make({ kafka, ...tuning })
    others.push(own)
    const made = own.consumer({ sessionTimeout, ...options })
    silenced.set(made, valve)
    return made
  }
  const close = async () => {
    await Promise.all([broker, ...others].map(each => each.close()))
  }
  // Asked first, so that a broker that is closed refuses before anything is made.
  const admit = () => broker.producer({ topic: 'admission' })

  return {
    broker: {
      consumer(options) {
        admit()
        return consumer(options)
      },
      producer: options => broker.producer(options),
      close,
    },
    createTopic: (topic, partitions) => createTopic(brokers, topic, { partitions }),
    close,
    capabilities: {
      // As many of the smallest records as fit into the bytes above.
      readAhead: 20_000,
      fetched: lease => (lease as PartitionLease & { readonly position?: number }).position ?? 0,
      async silence(member) {
        silenced.get(member)!.shut()
      },
      async thaw(member) {
        silenced.get(member)!.open()
      },
      trim: (topic, partition, offset) => trim(brokers, topic, partition, offset),
    },
  }
}

/** Forgets what lies before `offset`, as a retention would. */
export async function trim(
  brokers: readonly string[],
  topic: string,
  partition: number,
  offset: number,
): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    // kafkajs knows the topic's leaders only from here on.
    await admin.fetchTopicOffsets(topic)
    await admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
  } finally {
    await admin.disconnect()
  }
}
