import type { ICustomPartitioner, Kafka } from 'kafkajs'
import { missingLibrary } from '../../actors/missing-library.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'

/** kafkajs itself, for what the transport has not: transactions. Its partitioner is never asked where a record has its place. */
export async function openKafkajs({ brokers, clientId, ssl, sasl }: KafkaConnection): Promise<{
  readonly kafka: Kafka
  readonly partitioner: ICustomPartitioner
}> {
  const loaded = await import('kafkajs').catch((cause: unknown) => {
    throw missingLibrary('This needs the package kafkajs', 'kafkajs', 'kafkajs@2.2.4', cause)
  })
  const { Kafka, logLevel, Partitioners } = loaded.default ?? loaded
  const kafka = new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 8 },
    ...(clientId === undefined ? {} : { clientId }),
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  })
  return { kafka, partitioner: Partitioners.DefaultPartitioner }
}
