import { check, refused, same, text, upTo } from './check.ts'
import type { Case } from './stage.ts'

/** How a group shares partitions out, and takes them back. */
export const sharing: readonly Case[] = [
  [
    'a member alone holds every partition',
    async stage => {
      const topic = await stage.topic(4)
      const member = stage.join(topic, stage.group())
      await stage.until('four leases', () => member.held.length === 4)
      same(member.partitions, upTo(4), 'The partitions')
      const { consumer } = member
      check(consumer.clusterId.length > 0, 'The cluster has no id.')
      same([consumer.topics, member.on(0).topic], [[topic], topic], 'The topics')
    },
  ],
  [
    'every member names the cluster and the sources of positions alike, and each partition otherwise',
    async stage => {
      const topics = [await stage.topic(2), await stage.topic(2)]
      const members = [stage.join(topics, stage.group()), stage.join(topics, stage.group())]
      await stage.until('four leases each', () => members.every(({ held }) => held.length === 4))
      const named = members.map(({ consumer, held }) => {
        const names = held.map(({ topic, partition }) => consumer.sourceId?.(topic, partition))
        return [consumer.clusterId, ...names.sort()]
      })
      same(named[1], named[0], 'The names that the second member has')
      const sources = named[0]!.slice(1)
      if (members[0]!.consumer.sourceId) same(new Set(sources).size, 4, 'How many sources there are')
      for (const { topic, partition, partitions = 2 } of members[0]!.held)
        same(partitions, 2, `The partitions that the lease of ${topic}/${partition} counts`)
    },
  ],
  [
    'who does not read its leases is no member',
    async stage => {
      const topic = await stage.topic(2)
      const group = stage.group()
      const idle = stage.broker.consumer({ topic, group })
      const member = stage.join(topic, group)
      await stage.until('both leases', () => member.held.length === 2)
      await idle.close()
      same(member.partitions, [0, 1], 'The partitions')
    },
  ],
  [
    'a join splits the partitions, and moves no more than it must',
    async stage => {
      const topic = await stage.topic(6)
      const group = stage.group()
      const first = stage.join(topic, group)
      await stage.until('six leases', () => first.held.length === 6)
      const second = stage.join(topic, group)
      await stage.until('three each', () => first.held.length === 3 && second.held.length === 3)
      same([...first.partitions, ...second.partitions].sort(), upTo(6), 'All partitions')
      same(first.leases.length, 6, 'Leases of the first: what it kept was not leased anew, so it had')
      const third = stage.join(topic, group)
      await stage.until('two each', () => [first, second, third].every(({ held }) => held.length === 2))
      same([first.leases.length, second.leases.length], [6, 3], 'Leases of the first and the second')
    },
  ],
  [
    'a leave gives the partitions to those who stay',
    async stage => {
      const topic = await stage.topic(4)
      const group = stage.group()
      const [first, second] = [stage.join(topic, group), stage.join(topic, group)]
      await stage.until('two each', () => first.held.length === 2 && second.held.length === 2)
      const kept = [...second.held]
      await first.dismiss()
      await stage.until('all of them', () => second.held.length === 4)
      check(
        kept.every(({ signal, revoked }) => !signal.aborted && !revoked.aborted),
        'A leave took what others had.',
      )
    },
  ],
  [
    'a member without a partition gets one when another leaves',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      const members = [stage.join(topic, group), stage.join(topic, group)]
      await stage.until('one lease', () => members.some(({ held }) => held.length === 1))
      const holder = members.find(({ held }) => held.length === 1)!
      const other = members.find(member => member !== holder)!
      same(other.leases.length, 0, 'Leases of the member without a partition')
      await holder.dismiss()
      await stage.until('its turn', () => other.held.length === 1)
    },
  ],
  [
    'groups do not share',
    async stage => {
      const topic = await stage.topic(2)
      const [one, two] = [stage.join(topic, stage.group()), stage.join(topic, stage.group())]
      await stage.until('both partitions each', () => one.held.length === 2 && two.held.length === 2)
    },
  ],
  [
    'a consumer of two topics holds the partitions of both',
    async stage => {
      const topics = [await stage.topic(2), await stage.topic(1)]
      await stage.fill(topics[0]!, 1, 1)
      await stage.fill(topics[1]!, 0, 1, 7)
      const member = stage.join(topics, stage.group())
      await stage.until('three leases', () => member.held.length === 3)
      const leases = [member.held.find(({ topic, partition }) => topic === topics[0] && partition === 1)!]
      leases.push(member.held.find(({ topic }) => topic === topics[1])!)
      const values: (string | null)[] = []
      for (const lease of leases) for (const { value } of await stage.read(lease, 1)) values.push(text(value))
      same(values, ['v0', 'v7'], 'The values')
      const [of, other] = topics as [string, string]
      await stage.fill(of, 0, 2)
      await stage.read(member.held.find(({ topic, partition }) => topic === of && partition === 0)!, 2)
      await member.held.find(({ topic, partition }) => topic === of && partition === 0)!.commit(2)
      const commits = [await member.consumer.committedOffsets(of), await member.consumer.committedOffsets(other)]
      same([commits[0]!.get(0), commits[1]!.get(0)], [2, 0], 'The commits of partition 0 of each topic')
    },
  ],
  [
    'a revoked partition waits for its release; its next owner starts at what was committed meanwhile',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 5)
      const first = stage.join(topic, group, { obedient: false })
      await stage.until('a lease', () => first.held.length === 1)
      const lease = first.on(0)
      await stage.read(lease, 3)
      const second = stage.join(topic, group)
      // One partition stays with its owner for as long as the owner stays.
      const left = first.consumer.close()
      await stage.until('the revocation', () => lease.revoked.aborted)
      await lease.commit(3)
      // The group's answer proves that it would have had the time to hand the partition out.
      same((await second.consumer.committedOffsets(topic)).get(0), 3, 'The commit')
      check(!lease.signal.aborted, 'A revoked lease was over before its release.')
      same(second.leases.length, 0, 'Leases of the next owner before the release')
      await lease.release()
      await left
      await stage.until('the next owner', () => second.held.length === 1)
      const [record] = await stage.read(second.on(0), 1)
      same(text(record!.value), 'v3', 'The first record of the next owner')
    },
  ],
  [
    'the records end when the lease is revoked',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 3)
      const member = stage.join(topic, stage.group(), { obedient: false })
      await stage.until('a lease', () => member.held.length === 1)
      const lease = member.on(0)
      await stage.read(lease, 3)
      const reader = lease.records.getReader()
      const waiting = reader.read()
      const left = member.consumer.close()
      same((await stage.soon(waiting, 'the end of the records')).done, true, 'The end')
      check(lease.revoked.aborted && !lease.signal.aborted, 'The records ended, but not because of a revocation.')
      await lease.release()
      await left
    },
  ],
  [
    'a lease that is not given back in time is lost: no commit any more, and its next owner starts at the last one',
    async stage => {
      const { shortDrain: drainTimeout = 200 } = stage.capabilities
      const topic = await stage.topic(2)
      const group = stage.group()
      for (const partition of [0, 1]) await stage.fill(topic, partition, 5)
      const first = stage.join(topic, group, { obedient: false, drainTimeout })
      await stage.until('both leases', () => first.held.length === 2)
      for (const lease of first.held) {
        await stage.read(lease, 3)
        await lease.commit(2)
      }
      const second = stage.join(topic, group)
      await stage.until('a loss', () => first.held.length === 1)
      const lost = first.leases.find(({ signal }) => signal.aborted)!
      await refused(() => Promise.reject(lost.signal.reason), 'LEASE_LOST', "The signal's reason")
      await refused(() => lost.commit(3), 'LEASE_LOST', 'A commit after the loss')
      const reader = lost.records.getReader()
      same((await stage.soon(reader.read(), 'the end of the records')).done, true, 'The end of the records')
      await lost.release()
      await stage.until('the next owner', () => second.held.length === 1)
      const [record] = await stage.read(second.on(lost.partition), 1)
      same(text(record!.value), 'v2', 'The first record of the next owner')
    },
  ],
  [
    'a release ends the lease once, without a loss; its commits are refused',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 3)
      const member = stage.join(topic, stage.group(), { obedient: false })
      await stage.until('a lease', () => member.held.length === 1)
      const lease = member.on(0)
      await stage.read(lease, 1)
      await lease.commit(1)
      const left = member.consumer.close()
      await stage.until('the revocation', () => lease.revoked.aborted)
      await Promise.all([lease.release(), lease.release()])
      check(lease.signal.aborted, 'A released lease is not over.')
      const reason: unknown = lease.signal.reason
      check(
        !(reason instanceof Error && 'code' in reason && reason.code === 'LEASE_LOST'),
        'A release counts as a loss.',
      )
      await refused(() => lease.commit(2), 'LEASE_LOST', 'A commit after the release')
      await left
      const consumer = stage.broker.consumer({ topic, group: member.consumer.group })
      same((await consumer.committedOffsets(topic)).get(0), 1, 'The commit')
      await consumer.close()
    },
  ],
  [
    'a silent member loses its partitions, learns it when it is back, and joins anew',
    async stage => {
      const { silence, thaw } = stage.capabilities
      if (!silence || !thaw) return
      const topic = await stage.topic(2)
      const group = stage.group()
      const [first, second] = [stage.join(topic, group), stage.join(topic, group)]
      await stage.until('one each', () => first.held.length === 1 && second.held.length === 1)
      const [lease] = first.held
      stage.forget(lease!, group)
      await silence(first.consumer)
      await stage.until('the other to take over', () => second.held.length === 2)
      await thaw(first.consumer)
      await stage.until('the loss', () => lease!.signal.aborted)
      await refused(() => lease!.commit(0), 'LEASE_LOST', 'A commit of the member that was silent')
      await stage.until('its return', () => first.held.length === 1 && second.held.length === 1)
    },
  ],
]
