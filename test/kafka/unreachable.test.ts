import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { type KafkaTuning, kafkaBroker } from 'xmachines/transports/kafka'
import { askAny, type Cluster, type Node } from '../../src/transports/kafka/cluster.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const quick: KafkaTuning = { heartbeatInterval: 100, maxWait: 50 }

/** An address where nobody listens. */
async function closedPort(): Promise<string> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { readonly port: number }
  await new Promise(resolve => server.close(resolve))
  return `127.0.0.1:${port}`
}

describeOnKafka('addresses where nobody is', () => {
  test('the first one: members, producers and readers of offsets all go on with the second', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const topic = await createTopic('second', { partitions: 1 })
    const broker = kafkaBroker({ brokers: [await closedPort(), ...brokers], ...quick })
    const [place] = await broker.producer({ topic }).send([{ key: 'k', value: 'v' }])
    expect(place).toEqual({ partition: 0, offset: 0 })
    const consumer = broker.consumer({ topic, group: unique('second') })
    expect([...(await consumer.endOffsets(topic))]).toEqual([[0, 1]])
    const { value: lease } = await consumer.leases.getReader().read()
    const { value: record } = await lease!.records.getReader().read()
    expect(new TextDecoder().decode(record!.value!)).toBe('v')
    await lease!.commit(1)
    expect([...(await consumer.committedOffsets(topic))]).toEqual([[0, 1]])
    const closed = broker.close()
    await lease!.release()
    await closed
  })
})

test('all of them: named, and tried again until a signal', async () => {
  const addresses = [await closedPort(), await closedPort()]
  let tries = 0
  const stop = new AbortController()
  const warn = (_: string, { tries: count }: { tries?: number }) => {
    if (count === undefined) return
    tries = count
    if (count === 3) stop.abort()
  }
  const logger = { debug() {}, info() {}, warn: warn as never, error() {} }
  const broker = kafkaBroker({ brokers: addresses, ...quick, logger })
  const consumer = broker.consumer({ topic: 't', group: 'g' })
  const reader = consumer.leases.getReader()
  const joining = reader.read()
  const sending = broker.producer({ topic: 't' }).send([{ value: 'v' }], { signal: stop.signal })
  await expect(sending).rejects.toMatchObject({ code: expect.stringMatching(/ABORTED|BROKER_UNAVAILABLE/) })
  await expect.poll(() => tries, { timeout: 20_000 }).toBeGreaterThanOrEqual(3)
  const asked = await consumer.endOffsets('t').catch(error => error)
  expect(asked).toMatchObject({ code: 'BROKER_UNAVAILABLE', retryable: true })
  for (const address of addresses) expect(asked.message).toContain(address)
  await expect(consumer.endOffsets('t', { signal: stop.signal })).rejects.toMatchObject({ code: 'ABORTED' })
  // Nothing goes on behind a member that has left.
  await reader.cancel()
  expect((await joining).done).toBe(true)
  await broker.close()
})

test('something else listens there: told, and the process goes on', async () => {
  const answers = [[0, 0, 0, 0], [0, 0, 0, 2, 1, 1], [255, 255, 255, 255], [...Buffer.from('HTTP/1.1 400 Bad Request')]]
  await Promise.all(
    answers.map(async answer => {
      const server = createServer(socket => socket.on('data', () => socket.write(Uint8Array.from(answer))))
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as { readonly port: number }
      const broker = kafkaBroker({ brokers: [`127.0.0.1:${port}`], ...quick })
      await expect(broker.producer({ topic: 't' }).send([{ value: 'v' }])).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
        message: expect.stringContaining("does not speak Kafka's protocol"),
      })
      await broker.close()
      server.close()
    }),
  )
})

test('a question for any node goes to each that is known; what one of them answers is the answer', async () => {
  const asked: number[] = []
  const node = (nodeId: number) => ({ nodeId }) as Node
  const cluster = {
    getNodeIds: () => [1, 2, 3],
    async findBroker({ nodeId }: { nodeId: number }) {
      asked.push(nodeId)
      if (nodeId === 1) throw new Error('connect ECONNREFUSED')
      return node(nodeId)
    },
  } as unknown as Cluster
  expect(await askAny(cluster, async ({ nodeId }) => nodeId)).toBe(2)
  const refused = Object.assign(new Error('no'), { type: 'CLUSTER_AUTHORIZATION_FAILED' })
  await expect(askAny(cluster, () => Promise.reject(refused))).rejects.toBe(refused)
  expect(asked).toEqual([1, 2, 1, 2])
  await expect(askAny(cluster, () => Promise.reject(new Error('gone')))).rejects.toThrow('gone')
})
