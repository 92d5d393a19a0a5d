import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Kafka, logLevel } from 'kafkajs'
import { expect, onTestFinished, test, vi } from 'vitest'
import { supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { setup } from 'xstate'
import { randomOf } from '../../src/testing/simulation/random.ts'
import { apiKeys, watchedSocket } from './network/watched-socket.ts'
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

  test('a node that kafkajs forgets while it is asked for records keeps nothing open, and no timer', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('forgotten', { partitions: 1 })
    const sockets: Socket[] = []
    let fetching!: () => void
    const fetches = new Promise<void>(resolve => (fetching = resolve))
    const kafka = new Kafka({
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      socketFactory(to) {
        const socket = watchedSocket(to, apiKey => {
          if (apiKey === apiKeys.fetch) fetching()
        })
        sockets.push(socket)
        return socket
      },
    })
    const forget = forgetting(kafka)
    const timers = runningIntervals()
    // So long that the fetch is still under way at the end.
    const broker = kafkaBroker({ kafka, heartbeatInterval: 20, maxWait: 60_000 })
    const consumer = broker.consumer({ topic, group: unique('g') })
    const supervisor = supervise({ machine: heard, store: memoryStore(), consumer })
    await fetches
    forget()
    await supervisor.close()
    await broker.close()
    await Promise.all(sockets.map(socket => (socket.closed ? undefined : once(socket, 'close'))))
    expect(sockets.length).toBeGreaterThan(1)
    await expect.poll(() => timers.size, { timeout: 5_000 }).toBe(0)
  }, 60_000)
})

/** Has all clusters of a client forget their nodes, as where the metadata of a moment does not name one. */
function forgetting(kafka: Kafka): () => void {
  const clusters: { brokerPool: { brokers: object; seedBroker: unknown } }[] = []
  const { consumer } = kafka
  kafka.consumer = options => {
    const [assigner] = options!.partitionAssigners!
    const seen: typeof assigner = given => {
      clusters.push((given as unknown as { cluster: (typeof clusters)[number] }).cluster)
      return assigner!(given)
    }
    return consumer.call(kafka, { ...options!, partitionAssigners: [seen] })
  }
  return () => {
    for (const { brokerPool } of clusters) Object.assign(brokerPool, { brokers: {}, seedBroker: undefined })
  }
}

/** What `setInterval` was called for from here on and is not over. */
function runningIntervals(): ReadonlySet<unknown> {
  const running = new Set<unknown>()
  const { setInterval, clearInterval } = globalThis
  vi.stubGlobal('setInterval', (...args: Parameters<typeof setInterval>) => {
    const timer = setInterval(...args)
    running.add(timer)
    return timer
  })
  vi.stubGlobal('clearInterval', (timer: Parameters<typeof clearInterval>[0]) => {
    running.delete(timer)
    clearInterval(timer)
  })
  onTestFinished(() => void vi.unstubAllGlobals())
  return running
}
