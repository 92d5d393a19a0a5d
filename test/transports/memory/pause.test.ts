import { afterEach, beforeEach, expect, test } from 'vitest'
import { committed, group, read, SmallGroup, topic } from './small-group.ts'
import { settled } from './virtual-timers.ts'

let small: SmallGroup

beforeEach(() => {
  small = new SmallGroup()
})

afterEach(() => {
  expect(small.timers.pending, 'timers that a test left').toBe(0)
})

test('nothing reaches the member, and its partition stays its own until the session timeout', async () => {
  await small.fill(2)
  const [first, second] = [small.join({ sessionTimeout: 1_000 }), small.join()]
  await settled()
  const [lease] = first.leases
  await read(lease!, 2)
  const pause = small.broker.faults.pause(first.consumer)
  pause.assertFired()
  await small.fill(1, 2)
  const waiting = lease!.records.getReader().read()
  let answered = false
  waiting.then(() => {
    answered = true
  })
  await expect(lease!.commit(2)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE', retryable: true })
  await expect(first.consumer.endOffsets(topic)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
  small.timers.advance(999)
  await settled()
  expect(answered).toBe(false)
  expect(second.leases).toEqual([])

  small.timers.advance(1)
  await settled()
  expect(await read(second.leases[0]!, 3)).toEqual([0, 1, 2])
  expect(lease!.signal.aborted, 'the paused member knows').toBe(false)
  await expect(lease!.commit(2)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })

  pause.resume()
  expect(lease!.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
  expect((await waiting).done).toBe(true)
  await expect(lease!.commit(2)).rejects.toMatchObject({ code: 'LEASE_LOST' })
  expect(await committed(second.consumer)).toBe(0)
})

test('a member that is back in time goes on as if nothing had been', async () => {
  const { consumer, leases } = small.join()
  await settled()
  const waiting = read(leases[0]!, 1)
  const pause = small.broker.faults.pause(consumer)
  await small.fill(1)
  pause.resume()
  expect(await waiting).toEqual([0])
  await leases[0]!.commit(1)
  expect(leases[0]!.signal.aborted).toBe(false)
  pause.expire()
  expect(leases[0]!.signal.aborted, 'expired after its return').toBe(false)
})

test('a member that was given up joins anew when it is back', async () => {
  const { consumer, leases } = small.join()
  await settled()
  const pause = small.broker.faults.pause(consumer)
  pause.expire()
  pause.expire()
  await settled()
  expect(leases.length).toBe(1)
  pause.resume()
  await settled()
  expect(leases.map(({ signal }) => signal.aborted)).toEqual([true, false])
})

test('closing while cut off loses the leases; the group learns it when the line is mended', async () => {
  const first = small.join()
  await settled()
  const pause = small.broker.faults.pause(first.consumer)
  const second = small.join()
  await first.consumer.close()
  await first.taken
  expect(first.leases[0]!.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
  await settled()
  expect(second.leases.length).toBe(0)
  pause.resume()
  await settled()
  expect(second.leases.length).toBe(1)
})

test('a release while cut off reaches the group when the line is mended', async () => {
  small.broker.createTopic('two', 2)
  const consumer = small.broker.consumer({ topic: 'two', group })
  const reader = consumer.leases.getReader()
  const leases = [(await reader.read()).value!, (await reader.read()).value!]
  const pause = small.broker.faults.pause(consumer)
  let theirs = 0
  const other = small.broker.consumer({ topic: 'two', group }).leases.getReader()
  const waiting = other.read().then(() => {
    theirs += 1
  })
  await settled()
  for (const lease of leases) await lease.release()
  await settled()
  expect(theirs).toBe(0)
  pause.resume()
  await waiting
  expect(theirs).toBe(1)
})

test('a revocation that came too late to be heard is a loss', async () => {
  small.broker.createTopic('two', 2)
  const consumer = small.broker.consumer({ topic: 'two', group, drainTimeout: 100 })
  const reader = consumer.leases.getReader()
  const leases = [(await reader.read()).value!, (await reader.read()).value!]
  const pause = small.broker.faults.pause(consumer)
  const other = small.broker.consumer({ topic: 'two', group }).leases.getReader()
  const theirs = other.read()
  await settled()
  small.timers.advance(100)
  const { partition } = (await theirs).value!
  const lost = leases.find(lease => lease.partition === partition)!
  expect([lost.revoked.aborted, lost.signal.aborted]).toEqual([false, false])
  pause.resume()
  expect(lost.signal.reason).toMatchObject({ code: 'LEASE_LOST' })
  expect(leases.find(lease => lease !== lost)!.signal.aborted).toBe(false)
})
