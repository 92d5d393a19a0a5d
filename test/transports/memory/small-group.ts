import type { BrokerConsumer, PartitionLease } from '../../../src/actors/contracts/broker.ts'
import { type MemoryBroker, type MemoryBrokerOptions, memoryBroker } from '../../../src/transports/memory/index.ts'
import { VirtualTimers } from './virtual-timers.ts'

export const topic = 't'
export const group = 'g'

/** A broker on virtual time, and shorthands for one topic and one group. */
export class SmallGroup {
  readonly timers = new VirtualTimers()
  readonly broker: MemoryBroker

  constructor(options: MemoryBrokerOptions = {}) {
    this.broker = memoryBroker({ timers: this.timers, ...options })
  }

  /** A consumer, and the leases that it was given so far. */
  join(options: { readonly drainTimeout?: number; readonly sessionTimeout?: number } = {}) {
    const consumer = this.broker.consumer({ topic, group, ...options })
    const leases: PartitionLease[] = []
    const take = async () => {
      for await (const lease of consumer.leases) leases.push(lease)
    }
    return { consumer, leases, taken: take() }
  }

  async fill(count: number, first = 0): Promise<void> {
    const records = Array.from({ length: count }, (_, at) => ({ key: 'k', value: `v${first + at}` }))
    await this.broker.producer({ topic }).send(records)
  }
}

/** Reads `count` records' offsets. */
export async function read(lease: PartitionLease, count: number): Promise<number[]> {
  const reader = lease.records.getReader()
  const offsets: number[] = []
  while (offsets.length < count) offsets.push((await reader.read()).value!.offset)
  reader.releaseLock()
  return offsets
}

export async function committed(consumer: BrokerConsumer): Promise<number> {
  return (await consumer.committedOffsets(topic)).get(0)!
}
