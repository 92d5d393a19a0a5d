import { describe, test } from 'vitest'
import type { BrokerConsumer, PartitionLease } from '../../../src/actors/contracts/broker.ts'
import { brokerConformance } from '../../../src/testing/broker-conformance.ts'
import { memoryBroker, type PausedMember } from '../../../src/transports/memory/index.ts'
import type { MemoryLease } from '../../../src/transports/memory/lease.ts'

function fixture() {
  const broker = memoryBroker()
  const paused = new Map<BrokerConsumer, PausedMember>()
  return {
    broker,
    createTopic: async (topic: string, partitions: number) => broker.createTopic(topic, partitions),
    close: () => broker.close(),
    capabilities: {
      patience: 5_000,
      shortDrain: 20,
      readAhead: 500,
      fetched: (lease: PartitionLease) => (lease as MemoryLease).position,
      trim: async (topic: string, partition: number, offset: number) => broker.trim(topic, partition, offset),
      silence: async (consumer: BrokerConsumer) => {
        const pause = broker.faults.pause(consumer)
        paused.set(consumer, pause)
        pause.expire()
      },
      thaw: async (consumer: BrokerConsumer) => paused.get(consumer)!.resume(),
    },
  }
}

describe('the memory broker keeps the contract', () => {
  brokerConformance(async () => fixture(), test)
})
