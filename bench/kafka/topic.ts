import type { OutgoingRecord } from 'xmachines'
import { kafkaBroker } from 'xmachines/transports/kafka'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import { orderEvents } from '../machines.ts'

/** The `index`-th record of orders that take turns: `keys` of them. */
export function orderRecords(count: number, keys: number): OutgoingRecord[] {
  return orderEvents(count).map((event, i) => ({ key: `o-${i % keys}`, value: JSON.stringify(event) }))
}

/** Makes a topic, and fills it. */
export async function fill(
  cluster: KafkaCluster,
  topic: string,
  partitions: number,
  records: readonly OutgoingRecord[],
): Promise<void> {
  await cluster.createTopic(topic, { partitions })
  const broker = kafkaBroker({ brokers: cluster.brokers })
  const producer = broker.producer({ topic })
  for (let i = 0; i < records.length; i += 5000) await producer.send(records.slice(i, i + 5000))
  await broker.close()
}
