import type { Buffer } from 'node:buffer'
import { XMachinesError } from '../../actors/errors.ts'
import type { KafkaLike } from './options.ts'
import { typeOf } from './problems.ts'

/** A partition of a topic. */
export interface Place {
  readonly topic: string
  readonly partition: number
}

/** A request of Kafka's protocol that kafkajs does not encode as this needs it. */
export interface WireRequest<Query, Answer> {
  readonly apiKey: number
  readonly apiName: string
  readonly versions: readonly number[]
  /** How long an answer may take, ms. */
  timeout(query: Query): number
  encode(query: Query, version: number): Buffer
  decode(bytes: Buffer, version: number): Answer
}

interface TopicOffsets {
  readonly topic: string
  readonly partitions: readonly {
    readonly partition: number
    readonly offset: string
    readonly metadata?: string | null
    readonly errorCode?: number
  }[]
}

/** A node, as kafkajs 2.2.4 has it: the part of its `Broker` that is used here. */
export interface Node {
  readonly nodeId: number
  disconnect(): Promise<void>
  joinGroup(request: object): Promise<{
    readonly generationId: number
    readonly leaderId: string
    readonly memberId: string
    readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
  }>
  syncGroup(request: object): Promise<{ readonly memberAssignment: Buffer }>
  heartbeat(request: object): Promise<unknown>
  findGroupCoordinator(request: object): Promise<unknown>
  describeGroups(request: object): Promise<{ readonly groups: readonly { readonly protocol: string }[] }>
  leaveGroup(request: object): Promise<unknown>
  offsetCommit(request: object): Promise<unknown>
  offsetFetch(request: object): Promise<{ readonly responses: readonly TopicOffsets[] }>
  listOffsets(request: object): Promise<{ readonly responses: readonly TopicOffsets[] }>
  initProducerId(request: object): Promise<{ readonly producerId: string | number; readonly producerEpoch: number }>
  describeConfigs(request: object): Promise<{
    readonly resources: readonly {
      readonly resourceName: string
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string }[]
    }[]
  }>
  metadata(topics: readonly string[]): Promise<{ readonly clusterId?: string | null }>
  lookupRequest(apiKey: number, definition: object): () => object
  readonly connectionPool: {
    send(request: object): Promise<unknown>
    readonly pool: readonly Connection[]
  }
}

/** One way to a node. */
export interface Connection {
  readonly requestQueue: {
    readonly instrumentationEmitter?: object | null
    /** What was sent, and was not answered yet. */
    readonly inflight?: ReadonlyMap<number, { readonly sentAt: number }>
  }
  socket?: { readonly destroyed: boolean; destroy(error?: Error): void; once(event: 'close', heard: () => void): void }
  isConnected(): boolean
  /** Until the next answer is whole. */
  readonly bytesNeeded: number
  /** While it says who it is. */
  readonly authHandlers?: { onError(): void } | null
  /** Takes what the socket has read. */
  processData(bytes: Uint8Array): void
  rejectRequests(error: Error): void
  send(request: object): Promise<unknown>
  connect(): Promise<unknown>
  disconnect(): Promise<unknown>
}

/** Connections to the nodes of a cluster, as kafkajs 2.2.4 hands them to a partition assigner. */
export interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  getNodeIds(): readonly (number | string)[]
  findBroker(node: { readonly nodeId: number | string }): Promise<Node>
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number; readonly leader: number }[]
  findGroupCoordinator(group: { readonly groupId: string }): Promise<Node>
  /** What {@link refreshMetadata} asks for. */
  readonly targetTopics: Set<string>
  readonly connectionPoolBuilder?: {
    build(address: { readonly host: string; readonly port: number }): Promise<Node['connectionPool']>
  }
}

const used = [
  'connect',
  'disconnect',
  'refreshMetadata',
  'refreshMetadataIfNecessary',
  'addMultipleTargetTopics',
  'getNodeIds',
  'findBroker',
  'findTopicPartitionMetadata',
  'findGroupCoordinator',
] as const satisfies readonly (keyof Cluster)[]

/**
 * Connections of their own: what kafkajs gives to a consumer's partition assigner, and so the one way to them that is
 * part of its interface. The consumer itself is never run.
 *
 * @throws XMachinesError `BROKER_UNSUPPORTED` when kafkajs is another version, and has not what is used here
 */
export function openCluster(kafka: KafkaLike, metadataMaxAge: number): Cluster {
  let cluster: unknown
  kafka.consumer({
    groupId: 'xmachines',
    allowAutoTopicCreation: false,
    metadataMaxAge,
    partitionAssigners: [
      (given: { readonly cluster: object }) => {
        cluster = given.cluster
        return {
          name: 'xmachines',
          version: 1,
          assign: async () => [],
          protocol: () => ({ name: 'xmachines', metadata: null as never }),
        }
      },
    ],
  })
  const missing = used.filter(name => typeof (cluster as Record<string, unknown> | undefined)?.[name] !== 'function')
  if (missing.length === 0) return cluster as Cluster
  throw unsupported(`its cluster has no ${missing.join(', ')}`)
}

/** Asks a node. */
export async function ask<Query, Answer>(
  node: Node,
  { apiKey, apiName, versions, timeout, encode, decode }: WireRequest<Query, Answer>,
  query: Query,
): Promise<Answer> {
  if (typeof node.lookupRequest !== 'function' || typeof node.connectionPool?.send !== 'function')
    throw unsupported('its nodes have no lookupRequest or connectionPool')
  const protocol =
    ({ version }: { readonly version: number }) =>
    () => ({
      request: {
        apiKey,
        apiName,
        apiVersion: version,
        encode: async () => {
          const buffer = encode(query, version)
          return { buf: buffer, buffer }
        },
      },
      response: {
        decode: async (bytes: Buffer) => ({ answer: decode(bytes, version) }),
        parse: async (read: object) => read,
      },
      requestTimeout: timeout(query),
    })
  try {
    const request = node.lookupRequest(apiKey, { versions, protocol })()
    return ((await node.connectionPool.send(request)) as { readonly answer: Answer }).answer
  } catch (error) {
    if ((error as Error).name === 'KafkaJSConnectionClosedError') await node.disconnect()
    throw error
  }
}

/** Asks any node that can be reached. Rejects with what the last one met, or with what one has answered. */
export async function askAny<Answer>(cluster: Cluster, question: (node: Node) => Promise<Answer>): Promise<Answer> {
  let met: unknown = new Error('The cluster names no node.')
  for (const nodeId of cluster.getNodeIds()) {
    try {
      return await question(await cluster.findBroker({ nodeId }))
    } catch (error) {
      if (typeOf(error) !== undefined) throw error
      met = error
    }
  }
  throw met
}

/** Learns who leads `topics` by now, and all others that are in use. Answers with those of all that the cluster does not have. */
export async function refresh(cluster: Cluster, topics: readonly string[]): Promise<readonly string[]> {
  try {
    await cluster.addMultipleTargetTopics(topics)
    await cluster.refreshMetadata()
    return []
  } catch (error) {
    if (!isTopicUnknown(error)) throw error
    return await forgetGone(cluster, topics)
  }
}

/**
 * Asks no more for the topics that the cluster does not have: all are asked for together, and one that was deleted would be the
 * answer for all of them. Answers with their names.
 */
export async function forgetGone(cluster: Cluster, topics: readonly string[]): Promise<readonly string[]> {
  const there: string[] = []
  const gone: string[] = []
  for (const topic of new Set([...cluster.targetTopics, ...topics])) {
    try {
      await askAny(cluster, node => node.metadata([topic]))
      there.push(topic)
    } catch (error) {
      if (!isTopicUnknown(error)) throw error
      gone.push(topic)
    }
  }
  for (const topic of gone) cluster.targetTopics.delete(topic)
  await cluster.addMultipleTargetTopics(there)
  await cluster.refreshMetadata()
  return gone
}

export function isTopicUnknown(error: unknown): boolean {
  return typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION'
}

/** The node that coordinates a group. */
export async function coordinatorOf(cluster: Cluster, groupId: string): Promise<Node> {
  try {
    return await cluster.findGroupCoordinator({ groupId })
  } catch (error) {
    // kafkajs says that no node knows, whatever they have answered: that a user may not ask, above all.
    if ((error as Error).name === 'KafkaJSGroupCoordinatorNotFound')
      await askAny(cluster, node => node.findGroupCoordinator({ groupId, coordinatorType: 0 }))
    throw error
  }
}

function unsupported(why: string): XMachinesError {
  return new XMachinesError(
    'BROKER_UNSUPPORTED',
    `This kafkajs is not the version that is supported: ${why}. Install kafkajs 2.2.4, or hand in an instance of it.`,
    { details: { package: 'kafkajs', version: '2.2.4' } },
  )
}
