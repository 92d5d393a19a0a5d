import { check, refused, same, text, upTo } from './check.ts'
import type { Case } from './stage.ts'

/** How records flow. */
export const reading: readonly Case[] = [
  [
    'the records stay open for what is yet to be sent',
    async stage => {
      const topic = await stage.topic(1)
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const waiting = stage.read(member.on(0), 2)
      await stage.fill(topic, 0, 1)
      await stage.fill(topic, 0, 1, 1)
      same(
        (await waiting).map(({ value }) => text(value)),
        ['v0', 'v1'],
        'The values',
      )
    },
  ],
  [
    'offsets grow, and are those that the producer was told',
    async stage => {
      const topic = await stage.topic(1)
      const places = await stage.send(
        topic,
        upTo(50).map(at => ({ value: `${at}` })),
      )
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const records = await stage.read(member.on(0), 50)
      same(
        records.map(({ offset }) => offset),
        places.map(({ offset }) => offset),
        'The offsets',
      )
      check(
        records.every(({ offset }, at) => at === 0 || offset > records[at - 1]!.offset),
        'The offsets do not grow.',
      )
    },
  ],
  [
    'nobody reads: nothing is fetched; who reads one record fetches a bounded number',
    async stage => {
      const { fetched, readAhead = 10_000 } = stage.capabilities
      if (!fetched) return
      const topic = await stage.topic(2)
      for (const partition of [0, 1]) await stage.fill(topic, partition, readAhead + 100)
      const member = stage.join(topic, stage.group())
      await stage.until('both leases', () => member.held.length === 2)
      await stage.read(member.on(1), readAhead + 100)
      same(await fetched(member.on(0)), 0, 'The offset that a lease nobody reads has fetched up to')
      await stage.read(member.on(0), 1)
      const ahead = await fetched(member.on(0))
      check(ahead <= 1 + readAhead, `${ahead} records were fetched for one that was read.`)
    },
  ],
  [
    'a partition that is not read delays no other, and goes on where it stopped',
    async stage => {
      const topic = await stage.topic(2)
      for (const partition of [0, 1]) await stage.fill(topic, partition, 1_500)
      const member = stage.join(topic, stage.group())
      await stage.until('both leases', () => member.held.length === 2)
      const [first] = await stage.read(member.on(0), 1)
      same((await stage.read(member.on(1), 1_500)).length, 1_500, 'Records of the other partition')
      const rest = await stage.read(member.on(0), 1_499)
      same(
        [first!, ...rest].map(({ value }) => text(value)),
        upTo(1_500).map(at => `v${at}`),
        'The records of the partition that stood still',
      )
    },
  ],
  [
    'records can be read by a reader, by `for await` and by a pipe, one after another',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 6)
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const { records } = member.on(0)
      const seen = (await stage.read(member.on(0), 2)).map(({ value }) => text(value))
      for await (const { value } of records.values({ preventCancel: true })) {
        seen.push(text(value))
        if (seen.length === 4) break
      }
      const enough = new AbortController()
      const sink = new WritableStream({
        write({ value }) {
          seen.push(text(value))
          if (seen.length === 6) enough.abort()
        },
      })
      const piped = records.pipeTo(sink, { signal: enough.signal }).catch(() => {})
      await stage.soon(piped, 'the pipe')
      same(
        seen,
        upTo(6).map(at => `v${at}`),
        'The values',
      )
    },
  ],
  [
    'cancelling the records stops the reading; the lease can still commit and be released',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 5)
      const member = stage.join(topic, group)
      await stage.until('a lease', () => member.held.length === 1)
      const lease = member.on(0)
      await stage.read(lease, 2)
      await lease.records.cancel()
      check(!lease.signal.aborted, 'Cancelling the records ended the lease.')
      await lease.commit(2)
      await member.dismiss()
      const next = stage.join(topic, group)
      await stage.until('the next lease', () => next.held.length === 1)
      const [record] = await stage.read(next.on(0), 1)
      same(text(record!.value), 'v2', 'The next record')
    },
  ],
  [
    'how long records are kept is a time, or not told',
    async stage => {
      const topic = await stage.topic(1)
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const { consumer } = member
      if (consumer.retention === undefined) return
      const kept = await consumer.retention(topic)
      check(kept === undefined || kept >= 0, `Records are kept for ${kept} ms.`)
      const aborted = { signal: AbortSignal.abort() }
      await refused(() => consumer.retention!(topic, aborted), 'ABORTED', 'Asking how long records are kept')
    },
  ],
  [
    'aborted operations are refused, and do nothing',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 5)
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const aborted = { signal: AbortSignal.abort() }
      await refused(() => member.on(0).commit(3, aborted), 'ABORTED', 'A commit')
      await refused(() => member.consumer.endOffsets(topic, aborted), 'ABORTED', 'Asking for the ends')
      await refused(() => member.consumer.committedOffsets(topic, aborted), 'ABORTED', 'Asking for the commits')
      same((await member.consumer.committedOffsets(topic)).get(0), 0, 'The commit')
    },
  ],
]
