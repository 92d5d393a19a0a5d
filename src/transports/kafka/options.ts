import type { ConnectionOptions } from 'node:tls'
import type { KafkaLogger } from './log.ts'

/** Who this is, as kafkajs takes it: by name and password, or by a token that is asked for whenever one is needed. */
export type KafkaSasl =
  | { readonly mechanism: 'plain'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'scram-sha-256'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'scram-sha-512'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'oauthbearer'; oauthBearerProvider(): Promise<{ readonly value: string }> }
  | {
      readonly mechanism: 'aws'
      readonly authorizationIdentity: string
      readonly accessKeyId: string
      readonly secretAccessKey: string
      readonly sessionToken?: string
    }

/** An instance of kafkajs' `Kafka`, as much of it as is used. */
export interface KafkaLike {
  consumer(options: object): unknown
}

/** What every Kafka broker takes, whoever made the connection. */
export interface KafkaTuning {
  /**
   * Hears what happens between this process and the cluster, kafkajs' own lines included.
   * @default nobody
   */
  readonly logger?: KafkaLogger | undefined
  /** How often a member says that it is alive, ms: also how fast it notices that others come or go. @default 500 */
  readonly heartbeatInterval?: number | undefined
  /** How long a consumer tries to join for the first time, ms, before `leases` errors with `BROKER_UNAVAILABLE`. @default 60_000 */
  readonly patience?: number | undefined
  /** How long a node may wait for new records before it answers a fetch with none, ms. @default 500 */
  readonly maxWait?: number | undefined
  /** Most bytes of one answer, and what the leases of a consumer read ahead together, if that is 64 KiB for each. @default 10 MiB */
  readonly maxBytes?: number | undefined
  /**
   * Most bytes that a lease reads ahead of its reader; less where many share `maxBytes`. A larger record passes alone. Compressed
   * batches count as what they are in memory, of which a fetch may bring eight times as much.
   * @default 1 MiB
   */
  readonly maxBytesPerPartition?: number | undefined
  /** Most bytes of one batch of records that are sent; below the topic's `max.message.bytes`. @default 512 KiB */
  readonly maxBatchBytes?: number | undefined
  /**
   * How long a send is tried, ms, before it rejects with `BROKER_UNAVAILABLE`. One that finds no node at all to begin with rejects
   * after a few tries.
   * @default 60_000
   */
  readonly deliveryTimeout?: number | undefined
}

/** A connection of the broker's own. */
export interface KafkaConnection extends KafkaTuning {
  /** Where the cluster is first asked: `host:port`. */
  readonly brokers: readonly string[]
  /** Shown in the cluster's logs and quotas. @default 'xmachines' */
  readonly clientId?: string | undefined
  /** TLS, as Node takes it. @default plain text */
  readonly ssl?: boolean | ConnectionOptions | undefined
  /** Who this is. Never shown in errors, logs or the status. @default nobody */
  readonly sasl?: KafkaSasl | undefined
  readonly kafka?: undefined
}

/** An own instance of kafkajs 2.2.4: its brokers, credentials, logger and retries are used. */
export interface KafkaInstance extends KafkaTuning {
  readonly kafka: KafkaLike
  readonly brokers?: undefined
}

/** What `kafkaBroker` takes: where the cluster is, or an instance of kafkajs. */
export type KafkaBrokerOptions = KafkaConnection | KafkaInstance
