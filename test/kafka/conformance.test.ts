import { test } from 'vitest'
import { brokerConformance } from 'xmachines/testing'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { createTopic } from './launcher/topics.ts'
import { describeOnKafka, sharedKafka } from './shared.ts'

for (const version of [undefined, '3.9']) {
  describeOnKafka(
    `a broker on Kafka ${version ?? 'as it is now'}`,
    () => {
      brokerConformance(
        async () => {
          const { brokers } = await sharedKafka(version)
          const broker = kafkaBroker({ brokers, heartbeatInterval: 100, maxWait: 50 })
          return {
            broker,
            createTopic: (topic, partitions) => createTopic(brokers, topic, { partitions }),
            close: () => broker.close(),
          }
        },
        (name, check) => test(name, check, 60_000),
      )
    },
    version,
  )
}
