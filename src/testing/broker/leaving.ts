import { check, refused, same } from './check.ts'
import type { Case } from './stage.ts'

/** How members go. */
export const leaving: readonly Case[] = [
  [
    'closing revokes what is held, waits for the releases, and ends the leases',
    async stage => {
      const topic = await stage.topic(2)
      await stage.fill(topic, 0, 3)
      const member = stage.join(topic, stage.group(), { obedient: false })
      await stage.until('both leases', () => member.held.length === 2)
      let closed = false
      const closing = member.consumer.close().then(() => {
        closed = true
      })
      await stage.until('the revocations', () => member.held.every(({ revoked }) => revoked.aborted))
      await member.on(0).commit(1)
      await member.on(0).release()
      await member.on(1).commit(0)
      check(!closed, 'The consumer was closed before its last release.')
      await member.on(1).release()
      await stage.soon(closing, 'the end')
      await stage.soon(member.ended, 'the end of the leases')
    },
  ],
  [
    'closing may be repeated, and may come first',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      const consumer = stage.broker.consumer({ topic, group })
      await Promise.all([consumer.close(), consumer.close()])
      await consumer.close()
      const reader = consumer.leases.getReader()
      same((await stage.soon(reader.read(), 'the end of the leases')).done, true, 'The end of the leases')
      const member = stage.join(topic, group)
      await stage.until('a lease for another', () => member.held.length === 1)
    },
  ],
  [
    'who cancels its leases leaves the group, at the pace of its releases',
    async stage => {
      const topic = await stage.topic(2)
      const group = stage.group()
      const first = stage.join(topic, group, { obedient: false })
      await stage.until('both leases', () => first.held.length === 2)
      const second = stage.join(topic, group)
      await stage.soon(first.cancel(), 'the cancel, which waits for no release')
      await stage.until('the revocations', () => first.held.every(({ revoked }) => revoked.aborted))
      for (const lease of first.held) await lease.release()
      await stage.until('the other to take over', () => second.held.length === 2)
    },
  ],
  [
    'a closed consumer refuses',
    async stage => {
      const topic = await stage.topic(1)
      const consumer = stage.broker.consumer({ topic, group: stage.group() })
      await consumer.close()
      await refused(() => consumer.endOffsets(topic), 'BROKER_CLOSED', 'Asking for the ends')
      await refused(() => consumer.committedOffsets(topic), 'BROKER_CLOSED', 'Asking for the commits')
    },
  ],
  [
    'closing the broker closes its consumers and producers',
    async stage => {
      const topic = await stage.topic(1)
      const producer = stage.broker.producer({ topic })
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const [lease] = member.held
      await stage.soon(stage.broker.close(), 'the end of the broker')
      check(lease!.signal.aborted, 'A lease outlives its broker.')
      await stage.soon(member.ended, 'the end of the leases')
      await refused(() => producer.send([{ value: 'v' }]), 'BROKER_CLOSED', 'A send')
      await refused(async () => stage.broker.consumer({ topic, group: 'any' }), 'BROKER_CLOSED', 'A new consumer')
      await refused(async () => stage.broker.producer({ topic }), 'BROKER_CLOSED', 'A new producer')
      await stage.broker.close()
    },
  ],
]
