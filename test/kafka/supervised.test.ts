import { expect, test } from 'vitest'
import { type BrokerRecord, type Store, type SuperviseOptions, type Supervisor, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type KafkaBroker, type KafkaTuning, kafkaBroker } from 'xmachines/transports/kafka'
import { counter } from '../actors/run/machines.ts'
import { otherProcess } from '../actors/supervisor/world.ts'
import { foreignMember } from './foreign.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const quick: KafkaTuning = { heartbeatInterval: 100, maxWait: 50 }
const add = (by: number, padding = '') => JSON.stringify({ type: 'ADD', by, ...(padding && { padding }) })
const text = (bytes: Uint8Array | null) => bytes && new TextDecoder().decode(bytes)
const headersOf = ({ headers }: BrokerRecord) => Object.fromEntries(headers.map(([name, bytes]) => [name, text(bytes)]))

type Options = Partial<SuperviseOptions<typeof counter>>

/** A broker, a topic of its own, and supervisors over it. */
async function world(partitions: number) {
  const { brokers, createTopic } = await sharedKafka()
  const broker = kafkaBroker({ brokers, ...quick })
  const topic = await createTopic('supervised', { partitions })
  return {
    brokers,
    broker,
    topic,
    createTopic,
    store: memoryStore(),
    supervise(store: Store, group: string, options: Options = {}): Supervisor {
      return supervise({ machine: counter, store, consumer: broker.consumer({ topic, group }), ...options })
    },
  }
}

/** Everything that a topic holds, by partition. */
async function read(broker: KafkaBroker, topic: string): Promise<readonly BrokerRecord[]> {
  const consumer = broker.consumer({ topic, group: unique('look') })
  const ends = await consumer.endOffsets(topic)
  const records: BrokerRecord[] = []
  const leases = consumer.leases.getReader()
  for (const _ of ends) {
    const { value: lease } = await leases.read()
    const reader = lease!.records.getReader()
    for (let left = ends.get(lease!.partition)!; left > 0; left--) records.push((await reader.read()).value!)
    await lease!.release()
  }
  await consumer.close()
  return records.sort((a, b) => a.partition - b.partition || a.offset - b.offset)
}

/** Why a supervisor takes over nothing more. */
async function failureOf(supervisor: Supervisor): Promise<unknown> {
  for await (const event of supervisor.events) if (event.type === 'failed') return event.error
  throw new Error('It was closed, and had not failed.')
}

async function unitsOf(store: Store, namespace: string, key: string) {
  const units = []
  for await (const unit of store.read((await store.find(namespace, key))!)) units.push(unit)
  return units
}

describeOnKafka('supervisors on Kafka', () => {
  test('a tombstone ends the run of its key, once', async () => {
    const { broker, topic, store, supervise } = await world(1)
    await broker.producer({ topic }).send([
      { key: 'a', value: add(1) },
      { key: 'a', value: null },
      { key: 'nobody', value: null },
    ])
    const supervisor = supervise(store, unique('g'), { tombstones: 'stop' })
    await supervisor.caughtUp()
    await supervisor.close()
    // Another group of the same store reads all of it again.
    const again = supervise(otherProcess(store), unique('g'), { tombstones: 'stop' })
    await again.caughtUp()
    const units = await unitsOf(store, topic, 'a')
    expect(units.map(({ origin }) => origin)).toEqual([
      { kind: 'outside' },
      { kind: 'outside' },
      { kind: 'stop', reason: 'tombstone' },
    ])
    expect(units[2]!.sources).toMatchObject([{ position: 1 }])
    expect(again.status()).toMatchObject({ duplicates: 2, deadLettered: 0 })
    await broker.close()
  })

  test('dead letters keep their partition, bytes and order; what is too large for them is pointed at, and nothing stands still', async () => {
    const { broker, topic, store, supervise, createTopic } = await world(3)
    const letters = await createTopic('letters', { partitions: 3, config: { 'max.message.bytes': '3000' } })
    const fewer = await createTopic('fewer', { partitions: 2 })
    const refused = (number: number, size = 0) => `{"type":"THROW","number":${number},"padding":"${'x'.repeat(size)}"}`
    // Not where its key would go: what a foreign partitioner does.
    const sent = [refused(0), refused(1, 4_000), refused(2)].map(value => ({ key: 'a', value, partition: 2 }))
    const binary = { key: new Uint8Array([0, 255]), value: new Uint8Array([254, 1]), partition: 1 }
    const large = { key: 'k'.repeat(4_000), value: refused(3), partition: 0, headers: { h: 'x'.repeat(4_000) } }
    await broker.producer({ topic }).send([...sent, binary, large])
    for (const target of [letters, fewer]) {
      const namespace = unique('n')
      const deadLetters = broker.producer({ topic: target })
      const supervisor = supervise(store, unique('g'), { namespace, deadLetters })
      await supervisor.caughtUp()
      expect(supervisor.status()).toMatchObject({ deadLettered: 5 })
      await supervisor.close()
    }
    const found = await read(broker, letters)
    expect(found.map(({ partition, value }) => [partition, text(value)?.slice(0, 26) ?? null])).toEqual([
      [0, null],
      [1, '\ufffd\u0001'],
      [2, refused(0).slice(0, 26)],
      [2, null],
      [2, refused(2).slice(0, 26)],
    ])
    expect([...found[1]!.key!, ...found[1]!.value!]).toEqual([0, 255, 254, 1])
    expect(found.map(headersOf).map(header => header['xmachines-left-out'])).toEqual([
      'value headers key',
      undefined,
      undefined,
      'value',
      undefined,
    ])
    expect(headersOf(found[3]!)).toMatchObject({ 'xmachines-partition': '2', 'xmachines-offset': '1' })
    // Of another number of partitions: by the key, so each key has one.
    const ofA = (await read(broker, fewer)).filter(({ key }) => text(key) === 'a')
    expect(new Set(ofA.map(({ partition }) => partition)).size).toBe(1)
    expect(ofA.map(({ value }) => JSON.parse(text(value)!).number)).toEqual([0, 1, 2])
    await broker.close()
  })

  test('who has other options, or shares out in another way, is refused; the others go on', async () => {
    const { brokers, broker, topic, store, supervise } = await world(2)
    const group = unique('terms')
    const producer = broker.producer({ topic })
    const supervisor = supervise(store, group)
    await producer.send([{ key: 'a', value: add(1) }])
    await supervisor.caughtUp()
    const others: Options[] = [
      { ordering: 'partition' },
      { time: 'source' },
      { tombstones: 'stop' },
      { namespace: 'n' },
    ]
    for (const options of others) {
      const other = supervise(store, group, options)
      const [[name, value]] = Object.entries(options) as [[string, string]]
      expect(await failureOf(other)).toMatchObject({
        code: 'GROUP_MISMATCH',
        details: { group, own: `${name}=${value}`, theirs: '' },
      })
      await other.close()
    }
    await expect(foreignMember(brokers, topic, group)).rejects.toMatchObject({ type: 'INCONSISTENT_GROUP_PROTOCOL' })
    const alike = supervise(otherProcess(store), group)
    await producer.send(['a', 'b', 'c', 'd'].map(key => ({ key, value: add(2) })))
    await Promise.all([supervisor.caughtUp(), alike.caughtUp()])
    expect((await unitsOf(store, topic, 'a')).flatMap(({ events }) => events.map(({ by }) => by))).toEqual([1, 2])
    await Promise.all([supervisor.close(), alike.close()])
    // The group is empty: whoever is first says what it goes by.
    const next = supervise(store, group, { ordering: 'partition' })
    await producer.send([{ key: 'a', value: add(3) }])
    await next.caughtUp()
    await broker.close()
  })

  test('two groups over one namespace: the later claim fences the earlier one, and nothing is applied twice', async () => {
    const { broker, topic, store, supervise } = await world(1)
    const producer = broker.producer({ topic })
    const blue = supervise(store, unique('blue'))
    await producer.send([{ key: 'a', value: add(1) }])
    await blue.caughtUp()
    const green = supervise(otherProcess(store), unique('green'))
    await green.caughtUp()
    expect(await store.lease({ namespace: topic, partition: 0 })).toMatchObject({ epoch: 2 })
    await producer.send([{ key: 'a', value: add(2) }])
    await green.caughtUp()
    // Its append is refused, and the partition is not its group's to claim back.
    await expect(blue.caughtUp()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED', details: { code: 'LEASE_HELD' } })
    await producer.send([{ key: 'a', value: add(3) }])
    await green.caughtUp()
    const units = await unitsOf(store, topic, 'a')
    expect(units.flatMap(({ events }) => events.map(({ by }) => by))).toEqual([1, 2, 3])
    expect(units.map(({ epoch }) => epoch)).toEqual([1, 1, 2, 2])
    await broker.close()
  })
})
