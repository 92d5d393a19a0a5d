import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type ISocketFactory, Kafka, logLevel } from 'kafkajs'
import { expect, onTestFinished, test, vi } from 'vitest'
import { supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { setup } from 'xstate'
import { randomOf } from '../../src/testing/simulation/random.ts'
import { Valve } from './network/valve.ts'
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

  // What a router does that has forgotten them: the system takes a quarter of an hour to give them up.
  test('those that have fallen silent are given up, and others are opened', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('silent', { partitions: 1 })
    const sockets: Socket[] = []
    const kafka = new Kafka({
      brokers: [...brokers],
      logLevel: logLevel.NOTHING,
      requestTimeout: 300,
      socketFactory({ host, port, onConnect }) {
        const socket = connect({ host, port }, onConnect)
        sockets.push(socket)
        return socket
      },
    })
    const broker = kafkaBroker({ kafka })
    const consumer = broker.consumer({ topic, group: unique('g') })
    await consumer.endOffsets(topic)
    for (const socket of sockets) {
      socket.pause()
      socket.write = () => true
    }
    const asked = () => consumer.endOffsets(topic).catch(error => error.code)
    expect(await asked()).toBe('BROKER_UNAVAILABLE')
    await expect.poll(asked, { timeout: 20_000 }).toEqual(new Map([[0, 0]]))
    await broker.close()
    await Promise.all(sockets.map(socket => (socket.closed ? undefined : once(socket, 'close'))))
  }, 60_000)

  test('those that wait for the group to let a member in are kept, whatever waits behind that', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('admitted', { partitions: 2 })
    const group = unique('g')
    const quiet = { brokers: [...brokers], logLevel: logLevel.NOTHING }
    const valve = new Valve()
    const first = kafkaBroker({ kafka: new Kafka({ ...quiet, socketFactory: valve.socketFactory }) })
    const member = first.consumer({ topic, group, sessionTimeout: 3_000 })
    const lease = (await member.leases.getReader().read()).value!
    // The group waits for it until its session is over.
    valve.shut()
    let joins = 0
    const socketFactory: ISocketFactory = to =>
      watchedSocket(to, apiKey => {
        if (apiKey === apiKeys.joinGroup) joins++
      })
    const second = kafkaBroker({ kafka: new Kafka({ ...quiet, requestTimeout: 300, socketFactory }) })
    const joining = second.consumer({ topic, group, sessionTimeout: 3_000 })
    const leases = joining.leases.getReader()
    const admitted = leases.read()
    await expect.poll(() => joins, { timeout: 10_000 }).toBe(2)
    await expect(joining.endOffsets(topic)).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' })
    const { value: other } = await admitted
    // Kafka asks who comes without an id to come again with the one that it gives.
    expect(joins).toBe(2)
    valve.open()
    const closed = Promise.all([first.close(), second.close()])
    await Promise.all([lease.release(), other!.release(), leases.cancel()])
    await closed
  }, 60_000)

  test('a broker closes at once, whatever its producers wait for', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const [known, unknown] = [
      await createTopic('known', { partitions: 1 }),
      await createTopic('unknown', { partitions: 1 }),
    ]
    const valve = new Valve()
    const broker = kafkaBroker({
      kafka: new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING, socketFactory: valve.socketFactory }),
    })
    await broker.producer({ topic: known }).send([{ value: 'v' }])
    valve.shut()
    // For an acknowledgement, for room, and for the number of partitions.
    const large = broker.producer({ topic: known }).send([{ value: new Uint8Array(33 * 2 ** 20) }])
    const sent = [large, ...[known, unknown].map(topic => broker.producer({ topic }).send([{ value: 'v' }]))]
    const refused = Promise.all(sent.map(each => expect(each).rejects.toMatchObject({ code: 'BROKER_CLOSED' })))
    const began = performance.now()
    await broker.close()
    await refused
    expect(performance.now() - began).toBeLessThan(10_000)
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
