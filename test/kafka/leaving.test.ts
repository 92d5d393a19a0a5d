import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { apiKeys, watchedSocket } from './network/watched-socket.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const quiet = { logLevel: logLevel.NOTHING }

describeOnKafka('a consumer that is closed before it has got a lease', () => {
  test('leaves no member behind, whichever request is under way', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('leaving', { partitions: 1 })
    const admin = new Kafka({ ...quiet, brokers: [...brokers] }).admin()
    await admin.connect()
    let joins = 0
    let isOver = false
    for (let cut = 1; !isOver; cut++) {
      const group = unique('leaving')
      let requests = 0
      let close = (): void => {}
      const broker = kafkaBroker({
        kafka: new Kafka({
          ...quiet,
          brokers: [...brokers],
          socketFactory: to =>
            watchedSocket(to, apiKey => {
              if (apiKey === apiKeys.joinGroup) joins++
              if (++requests === cut) close()
            }),
        }),
      })
      const consumer = broker.consumer({ topic, group })
      const closed = new Promise<void>(resolve => {
        close = () => resolve(consumer.close())
      })
      const { value: lease } = await consumer.leases.getReader().read()
      isOver = lease !== undefined
      await lease?.release()
      if (isOver) await consumer.close()
      else await closed
      const [described] = (await admin.describeGroups([group])).groups
      expect(described!.members, `closed at request ${cut}`).toEqual([])
      await broker.close()
    }
    expect(joins, 'it was closed during its join').toBeGreaterThan(1)
    await admin.disconnect()
  })
})
