import type { ConsumerOptions } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { givenOptions } from '../../actors/given.ts'
import { brokerOn, type KafkaBroker } from './broker.ts'
import type { Cluster } from './cluster.ts'
import type { KafkaBrokerOptions } from './options.ts'
import { configOf } from './topic-config.ts'

export type { KafkaBroker } from './broker.ts'
export type { KafkaLogger } from './log.ts'
export type {
  KafkaBrokerOptions,
  KafkaConnection,
  KafkaInstance,
  KafkaLike,
  KafkaSasl,
  KafkaTuning,
} from './options.ts'

/** What `redpandaBroker` takes beside what {@link KafkaBrokerOptions} says. */
export interface RedpandaDurability {
  /**
   * What to do about a topic with `write.caching`: Redpanda then acknowledges records that are in memory only, and may
   * lose them with a majority of its nodes. It is on by default in Redpanda's development mode.
   * @default 'refuse'
   */
  readonly writeCaching?: 'refuse' | 'warn'
}

/** What `redpandaBroker` takes. */
export type RedpandaBrokerOptions = KafkaBrokerOptions & RedpandaDurability

/** Redpanda's own limit of a session, ms (`group_max_session_timeout_ms`). */
const longestSession = 300_000

/**
 * A Redpanda cluster: as `kafkaBroker`, with what differs looked after. Sessions are kept under Redpanda's limit, and topics
 * that acknowledge before they have written are refused.
 *
 * @example
 * const broker = redpandaBroker({ brokers: ['localhost:9092'] })
 *
 * @throws as `kafkaBroker`, and `BROKER_UNSAFE` for a topic with `write.caching`
 */
export function redpandaBroker(options: RedpandaBrokerOptions): KafkaBroker {
  const { writeCaching = 'refuse' } = givenOptions("redpandaBroker({ brokers: ['localhost:9092'] })", options)
  const broker = brokerOn(options, async ({ cluster, topics, logger }) => {
    const cached = await cachedOf(cluster, topics)
    if (cached.length === 0) return
    if (writeCaching === 'refuse') throw unsafe(cached)
    logger.warn('Redpanda acknowledges records of these topics before they are written', { topics: cached })
  })
  return {
    ...broker,
    consumer: (consumerOptions: ConsumerOptions) =>
      broker.consumer({
        ...consumerOptions,
        sessionTimeout: Math.min(consumerOptions.sessionTimeout ?? 30_000, longestSession),
      }),
  }
}

/** The topics that acknowledge what is in memory only. */
async function cachedOf(cluster: Cluster, topics: readonly string[]): Promise<readonly string[]> {
  const configs = await configOf(cluster, topics, ['write.caching'])
  return topics.filter(topic => configs.get(topic)?.get('write.caching') === 'true')
}

function unsafe(topics: readonly string[]): XMachinesError {
  return new XMachinesError(
    'BROKER_UNSAFE',
    `Redpanda acknowledges records of ${topics.join(', ')} before they are written (write.caching), so what was sent may be ` +
      "lost. Switch it off: rpk topic alter-config TOPIC --set write.caching=false. Or pass writeCaching: 'warn'.",
    { details: { topics: [...topics] } },
  )
}
