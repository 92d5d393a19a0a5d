import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { redpandaBroker } from 'xmachines/transports/redpanda'
import { openCluster } from '../../src/transports/kafka/cluster.ts'
import { describeOnKafka, sharedKafka } from './shared.ts'

/** kafkajs, its nodes answering as Redpanda's do for a topic with `write.caching`: that setting is not one of Kafka's. */
function withWriteCaching(brokers: readonly string[]): Kafka {
  const kafka = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING })
  const prototype = Object.getPrototypeOf(openCluster(kafka, 1_000))
  const consumer = kafka.consumer.bind(kafka)
  kafka.consumer = options => {
    const made = consumer({
      ...options,
      groupId: options!.groupId,
      partitionAssigners: options!.partitionAssigners!.map(assigner => given => {
        const cluster = Object.create(given.cluster)
        cluster.findBroker = async (node: object) => {
          const found = Object.create(await prototype.findBroker.call(given.cluster, node))
          found.describeConfigs = async ({ resources }: { resources: readonly { name: string }[] }) => ({
            resources: resources.map(({ name }) => ({
              resourceName: name,
              configEntries: [{ configName: 'write.caching', configValue: 'true' }],
            })),
          })
          return found
        }
        return assigner({ ...given, cluster })
      }),
    })
    return made
  }
  return kafka
}

describeOnKafka('Redpanda, as far as it can be shown without one', () => {
  test('a topic that acknowledges before it writes is refused, unless it is accepted', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('cached', { partitions: 1 })
    const kafka = withWriteCaching(brokers)
    const refusing = redpandaBroker({ kafka })
    const refused = { code: 'BROKER_UNSAFE', details: { topics: [topic] } }
    await expect(refusing.producer({ topic }).send([{ value: 'v' }])).rejects.toMatchObject(refused)
    const { leases } = refusing.consumer({ topic, group: 'g' })
    await expect(leases.getReader().read()).rejects.toMatchObject(refused)
    await refusing.close()

    const warned: string[] = []
    const logger = { debug() {}, info() {}, warn: (message: string) => void warned.push(message), error() {} }
    const accepting = redpandaBroker({ kafka, writeCaching: 'warn', logger })
    await accepting.producer({ topic }).send([{ value: 'v' }])
    expect(warned).toContain('Redpanda acknowledges records of these topics before they are written')
    await accepting.close()
  })

  test('another version of kafkajs is refused, and says which one it takes', async () => {
    const kafka = new Kafka({ brokers: ['127.0.0.1:1'], logLevel: logLevel.NOTHING })
    kafka.consumer = () => ({}) as never
    const broker = kafkaBroker({ kafka, patience: 0 })
    await expect(broker.producer({ topic: 't' }).send([{ value: 'v' }])).rejects.toMatchObject({
      code: 'BROKER_UNSUPPORTED',
      message: expect.stringContaining('kafkajs 2.2.4'),
    })
    await broker.close()
  })
})
