import { Kafka, logLevel } from 'kafkajs'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type SuperviseOptions, supervise, XMachinesError } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { type KafkaBroker, type KafkaTuning, kafkaBroker } from 'xmachines/transports/kafka'
import { counter } from '../actors/run/machines.ts'
import { type KafkaCluster, shortLived, startKafka } from './launcher/index.ts'
import { describeOnKafka } from './shared.ts'

const password = 'correct-horse-battery'
const quick: KafkaTuning = { heartbeatInterval: 100, maxWait: 50, patience: 20_000, deliveryTimeout: 20_000 }
/** Kafka's own numbers of what ACLs say. */
const acl = { topic: 2, group: 3, literal: 3, read: 3, write: 4, describe: 8, allow: 3 } as const

describeOnKafka('what a user may not do', () => {
  let kafka: KafkaCluster
  beforeAll(async () => {
    kafka = await startKafka({
      javaOptions: shortLived,
      listeners: ['SASL_PLAINTEXT'],
      users: { reader: password, guest: password, mute: password },
      properties: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        'super.users': 'User:ANONYMOUS',
      },
    })
    await Promise.all(['t', 'r', 'd'].map(topic => kafka.createTopic(topic, { partitions: 1 })))
    const may = (user: string, operation: number, resourceType: number, resourceName: string) => ({
      principal: `User:${user}`,
      host: '*',
      permissionType: acl.allow,
      resourcePatternType: acl.literal,
      resourceType,
      resourceName,
      operation,
    })
    const admin = new Kafka({ brokers: [...kafka.brokers], logLevel: logLevel.NOTHING }).admin()
    await admin.connect()
    await admin.createAcls({
      acl: [
        may('reader', acl.read, acl.topic, 't'),
        may('reader', acl.describe, acl.topic, 'r'),
        may('reader', acl.read, acl.group, 'g'),
        // Sees the topic, and may not read it.
        may('mute', acl.describe, acl.topic, 't'),
        may('mute', acl.read, acl.group, 'g'),
      ],
    })
    await admin.disconnect()
    const broker = kafkaBroker({ brokers: kafka.brokers, ...quick })
    await broker.producer({ topic: 't' }).send([{ key: 'a', value: '{"type":"ADD","by":1}' }])
    // The group's coordinator loads with the first question.
    const consumer = broker.consumer({ topic: 't', group: 'g' })
    await vi.waitFor(() => consumer.committedOffsets('t'), 20_000)
    await broker.close()
  }, 60_000)
  afterAll(() => kafka?.stop())

  /** Runs a supervisor as `user` until it is refused; what it was told, and what the group has committed then. */
  async function refused(
    user: string,
    group: string,
    make: (broker: KafkaBroker) => Partial<SuperviseOptions> = () => ({}),
  ) {
    const told: unknown[] = []
    const hear = (message: string, fields: object) => void told.push(message, fields)
    const broker = kafkaBroker({
      brokers: kafka.listener('SASL_PLAINTEXT'),
      ...quick,
      sasl: { mechanism: 'scram-sha-256', username: user, password },
      logger: { debug: hear, info: hear, warn: hear, error: hear },
    })
    const store = memoryStore()
    const consumer = broker.consumer({ topic: 't', group })
    const supervisor = supervise({ machine: counter, store, consumer, ...make(broker) } as SuperviseOptions<
      typeof counter
    >)
    let error: XMachinesError | undefined
    for await (const event of supervisor.events) {
      if (event.type !== 'failed' && event.type !== 'stopped') continue
      error = event.error
      break
    }
    await supervisor.close()
    await broker.close()
    const cause = XMachinesError.is(error, 'SUPERVISOR_STOPPED') ? (error.cause as XMachinesError) : error!
    expect(JSON.stringify([told, error, String(error), cause, String(cause.cause)])).not.toContain(password)
    return { cause, store }
  }

  async function committed(group: string): Promise<readonly number[]> {
    const broker = kafkaBroker({ brokers: kafka.brokers, ...quick })
    const offsets = await broker.consumer({ topic: 't', group, from: { offset: 0 } }).committedOffsets('t')
    await broker.close()
    return [...offsets.values()]
  }

  test.each([
    ['to see the topic', 'guest', 'g', { operation: 'READ', resource: 'topic', name: 't' }],
    ['to read the topic', 'mute', 'g', { operation: 'READ', resource: 'topic', name: 't' }],
    ['to use the group', 'reader', 'other', { operation: 'READ', resource: 'group', name: 'other' }],
  ])('%s', async (_, user, group, missing) => {
    const { cause, store } = await refused(user, group)
    expect(cause).toMatchObject({ code: 'BROKER_REFUSED', retryable: false, details: missing })
    expect(cause.message).toContain(`no READ on the ${missing.resource} ${missing.name}`)
    expect(cause.message).toContain(`--operation READ --${missing.resource} ${missing.name}`)
    expect(await store.find('t', 'a')).toBeUndefined()
    expect(await committed(group)).toEqual([0])
  })

  test('to write the results: the run has its event, and its output waits for whoever may', async () => {
    const { cause, store } = await refused('reader', 'g', broker => ({ results: broker.producer({ topic: 'r' }) }))
    expect(cause).toMatchObject({
      code: 'BROKER_REFUSED',
      details: { operation: 'WRITE', resource: 'topic', name: 'r' },
    })
    const head = await store.head((await store.find('t', 'a'))!)
    expect(head).toMatchObject({ seq: 1, beside: { outbox: [1], published: null } })
  })

  test('to write the dead letters: the record stays uncommitted', async () => {
    const sender = kafkaBroker({ brokers: kafka.brokers, ...quick })
    const [place] = await sender.producer({ topic: 't' }).send([{ key: 'a', value: 'no JSON' }])
    await sender.close()
    const { cause } = await refused('reader', 'g', broker => ({ deadLetters: broker.producer({ topic: 'd' }) }))
    expect(cause).toMatchObject({
      code: 'BROKER_REFUSED',
      details: { operation: 'WRITE', resource: 'topic', name: 'd' },
    })
    const [next] = await committed('g')
    expect(next).toBeLessThanOrEqual(place!.offset)
  })
})
