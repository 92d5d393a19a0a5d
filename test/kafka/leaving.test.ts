import { connect, type Socket } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const quiet = { logLevel: logLevel.NOTHING }

/** Kafka's number of the request that joins a group. */
const joinGroup = 11

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
          socketFactory: ({ host, port, onConnect }) =>
            watched(connect({ host, port }, onConnect), apiKey => {
              if (apiKey === joinGroup) joins++
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

/** Calls `sent` with the number of each request, once it is on its way. */
function watched(socket: Socket, sent: (apiKey: number) => void): Socket {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]) => {
    const isFull = write(...args)
    sent((args[0] as Buffer).readInt16BE(4))
    return isFull
  }
  return socket
}
