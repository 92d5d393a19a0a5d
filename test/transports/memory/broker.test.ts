import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BrokerConsumer } from '../../../src/actors/contracts/broker.ts'
import { memoryBroker } from '../../../src/transports/memory/index.ts'
import { group, read, SmallGroup, topic } from './small-group.ts'
import { settled } from './virtual-timers.ts'

let small: SmallGroup

beforeEach(() => {
  small = new SmallGroup()
})

afterEach(() => {
  expect(small.timers.pending, 'timers that a test left').toBe(0)
})

test.each([[{ a: 1 }], [5], [undefined], [[1, 2]]])('a value that is %o is refused, as by Kafka', async given => {
  const value = given as never
  const producer = small.broker.producer({ topic })
  for (const record of [{ value }, { key: value ?? 7, value: 'v' }])
    await expect(producer.send([{ value: 'v' }, record])).rejects.toThrow(/text or bytes.*JSON\.stringify/)
  const reader = small.broker.consumer({ topic, group })
  expect([...(await reader.endOffsets(topic)).values()]).toEqual([0])
  await reader.close()
})

describe('retention', () => {
  test('a lease that waits or reads behind the start errors, once, loudly', async () => {
    await small.fill(600)
    const { leases } = small.join()
    await settled()
    await read(leases[0]!, 1)
    small.broker.trim(topic, 0, 550)
    const rest = (async () => {
      for await (const { offset } of leases[0]!.records) if (offset >= 500) throw new Error('read beyond its batch')
    })()
    await expect(rest).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      details: { topic, partition: 0, offset: 500, start: 550, end: 600 },
    })
    expect(leases[0]!.signal.aborted).toBe(false)
    await leases[0]!.commit(550)
  })

  test('what does not exist is not trimmed', async () => {
    await small.fill(3)
    expect(() => small.broker.trim(topic, 0, 4)).toThrow(expect.objectContaining({ code: 'OFFSET_OUT_OF_RANGE' }))
    expect(() => small.broker.trim(topic, 1, 0)).toThrow(expect.objectContaining({ code: 'PARTITION_INVALID' }))
  })
})

describe('drain', () => {
  test('a lease in time is released, one that is late is lost, on the clock of the options', async () => {
    const { consumer, leases } = small.join({ drainTimeout: 500 })
    await settled()
    const closed = consumer.close()
    await settled()
    expect(leases[0]!.revoked.aborted).toBe(true)
    small.timers.advance(499)
    expect(leases[0]!.signal.aborted).toBe(false)
    small.timers.advance(1)
    expect(leases[0]!.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
    await closed
  })

  test('a lease that was revoked before it was read is never delivered, and holds nobody up', async () => {
    small.broker.createTopic('two', 2)
    const first = small.broker.consumer({ topic: 'two', group }).leases.getReader()
    const kept = (await first.read()).value!
    const other = small.broker.consumer({ topic: 'two', group }).leases.getReader()
    const moved = (await other.read()).value!
    expect(moved.partition).not.toBe(kept.partition)
    expect(kept.revoked.aborted).toBe(false)

    // What comes next to the first is the partition that the other gives back.
    const next = first.read()
    await other.cancel()
    await settled()
    await moved.release()
    expect((await next).value!.partition).toBe(moved.partition)
  })
})

describe('options', () => {
  test('the cluster id is random, unless it is given', () => {
    const ids = [memoryBroker(), memoryBroker()].map(({ clusterId }) => clusterId)
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/)
    expect(ids[0]).not.toBe(ids[1])
    const named = memoryBroker({ id: 'mine' })
    expect(named.consumer({ topic, group }).clusterId).toBe('mine')
  })

  test('the clock stamps records', async () => {
    small = new SmallGroup({ clock: () => 42 })
    await small.fill(1)
    const { leases } = small.join()
    await settled()
    const { value } = await leases[0]!.records.getReader().read()
    expect(value!.timestamp).toBe(42)
  })

  test('a topic has as many partitions as it was made with, else as the broker says', async () => {
    small = new SmallGroup({ partitions: 3 })
    small.broker.createTopic('one', 1)
    small.broker.createTopic('one', 1)
    expect(() => small.broker.createTopic('one', 2)).toThrow(TypeError)
    const consumer = small.broker.consumer({ topic: ['one', 'other'], group })
    expect((await consumer.endOffsets('one')).size).toBe(1)
    expect((await consumer.endOffsets('other')).size).toBe(3)
  })

  test('values that cannot be are refused', () => {
    for (const partitions of [0, -1, 1.5, Number.NaN]) expect(() => memoryBroker({ partitions })).toThrow(TypeError)
    expect(() => small.broker.consumer({ topic: [], group })).toThrow(TypeError)
    expect(() => small.broker.faults.pause({} as BrokerConsumer)).toThrow(TypeError)
  })
})
