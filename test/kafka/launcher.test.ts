import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Admin, Kafka, type KafkaConfig, logLevel } from 'kafkajs'
import { expect, test, vi } from 'vitest'
import { newest, oldest, type SecureListener, shortLived, startKafka, startLimitedBroker } from './launcher/index.ts'
import { describeOnKafka, describeOnLimitedBroker, sharedKafka, unique } from './shared.ts'

vi.setConfig({ testTimeout: 120_000 })

/** By default it tries often: what is waited for takes a moment, and not a minute. */
const retry = { initialRetryTime: 100, maxRetryTime: 300, retries: 200 }

function client(brokers: readonly string[], config: Partial<KafkaConfig> = {}): Kafka {
  return new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, retry, ...config })
}

async function produce(kafka: Kafka, topic: string, values: readonly string[]): Promise<void> {
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic, acks: -1, messages: values.map(value => ({ value })) })
  await producer.disconnect()
}

/** The first records of a topic. */
async function consume(kafka: Kafka, topic: string, count: number): Promise<string[]> {
  const consumer = kafka.consumer({ groupId: unique('reader'), maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  const read: string[] = []
  await new Promise<void>((resolve, reject) => {
    const eachMessage = async ({ message }: { message: { value: Buffer | null } }): Promise<void> => {
      read.push(String(message.value))
      if (read.length === count) resolve()
    }
    consumer.run({ eachMessage }).catch(reject)
  })
  await consumer.disconnect()
  return read
}

async function asAdmin<T>(kafka: Kafka, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

async function leader(kafka: Kafka, topic: string): Promise<number> {
  const { topics } = await asAdmin(kafka, admin => admin.fetchTopicMetadata({ topics: [topic] }))
  return topics[0]!.partitions[0]!.leader
}

async function answers(address: string): Promise<boolean> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** The newest version that a broker speaks of each request: its answer to ApiVersions, the request 18. */
async function newestVersions(address: string): Promise<ReadonlyMap<number, number>> {
  const [host, port] = address.split(':')
  const socket = connect(Number(port), host)
  const request = Buffer.alloc(14)
  request.writeInt32BE(10, 0)
  request.writeInt16BE(18, 4)
  request.writeInt16BE(-1, 12)
  socket.write(request)
  let answer = Buffer.alloc(0)
  for await (const bytes of socket) {
    answer = Buffer.concat([answer, bytes as Buffer])
    if (answer.length >= 4 && answer.length >= 4 + answer.readInt32BE(0)) break
  }
  const count = answer.readInt32BE(10)
  const entry = (at: number): [number, number] => [answer.readInt16BE(14 + 6 * at), answer.readInt16BE(18 + 6 * at)]
  return new Map(Array.from({ length: count }, (_, at) => entry(at)))
}

for (const version of [newest, oldest]) {
  describeOnKafka(
    `the shared Kafka ${version}`,
    () => {
      test('gives back what it was given, and is one for all who ask', async () => {
        const shared = await sharedKafka(version)
        const topic = await shared.createTopic('round-trip', { partitions: 1 })
        const kafka = client(shared.brokers)
        await produce(kafka, topic, ['one', 'two'])
        expect(await consume(kafka, topic, 2)).toEqual(['one', 'two'])
        expect((await sharedKafka(version)).brokers).toEqual(shared.brokers)
      })
    },
    version,
  )
}

describeOnKafka('Kafka with other listeners', () => {
  test('lets in by SASL and by TLS', async () => {
    const shared = await sharedKafka()
    const ssl = { ca: [shared.ca!] }
    const ids = (config: Partial<KafkaConfig>, name: SecureListener): Promise<number[]> =>
      asAdmin(client(shared.listener(name), { retry: { retries: 0 }, ...config }), async admin =>
        (await admin.describeCluster()).brokers.map(({ nodeId }) => nodeId),
      )
    const alice = { username: 'alice', password: shared.users.alice! }
    expect(await ids({ sasl: { mechanism: 'scram-sha-256', ...alice } }, 'SASL_PLAINTEXT')).toEqual([1])
    expect(await ids({ sasl: { mechanism: 'scram-sha-512', ...alice } }, 'SASL_PLAINTEXT')).toEqual([1])
    expect(await ids({ sasl: { mechanism: 'plain', ...alice } }, 'SASL_PLAINTEXT')).toEqual([1])
    expect(await ids({ ssl }, 'SSL')).toEqual([1])
    const bob = { username: 'bob', password: shared.users.bob! }
    expect(await ids({ ssl, sasl: { mechanism: 'scram-sha-512', ...bob } }, 'SASL_SSL')).toEqual([1])

    const wrong = { mechanism: 'scram-sha-256', ...alice, password: bob.password } as const
    await expect(ids({ sasl: wrong }, 'SASL_PLAINTEXT')).rejects.toThrow(/[Aa]uthentication failed|credentials/)
    await expect(ids({ ssl: true }, 'SSL')).rejects.toThrow(/certificate/)
  })
})

describeOnKafka('Kafka of a test', () => {
  test('keeps its records when it is killed, and stands still when it is paused', async () => {
    const started = await startKafka({ javaOptions: shortLived })
    const [node] = started.nodes
    const kafka = client(started.brokers)
    await started.createTopic('kept', { partitions: 1, config: { 'retention.ms': '-1' } })
    await produce(kafka, 'kept', ['before'])
    await node!.kill()
    expect(await answers(node!.address)).toBe(false)
    await node!.start()
    expect(await consume(kafka, 'kept', 1)).toEqual(['before'])

    node!.pause()
    const impatient = client(started.brokers, { connectionTimeout: 200, requestTimeout: 200, retry: { retries: 0 } })
    await expect(leader(impatient, 'kept')).rejects.toThrow(/timed out|timeout/)
    node!.resume()
    expect(await leader(kafka, 'kept')).toBe(1)

    await started.stop()
    expect(await answers(node!.address)).toBe(false)
    expect(existsSync(started.dir)).toBe(false)
  })

  test('ends when whoever started it is killed', async () => {
    const program = fileURLToPath(new URL('./launcher/starter.ts', import.meta.url))
    const starter = spawn(process.execPath, ['--import', 'jiti/register', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [said] = (await once(starter.stdout, 'data')) as [Buffer]
    const { brokers, dir } = JSON.parse(String(said)) as { brokers: string[]; dir: string }
    expect(await answers(brokers[0]!)).toBe(true)
    starter.kill('SIGKILL')
    await expect.poll(() => existsSync(dir), { timeout: 30_000 }).toBe(false)
    expect(await answers(brokers[0]!)).toBe(false)
  })

  // Slow to start, and the fault program's long form goes on with two of three for minutes.
  test.runIf(process.env.XM_LONG === '1')('goes on with two of three nodes, and takes the third back', async () => {
    const started = await startKafka({ nodes: 3 })
    const kafka = client(started.brokers)
    await started.createTopic('three', { partitions: 1 })
    await produce(kafka, 'three', ['all'])
    const led = started.nodes[(await leader(kafka, 'three')) - 1]!
    await led.kill()
    await produce(kafka, 'three', ['two of three'])
    expect(await leader(kafka, 'three')).not.toBe(led.id)
    await led.start([1, 2, 3])
    expect(await consume(kafka, 'three', 2)).toEqual(['all', 'two of three'])
    await started.stop()
  })

  test('says what it cannot do', async () => {
    await expect(startKafka({ version: '5' })).rejects.toThrow(/Expected a version of Kafka/)
    await expect(startKafka({ properties: { 'log.segment.bytes': 'many' } })).rejects.toThrow(/log\.segment\.bytes/)
  })
})

describeOnLimitedBroker('the limited broker', () => {
  test('gives back what it was given', async () => {
    const limited = await startLimitedBroker({ topics: { orders: { partitions: 4 } } })
    const kafka = client(limited.brokers)
    await produce(kafka, 'orders', ['one'])
    expect(await consume(kafka, 'orders', 1)).toEqual(['one'])
    const versions = await newestVersions(limited.brokers[0]!)
    // Produce, Fetch, OffsetCommit, JoinGroup; and none of the heartbeats of the new group protocol.
    expect([0, 1, 8, 11, 68].map(key => versions.get(key))).toEqual([7, 11, 8, 6, undefined])
    await limited.stop()
    expect(await answers(limited.brokers[0]!)).toBe(false)
  })
})
