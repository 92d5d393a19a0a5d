import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { KafkaLease } from '../../../src/transports/kafka/lease.ts'

test('a revoked lease that may drain for ever is not lost at once', async () => {
  const holder = { readAhead: 0, hungry() {}, commit: async () => {}, ended() {} }
  const lease = new KafkaLease('t', 0, 1, holder)
  lease.revoke(Number.POSITIVE_INFINITY)
  await setTimeout(20)
  expect(lease.signal.aborted).toBe(false)
  await lease.release()
})
