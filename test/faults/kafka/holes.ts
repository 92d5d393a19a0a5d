import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs'
import type { BrokerProducer } from 'xmachines'
import { readTopic } from './topic-reader.ts'

/** The cleaner comes often. Of a broker. */
export const eagerCleaner = { 'log.cleaner.backoff.ms': '100' }

/** What a topic is made with in which {@link makeHoles} can. */
export const compacted = { 'cleanup.policy': 'compact', 'segment.ms': '100', 'min.cleanable.dirty.ratio': '0.01' }

const sent = 20
const patience = 60_000

/**
 * Leaves offsets behind that no record has: sends a key again and again until the topic was compacted, then ends the compaction.
 *
 * @returns how many are missing
 */
export async function makeHoles(brokers: readonly string[], producer: BrokerProducer): Promise<number> {
  const { topic } = producer
  const until = performance.now() + patience
  for (let number = 0; ; number++) {
    // What is older than the segment's time closes it with the next record: only closed ones are compacted.
    await producer.send([{ key: 'hole', value: JSON.stringify({ type: 'ADD', by: `h${number}` }) }])
    await sleep(number < sent ? 20 : 200)
    if (number < sent) continue
    const [records = []] = [...(await readTopic(brokers, topic)).values()].filter(({ length }) => length > 0)
    const missing = number + 1 - records.length
    if (missing > 0) {
      await endCompaction(brokers, topic)
      return missing
    }
    if (performance.now() > until) throw new Error(`${topic} was not compacted within ${patience / 1_000} s.`)
  }
}

async function endCompaction(brokers: readonly string[], name: string): Promise<void> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    const configEntries = [{ name: 'cleanup.policy', value: 'delete' }]
    const resources = [{ type: ConfigResourceTypes.TOPIC, name, configEntries }]
    await admin.alterConfigs({ validateOnly: false, resources })
  } finally {
    await admin.disconnect()
  }
}
