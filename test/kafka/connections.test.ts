import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import { expect, test } from 'vitest'
import { supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { setup } from 'xstate'
import { randomOf } from '../../src/testing/simulation/random.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const heard = setup({ types: {} as { events: { type: 'TICK' } } }).createMachine({ id: 'heard', on: { TICK: {} } })

describeOnKafka('connections', () => {
  // A socket that nobody knows of any more keeps its process alive until the broker is tired of it: ten minutes.
  test('whatever breaks while they are used, none is left open', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('broken', { partitions: 4 })
    const sockets: Socket[] = []
    const random = randomOf(1, 1)
    let breaks = true
    const kafka = new Kafka({
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      retry: { initialRetryTime: 10, retries: 5 },
      socketFactory({ host, port, onConnect }) {
        const socket = connect({ host, port }, onConnect)
        sockets.push(socket)
        let answers = 4 + random.below(16)
        socket.on('data', () => {
          if (--answers === 0 && breaks) socket.destroy(new Error('read ECONNRESET'))
        })
        return socket
      },
    })
    const broker = kafkaBroker({ kafka, heartbeatInterval: 20, maxWait: 20 })
    const producer = broker.producer({ topic })
    const consumer = broker.consumer({ topic, group: unique('g') })
    const supervisor = supervise({ machine: heard, store: memoryStore(), consumer })
    for (let round = 0; round < 20; round++) {
      const records = Array.from({ length: 40 }, (_, i) => ({ key: `k-${i}`, value: '{"type":"TICK"}' }))
      await Promise.all([producer.send(records), producer.send(records), supervisor.caughtUp()])
    }
    breaks = false
    await supervisor.caughtUp()
    await supervisor.close()
    await broker.close()
    await Promise.all(sockets.map(socket => (socket.closed ? undefined : once(socket, 'close'))))
    expect(sockets.length).toBeGreaterThan(10)
    // To unref a socket that was closed is put off until it connects: a listener for each time.
    expect(Math.max(...sockets.map(socket => socket.listenerCount('connect')))).toBeLessThanOrEqual(1)
  }, 60_000)
})
