import type { PartitionOffsets, StartFrom } from '../../actors/contracts/broker.ts'
import { type Cluster, coordinatorOf, forgetGone, isTopicUnknown, type Node, type Place } from './cluster.ts'
import { byTopic } from './group/subscription.ts'
import { refusal, typeOf, typeOfCode } from './problems.ts'

/** What the group has committed for a partition. */
export interface CommittedOffset {
  readonly offset: number
  /** What its committer wrote beside it. */
  readonly metadata: string
}

/** Kafka's own marks in place of a time. */
const latest = -1
const earliest = -2
/** Up to the first transaction that is open, or not. */
const committedOnly = 1
const everything = 0

/** Asks a cluster where things are. */
export class Offsets {
  readonly #cluster: Cluster
  readonly group: string

  constructor(cluster: Cluster, group: string) {
    this.#cluster = cluster
    this.group = group
  }

  /** The partitions of `topic`, in order. Rejects as the cluster does for a topic that is not there. */
  async partitionsOf(topic: string): Promise<readonly number[]> {
    await this.#cluster.connect()
    try {
      await this.#cluster.addMultipleTargetTopics([topic])
      await this.#cluster.refreshMetadataIfNecessary()
    } catch (error) {
      if (!isTopicUnknown(error) || (await forgetGone(this.#cluster, [topic])).includes(topic)) throw error
    }
    const partitions = this.#cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
    if (partitions.length === 0) throw refusal('UNKNOWN_TOPIC_OR_PARTITION', { topic, partition: 0 })
    return partitions.sort((a, b) => a - b)
  }

  /** Where each of `places` ends, for readers of what is committed. */
  ends(topic: string, partitions: readonly number[]): Promise<Map<number, number>> {
    return this.#list(topic, partitions, latest)
  }

  /** Where each ends for those who write: beyond transactions that are open. */
  logEnds(topic: string, partitions: readonly number[]): Promise<Map<number, number>> {
    return this.#list(topic, partitions, latest, everything)
  }

  /** The first offset that is kept. */
  starts(topic: string, partitions: readonly number[]): Promise<Map<number, number>> {
    return this.#list(topic, partitions, earliest)
  }

  /** What the group has committed; nothing for a partition without a commit. */
  async committed(topic: string, partitions: readonly number[]): Promise<Map<number, CommittedOffset>> {
    const coordinator = await coordinatorOf(this.#cluster, this.group)
    const asked = {
      groupId: this.group,
      topics: [{ topic, partitions: partitions.map(partition => ({ partition })) }],
    }
    const { responses } = await coordinator.offsetFetch(asked).catch(error => {
      // Some brokers say so of a group that nobody has joined yet.
      if (typeOf(error) === 'GROUP_ID_NOT_FOUND') return { responses: [] }
      throw error
    })
    const found = new Map<number, CommittedOffset>()
    for (const { partitions: answers } of responses) {
      for (const { partition, offset, metadata } of answers) {
        if (Number(offset) >= 0) found.set(partition, { offset: Number(offset), metadata: metadata ?? '' })
      }
    }
    return found
  }

  /** Where a group starts that has committed nothing. */
  async startOf(topic: string, partitions: readonly number[], from: StartFrom): Promise<PartitionOffsets> {
    if (from === 'earliest') return this.starts(topic, partitions)
    if (from === 'latest') return this.ends(topic, partitions)
    if ('offset' in from) return new Map(partitions.map(partition => [partition, from.offset]))
    const found = await this.#list(topic, partitions, from.timestamp)
    const ends = await this.ends(topic, partitions)
    return new Map(
      partitions.map(partition => [partition, at(found, partition) < 0 ? at(ends, partition) : at(found, partition)]),
    )
  }

  async #list(
    topic: string,
    partitions: readonly number[],
    timestamp: number,
    isolation = committedOnly,
  ): Promise<Map<number, number>> {
    const places = partitions.map(partition => ({ topic, partition }))
    const found = new Map(partitions.map(partition => [partition, -1]))
    const leaders = leadersOf(this.#cluster, places)
    const led = [...leaders.values()].reduce((sum, own) => sum + own.length, 0)
    if (led < places.length) {
      await this.#cluster.refreshMetadata()
      throw refusal('LEADER_NOT_AVAILABLE', places[0]!)
    }
    await Promise.all(
      [...leaders].map(async ([nodeId, led]) => {
        const node = await this.#cluster.findBroker({ nodeId })
        for (const [partition, offset] of await listOn(node, led, timestamp, isolation)) found.set(partition, offset)
      }),
    )
    return found
  }
}

/** Which node leads which of `places`, as far as is known. */
export function leadersOf(cluster: Cluster, places: readonly Place[]): Map<number, Place[]> {
  const leaders = new Map<number, Place[]>()
  const nodes = cluster.getNodeIds().map(Number)
  for (const [topic, partitions] of Object.entries(byTopic(places))) {
    const known = new Map(
      cluster.findTopicPartitionMetadata(topic).map(({ partitionId, leader }) => [partitionId, leader]),
    )
    for (const partition of partitions) {
      const leader = known.get(partition)
      if (leader === undefined || !nodes.includes(leader)) continue
      const led = leaders.get(leader)
      if (led) led.push({ topic, partition })
      else leaders.set(leader, [{ topic, partition }])
    }
  }
  return leaders
}

/** Why a place has no leader: its topic may be gone. */
export function unledRefusal(cluster: Cluster, place: Place): Error {
  const isGone = cluster.findTopicPartitionMetadata(place.topic).length === 0
  return refusal(isGone ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'LEADER_NOT_AVAILABLE', place)
}

async function listOn(
  node: Node,
  places: readonly Place[],
  timestamp: number,
  isolationLevel: number,
): Promise<[number, number][]> {
  const { responses } = await node.listOffsets({
    replicaId: -1,
    isolationLevel,
    topics: Object.entries(byTopic(places)).map(([topic, partitions]) => ({
      topic,
      partitions: partitions.map(partition => ({ partition, timestamp })),
    })),
  })
  return responses.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, offset, errorCode = 0 }): [number, number] => {
      if (errorCode !== 0) throw refusal(typeOfCode(errorCode), { topic, partition })
      return [partition, Number(offset)]
    }),
  )
}

function at(offsets: PartitionOffsets, partition: number): number {
  return offsets.get(partition) ?? -1
}
