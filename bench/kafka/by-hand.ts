import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import { OrderActors } from '../order-actors.ts'

/** What people write: offsets are committed by kafkajs, and everything else is gone with the process. */
export async function byHand(cluster: KafkaCluster, topic: string, count: number): Promise<number> {
  const client = new Kafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING })
  const consumer = client.consumer({ groupId: `hand-${randomUUID()}`, maxWaitTimeInMs: 250 })
  const actors = new OrderActors()
  let seen = 0
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        partitionsConsumedConcurrently: 8,
        async eachBatch({ batch, resolveOffset, heartbeat }) {
          for (const { key, value, offset } of batch.messages) {
            actors.send(String(key), JSON.parse(String(value)))
            resolveOffset(offset)
            seen += 1
          }
          await heartbeat()
          if (seen === count) resolve()
        },
      })
      .catch(reject)
  })
  await consumer.disconnect()
  return count
}
