import { expect, test } from 'vitest'
import { defineMachine, type SuperviseOptions, type SupervisorEvent, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { faultyStore } from 'xmachines/testing'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { counter } from '../actors/run/machines.ts'
import { describeOnKafka, sharedKafka, unique } from './shared.ts'

const day = 86_400_000
const machine = defineMachine(counter)
const record = { key: 'a', value: JSON.stringify({ type: 'ADD', by: 1 }) }

/** A supervisor of a topic that is new, with what happens to it. */
async function supervised(subject: string, options: Partial<SuperviseOptions>, config: Record<string, string> = {}) {
  const { brokers, createTopic } = await sharedKafka()
  const topic = await createTopic(subject, { partitions: 1, config })
  const broker = kafkaBroker({ brokers, heartbeatInterval: 100, maxWait: 50 })
  const consumer = broker.consumer({ topic, group: unique(subject) })
  const supervisor = supervise({ machine, store: memoryStore(), consumer, ...options } as SuperviseOptions)
  const events = supervisor.events.getReader()
  const next = async <T extends SupervisorEvent['type']>(type: T): Promise<SupervisorEvent & { readonly type: T }> => {
    for (;;) {
      const { done, value } = await events.read()
      if (done) throw new Error(`It ended without ${type}.`)
      if (value.type === type) return value as SupervisorEvent & { readonly type: T }
    }
  }
  const rest = async (): Promise<readonly string[]> => {
    await supervisor.close()
    await broker.close()
    const types: string[] = []
    for (;;) {
      const { done, value } = await events.read()
      if (done) return types
      types.push(value.type)
    }
  }
  return { topic, consumer, producer: broker.producer({ topic }), supervisor, next, rest }
}

describeOnKafka('lag and health', () => {
  test('what waits in the topic and what is in hand are the lag together', async () => {
    const store = faultyStore(memoryStore())
    const { supervisor, producer, rest } = await supervised('lags', { store, window: 3 })
    const held = store.faults.plan('append.late')
    await producer.send(Array.from({ length: 10 }, () => record))
    await held.met
    await expect
      .poll(() => supervisor.status().leases)
      .toMatchObject([{ committed: 0, position: 3, lag: 10, fetchLag: 7, backlog: 3, unsettled: 3 }])
    held.release()
    await supervisor.caughtUp()
    expect(supervisor.status().leases).toMatchObject([{ committed: 10, lag: 0, fetchLag: 0, backlog: 0 }])
    await rest()
    expect(supervisor.status()).toMatchObject({ drains: { count: 1 }, fencedAppends: 0, leasesLost: 0 })
  })

  test('how long a topic keeps records, where it deletes them for their age', async () => {
    const { brokers, createTopic } = await sharedKafka()
    const broker = kafkaBroker({ brokers })
    const kept = async (config: Record<string, string>) => {
      const topic = await createTopic('kept', { partitions: 1, config })
      return broker.consumer({ topic, group: unique('kept') }).retention!(topic)
    }
    expect(await kept({ 'retention.ms': '3600000' })).toBe(3_600_000)
    expect(await kept({ 'retention.ms': '-1' })).toBeUndefined()
    expect(await kept({ 'retention.ms': '3600000', 'cleanup.policy': 'compact' })).toBeUndefined()
    expect(await kept({ 'retention.ms': '3600000', 'cleanup.policy': 'compact,delete' })).toBe(3_600_000)
    await broker.close()
  })

  test('records of a time that is longer ago than the topic keeps records are told', async () => {
    const { topic, supervisor, producer, next, rest } = await supervised('old', {}, { 'retention.ms': `${day}` })
    await next('claimed')
    const timestamp = Date.now() - 2 * day
    // Its lease is there to read them before the topic is looked through.
    await producer.send([{ ...record, timestamp }])
    expect((await next('expiring')).error).toMatchObject({
      code: 'RECORDS_EXPIRING',
      retryable: false,
      details: { topic, partition: 0, offset: 0, timestamp, retention: day },
    })
    await supervisor.caughtUp()
    await rest()
  })

  test('not of a topic that stamps them itself', async () => {
    const config = { 'retention.ms': `${day}`, 'message.timestamp.type': 'LogAppendTime' }
    const { supervisor, producer, rest } = await supervised('stamped', {}, config)
    await producer.send([{ ...record, timestamp: Date.now() - 2 * day }])
    await supervisor.caughtUp()
    expect(await rest()).toEqual(['claimed', 'revoked', 'released'])
  })
})
