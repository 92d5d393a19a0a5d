import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { newest, oldest } from './launcher/index.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const quiet = { logLevel: logLevel.NOTHING }

/** Produces, and reads back what is there. */
async function roundTrip(brokers: readonly string[], topic: string, values: readonly string[]): Promise<string[]> {
  const kafka = new Kafka({ ...quiet, brokers: [...brokers] })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, messages: values.map(value => ({ value })) })
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: unique('reader') })
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const read: string[] = []
  await new Promise<void>((resolve, reject) => {
    const eachMessage = async ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
      read.push(String(message.value))
      if (read.length === values.length) resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
  await consumer.disconnect()
  return read
}

for (const version of [newest, oldest]) {
  describeOnKafka(
    `the shared Kafka ${version}`,
    () => {
      test('gives back what it was given', async () => {
        const kafka = await sharedKafka(version)
        const topic = await kafka.createTopic('round-trip', { partitions: 1 })
        expect(await roundTrip(kafka.brokers, topic, ['one', 'two'])).toEqual(['one', 'two'])
        expect((await sharedKafka(version)).brokers).toEqual(kafka.brokers)
      })
    },
    version,
  )
}
