import type { Broker, BrokerConsumer, BrokerProducer, ConsumerOptions } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { MemoryConsumer } from './consumer.ts'
import { FaultPoints } from './fault-points.ts'
import { Faults, type MemoryFaults } from './faults.ts'
import { Group } from './group.ts'
import { type MemoryBrokerOptions, runtimeTimers } from './options.ts'
import { MemoryProducer } from './producer.ts'
import type { SessionOptions } from './session.ts'
import { Topic } from './topic.ts'

/** A broker in this process: what it holds is gone with it. */
export interface MemoryBroker extends Broker {
  /** The cluster's id. */
  readonly clusterId: string
  /** Makes a topic with its own number of partitions; throws a TypeError where it exists with another number. */
  createTopic(topic: string, partitions: number): void
  /**
   * Forgets the records of a partition before `offset`, as a retention would. A lease that stood there errors with
   * `OFFSET_OUT_OF_RANGE`; so does `trim` itself for an offset that does not exist.
   */
  trim(topic: string, partition: number, offset: number): void
  /** Faults on demand. */
  readonly faults: MemoryFaults
}

/**
 * A broker in this process, with real topics, partitions, consumer groups and rebalances: what a run sees of it is what
 * it sees of Kafka. Partitions are chosen as Kafka's Java producer does.
 *
 * Topics come into being by their first use. Groups keep what they committed also while they have no member.
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  const { partitions = 1, id: clusterId = randomId(), clock = Date.now, timers = runtimeTimers } = options
  checkCount('partitions', partitions)
  const points = new FaultPoints()
  const topics = new Map<string, Topic>()
  const groups = new Map<string, Group>()
  const consumers = new Set<MemoryConsumer>()
  let closing: Promise<void> | undefined

  const topicOf = (name: string, count = partitions): Topic =>
    topics.get(name) ?? put(topics, name, new Topic(name, count, clock))
  const groupOf = (name: string): Group => groups.get(name) ?? put(groups, name, new Group(name, timers, points))
  const checkOpen = () => {
    if (closing) throw new XMachinesError('BROKER_CLOSED', 'The broker is closed. Make a new one.')
  }
  const closeAll = async () => {
    await Promise.all([...consumers].map(consumer => consumer.close()))
  }

  return {
    clusterId,
    faults: new Faults(points, () => groups.values(), timers),

    createTopic(topic, count) {
      checkOpen()
      checkCount('partitions', count)
      const { length } = topicOf(topic, count).partitions
      if (length !== count)
        throw new TypeError(`Expected ${topic} to be new: it has ${length} partitions, not ${count}.`)
    },

    trim(topic, partition, offset) {
      topicOf(topic).at(partition).trim(offset)
    },

    consumer(consumerOptions: ConsumerOptions): BrokerConsumer {
      checkOpen()
      const consumer = new MemoryConsumer(sessionOptions(consumerOptions), {
        clusterId,
        group: groupOf(consumerOptions.group),
        topic: topicOf,
        closed: gone => consumers.delete(gone),
      })
      consumers.add(consumer)
      return consumer
    },

    producer({ topic }: { readonly topic: string }): BrokerProducer {
      checkOpen()
      return new MemoryProducer(topicOf(topic), points, checkOpen)
    },

    close() {
      closing ??= closeAll()
      return closing
    },
  }
}

function sessionOptions(options: ConsumerOptions): SessionOptions {
  const { topic, from = 'earliest', drainTimeout = 30_000, sessionTimeout = 30_000 } = options
  const topics = typeof topic === 'string' ? [topic] : [...new Set(topic)]
  if (topics.length === 0) throw new TypeError('Expected `topic` to name a topic, got an empty list.')
  return { topics, from, drainTimeout, sessionTimeout, terms: '' }
}

function checkCount(name: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 1)
    throw new TypeError(`Expected \`${name}\` to be a whole number from 1, got ${count}.`)
}

function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

function put<Value>(map: Map<string, Value>, name: string, value: Value): Value {
  map.set(name, value)
  return value
}
