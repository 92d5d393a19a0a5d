import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BrokerRecord } from '../../../src/actors/contracts/broker.ts'
import { committed, group, read, SmallGroup, topic } from './small-group.ts'
import { settled } from './virtual-timers.ts'

let small: SmallGroup

beforeEach(() => {
  small = new SmallGroup()
})

afterEach(() => {
  expect(small.timers.pending, 'timers that a test left').toBe(0)
})

test('redeliver: the last records of a lease come once more, in its order', async () => {
  await small.fill(3)
  const { leases } = small.join()
  await settled()
  expect(await read(leases[0]!, 3)).toEqual([0, 1, 2])
  small.broker.faults.redeliver({ topic, partition: 0 }, 2).assertFired()
  await small.fill(1, 3)
  expect(await read(leases[0]!, 3)).toEqual([1, 2, 3])
})

test('redeliver: a record that waits for a reader comes again at once', async () => {
  await small.fill(1)
  const { leases } = small.join()
  await settled()
  const reader = leases[0]!.records.getReader()
  await reader.read()
  const waiting = reader.read()
  small.broker.faults.redeliver().assertFired()
  expect((await waiting).value!.offset).toBe(0)
})

test('lose: the signal fires at once, the commit is refused, and the next lease starts at the last commit', async () => {
  await small.fill(3)
  const { consumer, leases } = small.join()
  await settled()
  const [lease] = leases
  await read(lease!, 3)
  await lease!.commit(1)
  small.broker.faults.lose({ group, topic, partition: 0 }).assertFired()
  expect(lease!.signal.reason).toMatchObject({ code: 'LEASE_LOST', details: { topic, partition: 0 } })
  expect(lease!.revoked.aborted).toBe(false)
  await expect(lease!.commit(3)).rejects.toMatchObject({ code: 'LEASE_LOST' })
  expect(await committed(consumer)).toBe(1)
  await settled()
  expect(await read(leases[1]!, 2)).toEqual([1, 2])
})

test('lose: what was fetched and not read is not delivered any more', async () => {
  await small.fill(10)
  const { leases } = small.join()
  await settled()
  await read(leases[0]!, 1)
  const seen: BrokerRecord[] = []
  for await (const record of leases[0]!.records) {
    seen.push(record)
    if (seen.length === 2) small.broker.faults.lose().assertFired()
  }
  expect(seen.map(({ offset }) => offset)).toEqual([1, 2])
})

describe('commits', () => {
  test('delayCommits: a commit that arrives after the loss is refused', async () => {
    await small.fill(3)
    const { consumer, leases } = small.join()
    await settled()
    const delay = small.broker.faults.delayCommits({ partition: 0 })
    const late = leases[0]!.commit(2)
    small.broker.faults.lose().assertFired()
    delay.release()
    await expect(late).rejects.toMatchObject({ code: 'LEASE_LOST' })
    delay.assertFired()
    expect(await committed(consumer)).toBe(0)
  })

  test('delayCommits: commits wait, an abort ends the wait, later ones pass after the release', async () => {
    await small.fill(3)
    const { consumer, leases } = small.join()
    await settled()
    const delay = small.broker.faults.delayCommits({ group })
    const abort = new AbortController()
    const aborted = leases[0]!.commit(3, { signal: abort.signal })
    const slow = leases[0]!.commit(2)
    await settled()
    expect([await committed(consumer), delay.fired]).toEqual([0, 2])
    abort.abort(new Error('enough'))
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: new Error('enough') })
    delay.release()
    await slow
    expect(await committed(consumer)).toBe(2)
    await leases[0]!.commit(3)
    expect([await committed(consumer), delay.fired]).toEqual([3, 2])
  })

  test('failCommits: the commit did not happen, or only its answer was lost', async () => {
    await small.fill(3)
    const { consumer, leases } = small.join()
    await settled()
    const refused = small.broker.faults.failCommits({ topic, times: 2 })
    for (const offset of [1, 2])
      await expect(leases[0]!.commit(offset)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    expect([await committed(consumer), refused.fired]).toEqual([0, 2])
    await leases[0]!.commit(1)
    const unanswered = small.broker.faults.failCommits({ applied: true })
    await expect(leases[0]!.commit(2)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    unanswered.assertFired()
    expect(await committed(consumer)).toBe(2)
  })
})

describe('sends', () => {
  const ends = async () => (await small.broker.consumer({ topic, group }).endOffsets(topic)).get(0)

  test('failSends: nothing was taken, or only the answer was lost', async () => {
    const producer = small.broker.producer({ topic })
    small.broker.faults.failSends({ topic })
    await expect(producer.send([{ value: 'v' }])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    expect(await ends()).toBe(0)
    small.broker.faults.failSends({ applied: true })
    await expect(producer.send([{ value: 'v' }])).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    expect(await ends()).toBe(1)
    await producer.send([{ value: 'v' }])
    expect(await ends()).toBe(2)
  })

  test('duplicateSends: the records are taken twice, as often as asked for', async () => {
    const producer = small.broker.producer({ topic })
    const duplicate = small.broker.faults.duplicateSends({ topic })
    expect(await producer.send([{ value: 'v' }, { value: 'w' }])).toEqual([
      { partition: 0, offset: 2 },
      { partition: 0, offset: 3 },
    ])
    expect(await producer.send([{ value: 'x' }])).toEqual([{ partition: 0, offset: 4 }])
    expect(duplicate.fired).toBe(1)
  })

  test('a fault for another topic does not fire, and says so', async () => {
    const faults = [
      small.broker.faults.failSends({ topic: 'other' }),
      small.broker.faults.duplicateSends({ topic: 'other' }),
      small.broker.faults.failCommits({ group: 'other' }),
      small.broker.faults.delayCommits({ partition: 7 }),
      small.broker.faults.lose(),
      small.broker.faults.redeliver(),
      small.broker.faults.pause(small.broker.consumer({ topic, group })),
    ]
    await small.broker.producer({ topic }).send([{ value: 'v' }])
    for (const fault of faults) expect(() => fault.assertFired()).toThrow('never happened')
  })
})
