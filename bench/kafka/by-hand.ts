import { randomUUID } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { type Actor, createActor } from 'xstate'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import { order } from '../machines.ts'

/** What people write: offsets are committed by kafkajs, and everything else is gone with the process. */
export async function byHand(cluster: KafkaCluster, topic: string, count: number): Promise<number> {
  const client = new Kafka({ brokers: [...cluster.brokers], logLevel: logLevel.NOTHING })
  const consumer = client.consumer({ groupId: `hand-${randomUUID()}`, maxWaitTimeInMs: 250 })
  const actors = new Map<string, Actor<typeof order>>()
  let seen = 0
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        partitionsConsumedConcurrently: 8,
        async eachBatch({ batch, resolveOffset, heartbeat }) {
          for (const { key, value, offset } of batch.messages) {
            const name = String(key)
            let actor = actors.get(name)
            if (actor === undefined) {
              actor = createActor(order)
              actor.subscribe(() => {})
              actor.start()
              actors.set(name, actor)
            }
            actor.send(JSON.parse(String(value)))
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
