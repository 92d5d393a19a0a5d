import { type Admin, CompressionTypes, Kafka, logLevel } from 'kafkajs'
import { expect, test, vi } from 'vitest'
import type { BrokerRecord, PartitionLease } from 'xmachines'
import { type KafkaBroker, type KafkaTuning, kafkaBroker } from 'xmachines/transports/kafka'
import { shortLived, startKafka } from './launcher/index.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

// Somebody has to start the brokers.
vi.setConfig({ testTimeout: 120_000 })

const quick: KafkaTuning = { heartbeatInterval: 100, maxWait: 50 }

/** The next lease of a group. */
async function leaseOf(broker: KafkaBroker, topic: string, group: string): Promise<PartitionLease> {
  const reader = broker.consumer({ topic, group }).leases.getReader()
  const { value } = await reader.read()
  reader.releaseLock()
  return value!
}

async function read(lease: PartitionLease, count: number): Promise<BrokerRecord[]> {
  const records: BrokerRecord[] = []
  for await (const record of lease.records.values({ preventCancel: true })) {
    records.push(record)
    if (records.length === count) break
  }
  return records
}

const textOf = ({ value }: BrokerRecord) => value && new TextDecoder().decode(value)

/** Revokes, and gives back what is held. */
async function close(broker: KafkaBroker, ...leases: PartitionLease[]): Promise<void> {
  const closed = broker.close()
  await Promise.all(leases.map(lease => lease.release()))
  await closed
}

async function asAdmin<Answer>(brokers: readonly string[], work: (admin: Admin) => Promise<Answer>): Promise<Answer> {
  const admin = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

describeOnKafka('what is wrong is said, and nothing is lost', () => {
  test('a topic that is not there', async () => {
    const { brokers } = await sharedKafka()
    const broker = kafkaBroker({ brokers, ...quick, patience: 500 })
    const unknown = expect.objectContaining({
      code: 'TOPIC_UNKNOWN',
      message: expect.stringContaining('kafka-topics.sh'),
    })
    await expect(leaseOf(broker, 'not-there', unique('g'))).rejects.toEqual(unknown)
    await expect(broker.producer({ topic: 'not-there' }).send([{ value: 'v' }])).rejects.toEqual(unknown)
    await broker.close()
  })

  test('nobody at the address: named, and retryable', async () => {
    const broker = kafkaBroker({ brokers: ['127.0.0.1:1'], ...quick, patience: 200 })
    await expect(leaseOf(broker, 't', 'g')).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
      retryable: true,
      message: expect.stringContaining('127.0.0.1:1'),
    })
    await expect(broker.producer({ topic: 't' }).send([{ value: 'v' }])).rejects.toMatchObject({
      code: 'BROKER_UNAVAILABLE',
    })
    await broker.close()
    expect(() => kafkaBroker({ brokers: [] })).toThrow(TypeError)
  })

  test('a group that another application uses', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('foreign', { partitions: 1 })
    const groupId = unique('foreign')
    const foreign = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).consumer({ groupId })
    await foreign.subscribe({ topic })
    const joined = new Promise(resolve => foreign.on(foreign.events.GROUP_JOIN, resolve))
    await foreign.run({ eachBatch: async () => {} })
    await joined
    const broker = kafkaBroker({ brokers, ...quick })
    await expect(leaseOf(broker, topic, groupId)).rejects.toMatchObject({ code: 'GROUP_FOREIGN' })
    await Promise.all([foreign.disconnect(), broker.close()])
  })

  test('a record over the limit is refused; those around it are sent, in order', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('large', { partitions: 1, config: { 'max.message.bytes': '20000' } })
    const broker = kafkaBroker({ brokers, ...quick })
    const producer = broker.producer({ topic })
    const small = Array.from({ length: 40 }, (_, at) => producer.send([{ value: `${at}`.padEnd(2_000) }]))
    const large = producer.send([{ value: 'x'.repeat(30_000) }])
    const after = producer.send([{ value: 'last' }])
    await expect(large).rejects.toMatchObject({ code: 'RECORD_TOO_LARGE', details: { topic, partition: 0 } })
    await Promise.all([...small, after])
    const lease = await leaseOf(broker, topic, unique('large'))
    const values = (await read(lease, 41)).map(record => textOf(record)?.trim())
    expect(values).toEqual([...Array.from({ length: 40 }, (_, at) => `${at}`), 'last'])
    await close(broker, lease)
  })

  test('a record that the topic refuses for what it is: coded, and those around it are sent, in order', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const config = { 'cleanup.policy': 'compact', 'message.timestamp.after.max.ms': '60000' }
    const topic = await createTopic('particular', { partitions: 1, config })
    const broker = kafkaBroker({ brokers, ...quick })
    const producer = broker.producer({ topic })
    const sent = ['a', 'b', 'c'].map(key => producer.send([{ key, value: key }]))
    const keyless = producer.send([{ value: 'no key' }])
    const early = producer.send([{ key: 'k', value: 'of tomorrow', timestamp: Date.now() + 86_400_000 }])
    sent.push(producer.send([{ key: 'd', value: 'd' }]))
    const refused = (type: string) => ({ code: 'RECORD_REFUSED', retryable: false, details: { type } })
    await expect(keyless).rejects.toMatchObject(refused('INVALID_RECORD'))
    await expect(early).rejects.toMatchObject(refused('INVALID_TIMESTAMP'))
    await Promise.all(sent)
    const lease = await leaseOf(broker, topic, unique('particular'))
    expect((await read(lease, 4)).map(textOf)).toEqual(['a', 'b', 'c', 'd'])
    await close(broker, lease)
  })

  test('another number of partitions than when the group last committed', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('grown', { partitions: 1 })
    const group = unique('grown')
    const first = kafkaBroker({ brokers, ...quick })
    const lease = await leaseOf(first, topic, group)
    await close(first, lease)
    await asAdmin(brokers, admin => admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] }))
    const second = kafkaBroker({ brokers, ...quick })
    const reader = second.consumer({ topic, group }).leases.getReader()
    const refusal = (async () => {
      for (;;) await reader.read()
    })()
    await expect(refusal).rejects.toMatchObject({
      code: 'PARTITIONS_CHANGED',
      details: { topic, partitions: 2, before: 1 },
    })
    await second.close()
  })

  test('another number of partitions, while they are read: nothing of them is read any more', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('growing', { partitions: 1 })
    const broker = kafkaBroker({ brokers, ...quick })
    const consumer = broker.consumer({ topic, group: unique('growing') })
    const reader = consumer.leases.getReader()
    const { value: lease } = await reader.read()
    const changed = expect.objectContaining({ code: 'PARTITIONS_CHANGED' })
    const records = expect(read(lease!, 1)).rejects.toEqual(changed)
    const leases = expect(reader.read()).rejects.toEqual(changed)
    await asAdmin(brokers, admin => admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] }))
    // Another member makes the group look at the topic again.
    const other = kafkaBroker({ brokers, ...quick })
    const theirs = other.consumer({ topic, group: consumer.group }).leases.getReader()
    await expect(theirs.read()).rejects.toEqual(changed)
    await Promise.all([records, leases])
    await Promise.all([close(broker, lease!), other.close()])
  })

  test('a topic that was made anew under its name', async () => {
    const { brokers } = await sharedKafka()
    const topic = unique('anew')
    const make = () =>
      asAdmin(brokers, async admin => {
        await admin.createTopics({ topics: [{ topic, numPartitions: 1 }], waitForLeaders: true })
      })
    await make()
    const group = unique('anew')
    const first = kafkaBroker({ brokers, ...quick })
    await first.producer({ topic }).send([{ value: 'a' }, { value: 'b' }])
    const lease = await leaseOf(first, topic, group)
    await lease.commit(2)
    await close(first, lease)
    // The group's commits go with the topic; what is left of them elsewhere is what a backup brings back.
    await asAdmin(brokers, async admin => {
      await admin.deleteTopics({ topics: [topic] })
      await expect
        .poll(() => admin.createTopics({ topics: [{ topic, numPartitions: 1 }] }).catch(() => false), {
          timeout: 60_000,
        })
        .toBe(true)
      await admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '2' }] })
    })
    const second = kafkaBroker({ brokers, ...quick })
    const again = await leaseOf(second, topic, group)
    await expect(read(again, 1)).rejects.toMatchObject({
      code: 'OFFSET_OUT_OF_RANGE',
      message: expect.stringContaining('made anew'),
    })
    await close(second, again)
  })

  test('more in one send than a node takes in one request', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const partitions = 120
    const topic = await createTopic('much', { partitions })
    const broker = kafkaBroker({ brokers, ...quick, deliveryTimeout: 20_000 })
    const value = new Uint8Array(900_000)
    const sent = await broker
      .producer({ topic })
      .send(Array.from({ length: partitions }, (_, partition) => ({ partition, value })))
    expect(sent.map(({ offset }) => offset)).toEqual(Array(partitions).fill(0))
    await broker.close()
  })

  test('what a lease reads ahead is bounded by what it is in memory, not by how small it was made', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('folded', { partitions: 1 })
    const producer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).producer()
    await producer.connect()
    const messages = Array.from({ length: 10 }, () => ({ value: Buffer.alloc(100_000) }))
    for (let batch = 0; batch < 10; batch++)
      await producer.send({ topic, compression: CompressionTypes.GZIP, messages })
    await producer.disconnect()
    const broker = kafkaBroker({ brokers, ...quick, maxBytesPerPartition: 100_000 })
    const lease = await leaseOf(broker, topic, unique('folded'))
    expect(await read(lease, 1)).toHaveLength(1)
    // All of it, ten megabytes, came with the first answer.
    expect((lease as PartitionLease & { readonly position: number }).position).toBeLessThan(50)
    expect((await read(lease, 99)).at(-1)!.offset).toBe(99)
    await close(broker, lease)
  })

  test('records in a compression that kafkajs has no codec for: the package to install is named', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const broker = kafkaBroker({ brokers, ...quick })
    const read = async (compression: string, name: string) => {
      const topic = await createTopic(compression, { partitions: 1, config: { 'compression.type': compression } })
      await broker.producer({ topic }).send([{ value: 'v' }])
      const lease = await leaseOf(broker, topic, unique(compression))
      const details = { package: name, compression }
      await expect(lease.records.getReader().read()).rejects.toMatchObject({ code: 'LIBRARY_MISSING', details })
      await lease.release()
    }
    await Promise.all([read('snappy', 'kafkajs-snappy'), read('lz4', 'kafkajs-lz4'), read('zstd', '@kafkajs/zstd')])
    await broker.close()
  })

  test('a partition that is never behind keeps no large record of another one back', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('fair', { partitions: 2 })
    const broker = kafkaBroker({ brokers, ...quick, maxBytesPerPartition: 64 * 1024 })
    const producer = broker.producer({ topic })
    const value = new Uint8Array(20_000)
    await producer.send(Array.from({ length: 200 }, () => ({ partition: 0, value })))
    await producer.send([{ partition: 1, value: new Uint8Array(300_000) }])
    const leases = broker.consumer({ topic, group: unique('fair') }).leases.getReader()
    const held = [(await leases.read()).value!, (await leases.read()).value!]
    const arrived: number[] = []
    await Promise.all(
      held.map(async lease => {
        for (const { partition } of await read(lease, lease.partition === 0 ? 200 : 1)) arrived.push(partition)
      }),
    )
    // Those of partition 0 are pushed when the last of them is there.
    expect(arrived[0]).toBe(1)
    await close(broker, ...held)
  })

  test('a topic that is deleted while it is read is told; others are read and sent to, also new ones', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const [gone, kept, fresh] = await Promise.all(
      ['gone', 'kept', 'fresh'].map(topic => createTopic(topic, { partitions: 1 })),
    )
    const broker = kafkaBroker({ brokers, ...quick, patience: 500, deliveryTimeout: 500 })
    for (const topic of [gone!, kept!]) await broker.producer({ topic }).send([{ value: 'first' }])
    const consumer = broker.consumer({ topic: [gone!, kept!], group: unique('gone') })
    const leases = consumer.leases.getReader()
    const held = [(await leases.read()).value!, (await leases.read()).value!]
    const of = (name: string) => held.find(({ topic }) => topic === name)!.records.getReader()
    const [deleted, going] = [of(gone!), of(kept!)]
    for (const records of [deleted, going]) expect(textOf((await records.read()).value!)).toBe('first')

    await asAdmin(brokers, admin => admin.deleteTopics({ topics: [gone!] }))
    await expect(deleted.read()).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
      message: expect.stringContaining(`${gone}/0`),
    })
    // Those that the producers knew before are asked for together with this one.
    await broker.producer({ topic: fresh! }).send([{ value: 'v' }])
    await expect(broker.producer({ topic: gone! }).send([{ value: 'v' }])).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
    })
    await broker.producer({ topic: kept! }).send([{ value: 'second' }])
    expect(textOf((await going.read()).value!)).toBe('second')
    expect(await consumer.endOffsets(fresh!)).toEqual(new Map([[0, 1]]))
    await close(broker, ...held)
  })

  test('a group that was set behind a transaction that is still open: not taken for a topic that was made anew', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('open', { partitions: 1 })
    const group = unique('open')
    const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
    const options = { transactionalId: unique('open'), maxInFlightRequests: 1, idempotent: true }
    const transactional = kafka.producer(options)
    await transactional.connect()
    const transaction = await transactional.transaction()
    await transaction.send({ topic, messages: [{ value: 'open' }, { value: 'open' }] })
    // As `kafka-consumer-groups.sh --reset-offsets --to-latest` does.
    await asAdmin(brokers, admin =>
      admin.setOffsets({ groupId: group, topic, partitions: [{ partition: 0, offset: '2' }] }),
    )
    const broker = kafkaBroker({ brokers, ...quick })
    const lease = await leaseOf(broker, topic, group)
    const next = read(lease, 1)
    await broker.producer({ topic }).send([{ value: 'behind' }])
    await transaction.commit()
    expect((await next).map(({ offset }) => offset)).toEqual([2])
    await transactional.disconnect()
    await close(broker, lease)
  })

  test('transactions: what was aborted is not seen, and their marks hold nobody up', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('transactions', { partitions: 1 })
    const producer = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING }).producer({
      transactionalId: unique('tx'),
      idempotent: true,
      maxInFlightRequests: 1,
    })
    await producer.connect()
    for (const [value, ends] of [
      ['a', 'commit'],
      ['b', 'abort'],
      ['c', 'commit'],
    ] as const) {
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: [{ value }] })
      await transaction[ends]()
    }
    await producer.disconnect()
    const broker = kafkaBroker({ brokers, ...quick })
    const consumer = broker.consumer({ topic, group: unique('transactions') })
    const { value: lease } = await consumer.leases.getReader().read()
    const reader = lease!.records.getReader()
    const [first, second] = [(await reader.read()).value!, (await reader.read()).value!]
    expect([first, second].map(textOf)).toEqual(['a', 'c'])
    // What is asked for next comes behind the marks: so does the commit, or the group would never be said to be caught up.
    const third = reader.read()
    await lease!.commit(second.offset + 1)
    const [end] = (await consumer.endOffsets(topic)).values()
    await expect.poll(async () => [...(await consumer.committedOffsets(topic)).values()]).toEqual([end])
    expect(lease!.committed).toBe(end)
    await broker.producer({ topic }).send([{ value: 'd' }])
    expect(textOf((await third).value!)).toBe('d')
    await close(broker, lease!)
  })
})

describeOnKafka('credentials', () => {
  test('SCRAM and TLS; what is wrong is refused, and no secret is told', async () => {
    const kafka = await sharedKafka()
    const password = kafka.users.alice!
    const topic = await kafka.createTopic('safe', { partitions: 1 })
    const told: unknown[] = []
    const hear = (message: string, fields: object) => void told.push(message, fields)
    const logger = { debug: hear, info: hear, warn: hear, error: hear }
    const ssl = { ca: [kafka.ca!] }
    for (const [listener, mechanism] of [
      ['SASL_PLAINTEXT', 'scram-sha-256'],
      ['SASL_SSL', 'scram-sha-512'],
    ] as const) {
      const broker = kafkaBroker({
        brokers: kafka.listener(listener),
        ...quick,
        logger,
        sasl: { mechanism, username: 'alice', password },
        ...(listener === 'SASL_SSL' ? { ssl } : {}),
      })
      await broker.producer({ topic }).send([{ value: 'v' }])
      const lease = await leaseOf(broker, topic, unique('g'))
      expect((await read(lease, 1)).map(textOf)).toEqual(['v'])
      await close(broker, lease)
    }
    const wrong = kafkaBroker({
      brokers: kafka.listener('SASL_PLAINTEXT'),
      ...quick,
      logger,
      sasl: { mechanism: 'scram-sha-256', username: 'alice', password: 'a-wrong-secret' },
    })
    const refused = await leaseOf(wrong, topic, unique('g')).catch(error => error)
    expect(refused).toMatchObject({ code: 'BROKER_REFUSED', retryable: false })
    await wrong.close()
    const everything = JSON.stringify([told, refused, String(refused), refused.cause?.message])
    for (const secret of [password, 'a-wrong-secret']) expect(everything).not.toContain(secret)
  })
})

describeOnKafka('a node that is killed and comes back', () => {
  test('sends and reads go on, in order and without a gap', async () => {
    const kafka = await startKafka({ javaOptions: shortLived })
    await kafka.createTopic('t', { partitions: 2 })
    const broker = kafkaBroker({ brokers: kafka.brokers, ...quick })
    const producer = broker.producer({ topic: 't' })
    const lease = await leaseOf(broker, 't', 'g')
    const { partition } = lease
    let sent = 0
    const send = () => producer.send([{ partition, value: `${sent++}` }])
    await Promise.all(Array.from({ length: 50 }, send))
    const [node] = kafka.nodes
    await node!.kill()
    const overlapping = Array.from({ length: 50 }, send)
    await node!.start()
    await Promise.all(overlapping)
    await send()
    const records = await read(lease, 101)
    expect(records.map(textOf)).toEqual(Array.from({ length: 101 }, (_, at) => `${at}`))
    // The lease may have been lost meanwhile: then it says so, and another goes on.
    await lease.commit(101).catch(error => expect(error).toMatchObject({ code: 'LEASE_LOST' }))
    const closed = broker.close()
    await lease.release()
    await kafka.stop()
    await closed
  })
})
