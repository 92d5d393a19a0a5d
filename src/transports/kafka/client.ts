import { missingLibrary } from '../../actors/missing-library.ts'
import { askAny, type Cluster, openCluster } from './cluster.ts'
import { type KafkaLogger, silent } from './log.ts'
import { endConnections, knowConnections } from './open-connections.ts'
import type { KafkaBrokerOptions, KafkaLike, KafkaTuning } from './options.ts'
import { patch, patchConnections } from './patches.ts'
import { unreachable } from './problems.ts'
import { type Codecs, codecsOf } from './wire/compression.ts'

/** How old what is known of the cluster may get, ms. */
const metadataMaxAge = 60_000

/** How a broker behaves, nothing left open. */
export type Tuning = { readonly [Name in keyof KafkaTuning]-?: NonNullable<KafkaTuning[Name]> }

/** A cluster, and who it is. */
export interface Connected {
  readonly cluster: Cluster
  readonly clusterId: string
}

/** What a cluster is looked at for, right after it is connected. Rejects where it must not be used. */
export type ClusterCheck = (found: {
  readonly cluster: Cluster
  readonly topics: readonly string[]
  readonly logger: KafkaLogger
}) => Promise<void>

/** What consumers and producers of a broker share: kafkajs, loaded and configured. */
export class Client {
  readonly tuning: Tuning
  readonly codecs: Codecs
  readonly #kafka: KafkaLike
  /** As far as they are known. */
  readonly #addresses: readonly string[]
  readonly #check: ClusterCheck | undefined

  private constructor(
    kafka: KafkaLike,
    addresses: readonly string[],
    tuning: Tuning,
    codecs: Codecs,
    check: ClusterCheck | undefined,
  ) {
    this.#kafka = kafka
    this.#addresses = addresses
    this.#check = check
    this.tuning = tuning
    this.codecs = codecs
  }

  /** @throws rejects with `LIBRARY_MISSING` when kafkajs is not installed */
  static async load(options: KafkaBrokerOptions, check?: ClusterCheck): Promise<Client> {
    const tuning = tuningOf(options)
    const kafkajs = await loadKafkajs()
    const codecs = codecsOf(kafkajs)
    if (options.kafka) return new Client(options.kafka, [], tuning, codecs, check)
    const { brokers, clientId = 'xmachines', ssl, sasl } = options
    const kafka = new kafkajs.Kafka({
      brokers: [...brokers],
      clientId,
      ...(ssl === undefined ? {} : { ssl }),
      ...(sasl === undefined ? {} : { sasl }),
      connectionTimeout: 5_000,
      retry: { initialRetryTime: 100, maxRetryTime: 1_000, retries: 4 },
      logLevel: kafkajs.logLevel.INFO,
      logCreator: () => entry => hear(tuning.logger, entry),
    })
    return new Client(kafka, brokers, tuning, codecs, check)
  }

  /** Connections of their own, which know where `topics` are. Rejects as the cluster does for a topic that is not there. */
  async connect(topics: readonly string[]): Promise<Connected> {
    const cluster = openCluster(this.#kafka, metadataMaxAge)
    try {
      return await this.#meet(cluster, topics)
    } catch (error) {
      await endConnections(cluster)
      throw error
    }
  }

  /** Rejects where topics must not be used. */
  async check(cluster: Cluster, topics: readonly string[]): Promise<void> {
    await this.#check?.({ cluster, topics, logger: this.tuning.logger })
  }

  async #meet(cluster: Cluster, topics: readonly string[]): Promise<Connected> {
    await patchConnections(cluster)
    await cluster.connect().catch((error: unknown) => {
      throw this.#addresses.length > 0 ? unreachable(this.#addresses, error) : error
    })
    await cluster.addMultipleTargetTopics(topics)
    const { clusterId } = await askAny(cluster, node => {
      patch(node)
      knowConnections(cluster, node)
      return node.metadata(topics)
    })
    await this.check(cluster, topics)
    return { cluster, clusterId: clusterId ?? 'unnamed' }
  }
}

/** How long a topic may be unknown, ms: one that was made a moment ago is not known to every node yet. */
export function topicPatienceOf({ patience }: Tuning): number {
  return Math.min(patience, 5_000)
}

function tuningOf(options: KafkaBrokerOptions): Tuning {
  const {
    logger = silent,
    heartbeatInterval = 500,
    patience = 60_000,
    maxWait = 500,
    maxBytes = 10 * 1024 * 1024,
    maxBytesPerPartition = 1024 * 1024,
    maxBatchBytes = 512 * 1024,
    deliveryTimeout = 60_000,
  } = options
  return {
    logger,
    heartbeatInterval,
    patience,
    maxWait,
    maxBytes,
    maxBytesPerPartition,
    maxBatchBytes,
    deliveryTimeout,
  }
}

async function loadKafkajs() {
  try {
    const loaded = await import('kafkajs')
    return loaded.default ?? loaded
  } catch (cause) {
    throw missingLibrary('`kafkaBroker` needs the package kafkajs', 'kafkajs', 'kafkajs@2.2.4', cause)
  }
}

/** kafkajs' lines. What it calls an error is answered for here, and told as what it means; its own words are for debugging. */
function hear(
  logger: KafkaLogger,
  { namespace, log }: { namespace: string; log: { message: string; [field: string]: unknown } },
): void {
  const { message, timestamp: _, logger: __, ...fields } = log
  logger.debug(`kafkajs ${namespace}: ${message}`, fields)
}
