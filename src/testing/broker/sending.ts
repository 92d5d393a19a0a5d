import { check, refused, same, text, upTo, utf8 } from './check.ts'
import type { Case } from './stage.ts'

/** Kafka's own test vectors of murmur2. */
const vectors: readonly (readonly [key: string, hash: number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

/** What producers do. */
export const sending: readonly Case[] = [
  [
    'a record arrives as it was sent',
    async stage => {
      const topic = await stage.topic(1)
      const key = new Uint8Array([0, 255, 128])
      const value = new Uint8Array([1, 0, 254])
      const headers = [
        ['trace', utf8('a')],
        ['empty', new Uint8Array()],
        ['none', null],
        ['trace', utf8('b')],
      ] as const
      // Not long ago: a real topic's retention goes by it, and may sweep at any moment.
      const timestamp = Date.now() - 60_123
      const [place] = await stage.send(topic, [{ key, value, headers, timestamp }])
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const [record] = await stage.read(member.on(0), 1)
      same(record, { topic, ...place, key, value, timestamp, headers }, 'The record')
    },
  ],
  [
    'no key, an empty key, no value and an empty value stay apart',
    async stage => {
      const topic = await stage.topic(1)
      await stage.send(topic, [
        { key: '', value: '' },
        { key: null, value: 'v' },
        { value: 'v' },
        { key: 'k', value: null },
      ])
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const records = await stage.read(member.on(0), 4)
      const seen = records.map(({ key, value }) => [text(key), text(value)])
      same(
        seen,
        [
          ['', ''],
          [null, 'v'],
          [null, 'v'],
          ['k', null],
        ],
        'Keys and values',
      )
    },
  ],
  [
    'strings are UTF-8, headers may be an object, none is an empty list',
    async stage => {
      const topic = await stage.topic(1)
      await stage.send(topic, [{ key: 'ключ', value: '{"€":"😀"}', headers: { one: 'eins', two: utf8('zwei') } }])
      await stage.send(topic, [{ value: 'v' }])
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const [first, second] = await stage.read(member.on(0), 2)
      same([text(first!.key), text(first!.value)], ['ключ', '{"€":"😀"}'], 'Key and value')
      same(
        first!.headers.map(([name, bytes]) => [name, text(bytes)]),
        [
          ['one', 'eins'],
          ['two', 'zwei'],
        ],
        'Headers',
      )
      same(second!.headers, [], 'No headers')
    },
  ],
  [
    'without a timestamp, the clock stamps the record',
    async stage => {
      const topic = await stage.topic(1)
      const before = Date.now()
      await stage.send(topic, [{ value: 'v' }])
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const [record] = await stage.read(member.on(0), 1)
      const apart = Math.abs(record!.timestamp - before)
      check(apart < 60_000, `The stamp is ${apart} ms away from the clock.`)
    },
  ],
  [
    'records of a partition keep the order of their sending, also of sends that overlap',
    async stage => {
      const topic = await stage.topic(1)
      const producer = stage.broker.producer({ topic })
      await Promise.all(upTo(20).map(send => producer.send(upTo(5).map(at => ({ value: `${send * 5 + at}` })))))
      await producer.close()
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const values = (await stage.read(member.on(0), 100)).map(({ value }) => Number(text(value)))
      same(values, upTo(100), 'The order')
    },
  ],
  [
    'a send answers with the place of each record',
    async stage => {
      const topic = await stage.topic(3)
      const places = await stage.send(topic, [
        { partition: 2, value: 'a' },
        { partition: 0, value: 'b' },
        { partition: 2, value: 'c' },
      ])
      same(
        places.map(({ partition }) => partition),
        [2, 0, 2],
        'The partitions',
      )
      check(places[2]!.offset > places[0]!.offset, 'The later record of a partition has not the higher offset.')
      same(await stage.send(topic, []), [], 'The answer to a send of nothing')
    },
  ],
  [
    'a key goes to the partition that Kafka chooses, whatever their number',
    async stage => {
      for (const partitions of [1, 3, 8, 12]) {
        const topic = await stage.topic(partitions)
        for (const records of [
          vectors.map(([key]) => ({ key, value: 'v' })),
          vectors.map(([key]) => ({ key: utf8(key), value: null })),
        ]) {
          const places = await stage.send(topic, records)
          same(
            places.map(({ partition }) => partition),
            vectors.map(([, hash]) => (hash & 0x7fffffff) % partitions),
            `Keys over ${partitions} partitions`,
          )
        }
      }
    },
  ],
  [
    'a record that repeats one goes where that one was, if the topic has as many partitions',
    async stage => {
      const topic = await stage.topic(3)
      const [key, hash] = vectors[0]!
      const places = await stage.send(topic, [
        ...upTo(3).map(partition => ({ key, value: 'v', mirrors: { partition, partitions: 3 } })),
        ...upTo(3).map(partition => ({ key, value: 'v', mirrors: { partition, partitions: 4 } })),
      ])
      const byKey = (hash & 0x7fffffff) % 3
      same(
        places.map(({ partition }) => partition),
        [0, 1, 2, byKey, byKey, byKey],
        'The partitions',
      )
    },
  ],
  [
    'an empty key is a key',
    async stage => {
      const topic = await stage.topic(8)
      const places = await stage.send(
        topic,
        upTo(16).map(() => ({ key: '', value: 'v' })),
      )
      same(new Set(places.map(({ partition }) => partition)).size, 1, 'Partitions of the empty key')
    },
  ],
  [
    'records without a key go to every partition',
    async stage => {
      const topic = await stage.topic(4)
      const places = await stage.send(
        topic,
        upTo(64).map(at => ({ value: `${at}` })),
      )
      same(new Set(places.map(({ partition }) => partition)).size, 4, 'Partitions in use')
    },
  ],
  [
    'a partition that does not exist is refused, and nothing of the send is taken',
    async stage => {
      const topic = await stage.topic(2)
      await stage.send(topic, [{ partition: 0, value: 'v' }])
      for (const partition of [2, -1, 0.5]) {
        const records = [
          { partition: 0, value: 'v' },
          { partition, value: 'v' },
        ]
        await refused(() => stage.send(topic, records), 'PARTITION_INVALID', `Partition ${partition}`)
      }
      const consumer = stage.broker.consumer({ topic, group: stage.group() })
      const ends = await consumer.endOffsets(topic)
      same(ends.get(0)! - (await consumer.committedOffsets(topic)).get(0)!, 1, 'Records in partition 0')
      await consumer.close()
    },
  ],
  [
    "bytes are the receiver's own, and the sender's stay the sender's",
    async stage => {
      const topic = await stage.topic(1)
      const value = utf8('value')
      const key = utf8('key')
      const header = utf8('header')
      await stage.send(topic, [{ key, value, headers: { header } }])
      for (const bytes of [value, key, header]) bytes.fill(0)
      for (const reader of ['the first reader', 'the second reader']) {
        const member = stage.join(topic, stage.group())
        await stage.until('a lease', () => member.held.length === 1)
        const [record] = await stage.read(member.on(0), 1)
        const seen = [record!.key!, record!.value!, record!.headers[0]![1]!]
        same(seen.map(text), ['key', 'value', 'header'], `What ${reader} sees`)
        for (const bytes of seen) bytes.fill(0)
      }
    },
  ],
  [
    'large records and large sends arrive whole',
    async stage => {
      const topic = await stage.topic(1)
      const large = new Uint8Array(256 * 1024).map((_, at) => at % 251)
      await stage.send(topic, [{ value: large }])
      await stage.fill(topic, 0, 2_000)
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const [first, ...rest] = await stage.read(member.on(0), 2_001)
      check(
        first!.value!.every((byte, at) => byte === large[at]),
        'The large record is not what was sent.',
      )
      check(
        rest.every(({ value }, at) => text(value) === `v${at}`),
        'The records of the large send are not what was sent.',
      )
    },
  ],
  [
    'an aborted send sends nothing',
    async stage => {
      const topic = await stage.topic(1)
      const producer = stage.broker.producer({ topic })
      await refused(() => producer.send([{ value: 'v' }], { signal: AbortSignal.abort() }), 'ABORTED', 'A send')
      await producer.send([{ value: 'w' }])
      await producer.close()
      const member = stage.join(topic, stage.group())
      await stage.until('a lease', () => member.held.length === 1)
      const [record] = await stage.read(member.on(0), 1)
      same(text(record!.value), 'w', 'The first record')
    },
  ],
  [
    'a closed producer refuses, and may be closed again',
    async stage => {
      const topic = await stage.topic(1)
      const producer = stage.broker.producer({ topic })
      await producer.close()
      await producer.close()
      await refused(() => producer.send([{ value: 'v' }]), 'BROKER_CLOSED', 'A send')
    },
  ],
]
