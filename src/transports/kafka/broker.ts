import type { Broker, BrokerConsumer, BrokerProducer, ConsumerOptions } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { givenOptions } from '../../actors/given.ts'
import { Client, type ClusterCheck } from './client.ts'
import { KafkaConsumer } from './consumer.ts'
import type { KafkaBrokerOptions } from './options.ts'
import { toldOf } from './problems.ts'
import { KafkaProducer } from './producer.ts'
import { Sender } from './sender.ts'

/** A Kafka cluster. */
export interface KafkaBroker extends Broker {}

/**
 * A Kafka cluster, through kafkajs 2.2.4: its consumer groups hand out partitions, its topics take results and dead
 * letters.
 *
 * Partitions move between members in the cooperative manner: what a member keeps goes on through a rebalance, what it
 * gives up is drained and committed first. A group must therefore be used by this package alone.
 *
 * @example
 * const broker = kafkaBroker({ brokers: ['localhost:9092'] })
 *
 * @throws what its consumers and producers reject with: `BROKER_UNAVAILABLE` while the cluster cannot be reached,
 *   `TOPIC_UNKNOWN`, `BROKER_REFUSED` for credentials and permissions, `GROUP_FOREIGN` for a group of another application,
 *   `PARTITIONS_CHANGED`, `OFFSET_OUT_OF_RANGE`, `RECORD_TOO_LARGE`, `RECORD_REFUSED`, `LIBRARY_MISSING` without kafkajs
 */
export function kafkaBroker(options: KafkaBrokerOptions): KafkaBroker {
  return brokerOn(options)
}

/** A broker that looks at its cluster before it uses it. */
export function brokerOn(options: KafkaBrokerOptions, check?: ClusterCheck): KafkaBroker {
  givenOptions("kafkaBroker({ brokers: ['localhost:9092'] })", options)
  if (options.kafka === undefined) checkAddresses(options.brokers)
  const consumers = new Set<KafkaConsumer>()
  const producers = new Set<KafkaProducer>()
  let client: Promise<Client> | undefined
  let sender: Promise<Sender> | undefined
  let closing: Promise<void> | undefined

  const clientOf = (): Promise<Client> => {
    client ??= Client.load(options, check)
    return client
  }
  const senderOf = (topic: string): Promise<Sender> => {
    sender ??= openSender(clientOf, topic).catch(error => {
      sender = undefined
      throw toldOf(error, `Sending to ${topic}`, { topic, writes: true })
    })
    return sender
  }
  const checkOpen = () => {
    if (closing) throw new XMachinesError('BROKER_CLOSED', 'The broker is closed. Make a new one.')
  }
  const closeAll = async () => {
    await Promise.all([...consumers].map(consumer => consumer.close()))
    // What producers still wait for is refused: nothing that is not acknowledged by now would be.
    const open = await sender?.catch(() => undefined)
    await Promise.all([open?.close(), ...[...producers].map(producer => producer.close())])
  }

  return {
    consumer(consumerOptions: ConsumerOptions): BrokerConsumer {
      checkOpen()
      const consumer = new KafkaConsumer(consumerOptions, { client: clientOf, closed: gone => consumers.delete(gone) })
      consumers.add(consumer)
      return consumer
    },

    producer({ topic }: { readonly topic: string }): BrokerProducer {
      checkOpen()
      const producer = new KafkaProducer(topic, senderOf, checkOpen)
      producers.add(producer)
      return producer
    },

    close() {
      closing ??= closeAll()
      return closing
    },
  }
}

async function openSender(clientOf: () => Promise<Client>, topic: string): Promise<Sender> {
  const client = await clientOf()
  const { cluster } = await client.connect([topic])
  return new Sender(cluster, client)
}

function checkAddresses(brokers: readonly string[]): void {
  if (!Array.isArray(brokers) || brokers.length === 0)
    throw new TypeError("Expected `brokers` to be a list of addresses like 'localhost:9092', got none.")
}
