import type { StartFrom } from '../../actors/contracts/broker.ts'
import { check, refused, same, text, upTo } from './check.ts'
import type { Case, Stage } from './stage.ts'

/** Joins a group, reads `count` values of partition 0, and answers with them. */
async function readAs(stage: Stage, topic: string, group: string, count: number, from?: StartFrom) {
  const member = stage.join(topic, group, from ? { from } : {})
  await stage.until('a lease', () => member.held.length === 1)
  const records = await stage.read(member.on(0), count)
  return { member, values: records.map(({ value }) => text(value)), records }
}

/** Where a group starts, and goes on. */
export const starting: readonly Case[] = [
  [
    'a new group starts at the earliest record',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 3)
      const { values } = await readAs(stage, topic, stage.group(), 3)
      same(values, ['v0', 'v1', 'v2'], 'The values')
    },
  ],
  [
    "'latest' starts at what comes after the lease",
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 3)
      const member = stage.join(topic, stage.group(), { from: 'latest' })
      await stage.until('a lease', () => member.held.length === 1)
      await stage.fill(topic, 0, 2, 3)
      const records = await stage.read(member.on(0), 2)
      same(
        records.map(({ value }) => text(value)),
        ['v3', 'v4'],
        'The values',
      )
    },
  ],
  [
    "'latest' means the same to the next owner, who has nothing committed either",
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 3)
      const first = stage.join(topic, group, { from: 'latest' })
      await stage.until('a lease', () => first.held.length === 1)
      await stage.fill(topic, 0, 2, 3)
      await first.dismiss()
      const { values } = await readAs(stage, topic, group, 2, 'latest')
      same(values, ['v3', 'v4'], 'The values')
    },
  ],
  [
    'a timestamp starts at the first record that is not older',
    async stage => {
      const topic = await stage.topic(1)
      // Not long ago: a real topic's retention goes by the records' own time, and may sweep at any moment.
      const begun = Date.now() - 60_000
      await stage.send(
        topic,
        upTo(5).map(at => ({ value: `v${at}`, timestamp: begun + at * 1_000 })),
      )
      const { values } = await readAs(stage, topic, stage.group(), 2, { timestamp: begun + 2_500 })
      same(values, ['v3', 'v4'], 'The values')
    },
  ],
  [
    'an offset starts there',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 5)
      const { values } = await readAs(stage, topic, stage.group(), 2, { offset: 3 })
      same(values, ['v3', 'v4'], 'The values')
    },
  ],
  [
    'an offset that does not exist is a loud error',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 5)
      await refused(() => readAs(stage, topic, stage.group(), 1, { offset: 1_000 }), 'OFFSET_OUT_OF_RANGE', 'Reading')
    },
  ],
  [
    'records that are gone are a loud error, for the group that needed them',
    async stage => {
      const { trim } = stage.capabilities
      if (!trim) return
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 10)
      const { member } = await readAs(stage, topic, group, 2)
      await member.on(0).commit(2)
      await member.dismiss()
      await trim(topic, 0, 5)
      await refused(() => readAs(stage, topic, group, 1), 'OFFSET_OUT_OF_RANGE', 'Reading')
      const other = await readAs(stage, topic, stage.group(), 1)
      same(other.values, ['v5'], 'What a new group reads first')
    },
  ],
  [
    'two groups each get everything',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 3)
      const one = await readAs(stage, topic, stage.group(), 3)
      await one.member.on(0).commit(3)
      const two = await readAs(stage, topic, stage.group(), 3)
      same(two.values, one.values, 'The values of the second group')
    },
  ],
  [
    'a group goes on at its commit, whatever `from` says',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 6)
      const first = await readAs(stage, topic, group, 4)
      await first.member.on(0).commit(first.records[2]!.offset + 1)
      await first.member.dismiss()
      for (const from of ['earliest', 'latest', { offset: 1 }] as const) {
        const { member, values } = await readAs(stage, topic, group, 3, from)
        same(values, ['v3', 'v4', 'v5'], 'The values')
        await member.dismiss()
      }
    },
  ],
  [
    'what was not committed comes again',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 3)
      const first = await readAs(stage, topic, group, 3)
      await first.member.dismiss()
      const second = await readAs(stage, topic, group, 3)
      same(second.values, first.values, 'The values')
    },
  ],
  [
    'ends and commits are known to every consumer of the group, joined or not',
    async stage => {
      const topic = await stage.topic(2)
      const group = stage.group()
      await stage.fill(topic, 0, 5)
      const member = stage.join(topic, group)
      await stage.until('two leases', () => member.held.length === 2)
      const records = await stage.read(member.on(0), 3)
      const next = records[2]!.offset + 1
      await member.on(0).commit(next)
      const consumer = stage.broker.consumer({ topic, group })
      const expected = [
        [0, next],
        [1, 0],
      ]
      same([...(await consumer.committedOffsets(topic))], expected, 'The commits')
      await member.dismiss()
      same([...(await consumer.committedOffsets(topic))], expected, 'The commits of the empty group')
      const ends = await consumer.endOffsets(topic)
      same([ends.get(0), ends.get(1)], [5, 0], 'The ends')
      await consumer.close()
    },
  ],
  [
    "before any commit, the group's offsets are where it would start",
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 4)
      for (const [from, offset] of [
        ['earliest', 0],
        ['latest', 4],
        [{ offset: 2 }, 2],
      ] as const) {
        const consumer = stage.broker.consumer({ topic, group: stage.group(), from })
        same((await consumer.committedOffsets(topic)).get(0), offset, `The offset from ${JSON.stringify(from)}`)
        await consumer.close()
      }
    },
  ],
  [
    'a commit below an earlier one moves nothing back',
    async stage => {
      const topic = await stage.topic(1)
      const group = stage.group()
      await stage.fill(topic, 0, 5)
      const { member } = await readAs(stage, topic, group, 5)
      const lease = member.on(0)
      await Promise.all([lease.commit(4), lease.commit(2), lease.commit(3)])
      await lease.commit(1)
      same((await member.consumer.committedOffsets(topic)).get(0), 4, 'The commit')
    },
  ],
  [
    'a commit of what does not exist is refused',
    async stage => {
      const topic = await stage.topic(1)
      await stage.fill(topic, 0, 5)
      const { member } = await readAs(stage, topic, stage.group(), 1)
      await refused(() => member.on(0).commit(6), 'OFFSET_OUT_OF_RANGE', 'A commit beyond the end')
      for (const wrong of [-1, 0.5, Number.NaN]) {
        const failure = await member
          .on(0)
          .commit(wrong)
          .catch((error: unknown) => error)
        check(failure instanceof TypeError, `A commit of ${wrong} is no TypeError.`)
      }
      same((await member.consumer.committedOffsets(topic)).get(0), 0, 'The commit')
    },
  ],
]
