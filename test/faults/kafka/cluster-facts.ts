import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { openCluster } from '../../../src/transports/kafka/cluster.ts'

function kafkaOf(brokers: readonly string[]): Kafka {
  return new Kafka({
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2_000,
    retry: { retries: 10 },
  })
}

async function asked<T>(brokers: readonly string[], question: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaOf(brokers).admin()
  await admin.connect()
  try {
    return await question(admin)
  } finally {
    await admin.disconnect()
  }
}

async function leaders(admin: Admin, topic: string): Promise<ReadonlyMap<number, number>> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return new Map(topics[0]!.partitions.map(({ partitionId, leader }) => [partitionId, leader]))
}

/** The node that leads a partition. */
export async function leaderOf(brokers: readonly string[], topic: string, partition: number): Promise<number> {
  return (await asked(brokers, admin => leaders(admin, topic))).get(partition)!
}

/** The node that coordinates a group. */
export async function coordinatorOf(brokers: readonly string[], groupId: string): Promise<number> {
  const cluster = openCluster(kafkaOf(brokers), 60_000)
  await cluster.connect()
  try {
    return (await cluster.findGroupCoordinator({ groupId })).nodeId
  } finally {
    await cluster.disconnect()
  }
}

/** Resolves when the brokers know other leaders of all that a node led. */
export async function whenLedElsewhere(brokers: readonly string[], topic: string, node: number): Promise<void> {
  const until = performance.now() + 60_000
  for (;;) {
    const known = await asked(brokers, admin => leaders(admin, topic)).catch(() => new Map<number, number>())
    if (known.size > 0 && [...known.values()].every(leader => leader !== node && leader >= 0)) return
    if (performance.now() > until) throw new Error(`Node ${node} still leads partitions of ${topic}.`)
    await sleep(100)
  }
}

/** What the group has committed, by partition. */
export async function committedBy(
  brokers: readonly string[],
  groupId: string,
  topic: string,
): Promise<ReadonlyMap<number, number>> {
  const [found] = await asked(brokers, admin => admin.fetchOffsets({ groupId, topics: [topic] }))
  return new Map(found!.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
}
