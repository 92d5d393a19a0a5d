import { describe, expect, test } from 'vitest'
import type {
  Broker,
  BrokerConsumer,
  BrokerProducer,
  BrokerRecord,
  PartitionLease,
} from '../../src/actors/contracts/broker.ts'
import { brokerConformance } from '../../src/testing/broker-conformance.ts'
import { memoryBroker } from '../../src/transports/memory/index.ts'

/** Parts of a broker that are other ones. */
interface Changes {
  lease?(lease: PartitionLease): Partial<PartitionLease>
  consumer?(consumer: BrokerConsumer): Partial<BrokerConsumer>
  producer?(producer: BrokerProducer): Partial<BrokerProducer>
}

/** `object` with some members of its own. */
function changed<T extends object>(object: T, own: Partial<T> = {}): T {
  return new Proxy(object, {
    get(target, name) {
      const from = name in own ? own : target
      const value = Reflect.get(from, name, from)
      return typeof value === 'function' ? value.bind(from) : value
    },
  })
}

function broken(broker: Broker, { lease, consumer, producer }: Changes): Broker {
  return changed(broker, {
    producer: options => {
      const made = broker.producer(options)
      return changed(made, producer?.(made))
    },
    consumer: options => {
      const made = broker.consumer(options)
      const leases = lease && mapped(made.leases, held => [changed(held, lease(held))])
      return changed(made, { ...consumer?.(made), ...(leases && { leases }) })
    },
  })
}

/** What `stream` gives, changed, and as it is read. */
function mapped<T>(stream: ReadableStream<T>, change: (item: T) => readonly T[]): ReadableStream<T> {
  const reader = stream.getReader()
  const pull = async (controller: ReadableStreamDefaultController<T>): Promise<void> => {
    const { done, value } = await reader.read()
    if (done) return controller.close()
    for (const each of change(value)) controller.enqueue(each)
  }
  return new ReadableStream({ pull, cancel: reason => reader.cancel(reason) }, { highWaterMark: 0 })
}

const withRecords = (change: (record: BrokerRecord) => readonly BrokerRecord[]): Changes => ({
  lease: lease => ({ records: mapped(lease.records, change) }),
})

/** Each breaks one rule, and the first check that notices has this among its name or its message. */
const brokenBrokers: Readonly<Record<string, readonly [changes: () => Changes, noticed: string]>> = {
  'names its cluster otherwise for each consumer': [
    () => ({ consumer: () => ({ clusterId: crypto.randomUUID() }) }),
    'The names that the second member has',
  ],
  'has one source of positions for all partitions': [
    () => ({ consumer: () => ({ sourceId: topic => topic }) }),
    'How many sources there are',
  ],
  'counts its partitions wrong': [() => ({ lease: () => ({ partitions: 7 }) }), 'The partitions that the lease'],
  'sends repeated records by their key': [
    () => ({
      producer: producer => ({
        send: (sent, options) =>
          producer.send(
            sent.map(record => ({ ...record, mirrors: undefined })),
            options,
          ),
      }),
    }),
    'a record that repeats one',
  ],
  'knows the commits of one topic only': [
    () => ({
      consumer: consumer => ({
        committedOffsets: (_, options) => consumer.committedOffsets(consumer.topics[0]!, options),
      }),
    }),
    'The commits of partition 0 of each topic',
  ],
  'gives each record twice': [() => withRecords(record => [record, record]), 'Keys and values'],
  'gives empty bytes for none': [
    () => withRecords(record => [{ ...record, value: record.value ?? new Uint8Array() }]),
    'Keys and values',
  ],
  'forgets headers that come again': [
    () => withRecords(record => [{ ...record, headers: [...new Map(record.headers)] }]),
    'The record',
  ],
  'stamps records itself': [() => withRecords(record => [{ ...record, timestamp: 5 }]), 'The record'],
  'takes every commit': [
    () => ({ lease: lease => ({ commit: next => lease.commit(next).catch(() => {}) }) }),
    'OFFSET_OUT_OF_RANGE',
  ],
  'commits one record too few': [
    () => ({ lease: lease => ({ commit: (next, options) => lease.commit(next > 0 ? next - 1 : next, options) }) }),
    'a group goes on at its commit',
  ],
  'ignores signals': [() => ({ lease: lease => ({ commit: next => lease.commit(next) }) }), 'ABORTED'],
  'sends what was aborted': [() => ({ producer: producer => ({ send: sent => producer.send(sent) }) }), 'ABORTED'],
  'answers a send with no places': [
    () => ({
      producer: producer => ({
        send: async (sent, options) => (await producer.send(sent, options)).map(place => ({ ...place, offset: 0 })),
      }),
    }),
    'The later record of a partition',
  ],
}

/** Runs the checks until one fails. */
async function firstFailure(changes: Changes, fits: (name: string) => boolean): Promise<string | undefined> {
  const checks: [string, () => Promise<void>][] = []
  const factory = async () => {
    const broker = memoryBroker()
    return {
      broker: broken(broker, changes),
      createTopic: async (topic: string, partitions: number) => broker.createTopic(topic, partitions),
      close: () => broker.close(),
      capabilities: { patience: 2_000, shortDrain: 20 },
    }
  }
  brokerConformance(factory, (name, run) => checks.push([name, run]))
  for (const [name, run] of checks.filter(([name]) => fits(name))) {
    try {
      await run()
    } catch (error) {
      return `${name}: ${(error as Error).message}`
    }
  }
  return undefined
}

describe('the suite', () => {
  for (const [name, [changes, noticed]] of Object.entries(brokenBrokers)) {
    test(`notices a broker that ${name}`, async () => {
      expect(await firstFailure(changes(), () => true)).toContain(noticed)
    })
  }

  test('passes a broker that is merely taken through the same wrapper', async () => {
    const changes = { lease: () => ({}), consumer: () => ({}), producer: () => ({}) }
    expect(await firstFailure(changes, name => !name.startsWith('members come and go'))).toBeUndefined()
  })
})
