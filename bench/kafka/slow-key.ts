import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { type Supervisor, supervise } from 'xmachines'
import { memoryStore } from 'xmachines/persistence/memory'
import { kafkaBroker } from 'xmachines/transports/kafka'
import { assign, fromPromise, setup } from 'xstate'
import type { KafkaCluster } from '../../test/kafka/launcher/index.ts'
import { type Comparison, compare, type Side } from '../compare.ts'
import { fill } from './topic.ts'

const keys = 1000
const count = 100_000
const partitions = 8

/** Works off what it is told, one after the other. An order that is slow takes 50 ms for each. */
const worker = setup({
  types: {} as { context: { waiting: number; done: number }; events: { type: 'WORK'; slow: boolean } },
  actors: { work: fromPromise(() => wait(50)) },
}).createMachine({
  id: 'worker',
  context: { waiting: 0, done: 0 },
  initial: 'free',
  states: {
    free: {
      on: {
        WORK: [
          { guard: ({ event }) => event.slow, target: 'busy' },
          { actions: assign({ done: ({ context }) => context.done + 1 }) },
        ],
      },
    },
    busy: {
      invoke: {
        src: 'work',
        onDone: [
          {
            guard: ({ context }) => context.waiting > 0,
            target: 'busy',
            reenter: true,
            actions: assign({
              waiting: ({ context }) => context.waiting - 1,
              done: ({ context }) => context.done + 1,
            }),
          },
          { target: 'free', actions: assign({ done: ({ context }) => context.done + 1 }) },
        ],
      },
      on: { WORK: { actions: assign({ waiting: ({ context }) => context.waiting + 1 }) } },
    },
  },
})

/** What the other keys lose when one has 50 ms of work with each of its records. */
export async function slowKey(cluster: KafkaCluster): Promise<Comparison[]> {
  for (const slow of [false, true]) {
    const records = Array.from({ length: count }, (_, i) => ({
      key: `w-${i % keys}`,
      value: JSON.stringify({ type: 'WORK', slow: slow && i % keys === 7 }),
    }))
    await fill(cluster, topicOf(slow), partitions, records)
  }
  return [await compare('kafka: one slow key in 1,000', 0.9, side(cluster, false), side(cluster, true), 5)]
}

const topicOf = (slow: boolean): string => (slow ? 'one-slow' : 'none-slow')

function side(cluster: KafkaCluster, slow: boolean): Side {
  const broker = kafkaBroker({ brokers: cluster.brokers })
  let supervisor: Supervisor
  return {
    name: slow ? 'one key takes 50 ms a record' : 'none is slow',
    async run() {
      const consumer = broker.consumer({ topic: topicOf(slow), group: `g-${randomUUID()}` })
      supervisor = supervise({ machine: worker, store: memoryStore(), consumer })
      await supervisor.caughtUp()
      return count
    },
    after: () => supervisor.close(),
  }
}
