import type { BrokerRecord } from '../../actors/contracts/broker.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { Slabs } from '../../transports/broker/slabs.ts'
import { Client } from '../../transports/kafka/client.ts'
import { ask, type Cluster, type Place } from '../../transports/kafka/cluster.ts'
import { leadersOf, Offsets } from '../../transports/kafka/offsets.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'
import { patch } from '../../transports/kafka/patches.ts'
import { isStale, refusal, toldOf, typeOf, typeOfCode } from '../../transports/kafka/problems.ts'
import { wait } from '../../transports/kafka/wait.ts'
import { type FetchedPartition, fetchRequest } from '../../transports/kafka/wire/fetch.ts'
import { decodeRecords } from '../../transports/kafka/wire/record-batch.ts'

/** How often a partition is asked for again whose leader has moved. */
const mostTries = 10

/** Offsets by partition. */
type ByPartition = ReadonlyMap<number, number>

/** Reads a topic without a group: looking leaves nothing behind in the cluster. */
export class TopicReader {
  readonly topic: string
  readonly partitions: readonly number[]
  readonly #client: Client
  readonly #cluster: Cluster

  private constructor(topic: string, partitions: readonly number[], client: Client, cluster: Cluster) {
    this.topic = topic
    this.partitions = partitions
    this.#client = client
    this.#cluster = cluster
  }

  /** @throws rejects as every consumer does */
  static async open(connection: KafkaConnection, topic: string): Promise<TopicReader> {
    try {
      const client = await Client.load(connection)
      const { cluster } = await client.connect([topic])
      return new TopicReader(topic, await new Offsets(cluster, '').partitionsOf(topic), client, cluster)
    } catch (error) {
      throw toldOf(error, `Reading ${topic}`, { topic })
    }
  }

  starts(): Promise<ByPartition> {
    return this.#told(offsets => offsets.starts(this.topic, this.partitions))
  }

  ends(): Promise<ByPartition> {
    return this.#told(offsets => offsets.ends(this.topic, this.partitions))
  }

  /** What a group has committed; nothing for a partition without a commit. */
  committed(group: string): Promise<ByPartition> {
    return this.#told(async offsets => {
      const found = await offsets.committed(this.topic, this.partitions)
      return new Map([...found].map(([partition, { offset }]) => [partition, offset]))
    }, group)
  }

  /** The partitions of another topic. */
  partitionsOf(topic: string): Promise<readonly number[]> {
    return this.#told(offsets => offsets.partitionsOf(topic))
  }

  /** The records of a partition from an offset to another one, which is not among them. */
  async *records(partition: number, from: number, to: number): AsyncGenerator<BrokerRecord, void, void> {
    const { topic } = this
    const slabs = new Slabs()
    const { codecs, tuning } = this.#client
    for (let position = from; position < to; ) {
      const { aborted, records } = await this.#fetch({ topic, partition }, position)
      const source = { topic, partition, from: position, aborted, codecs, slabs, enough: tuning.maxBytes }
      const decoded = await decodeRecords(records, source)
      for (const record of decoded.records) if (record.offset < to) yield record
      position = decoded.next
    }
  }

  async close(): Promise<void> {
    await Promise.race([this.#cluster.disconnect(), wait(2_000)]).catch(() => {})
  }

  async #fetch(place: Place, offset: number): Promise<FetchedPartition> {
    const { topic, partition } = place
    const { maxWait, maxBytes, maxBytesPerPartition } = this.#client.tuning
    for (let tries = 1; ; tries++) {
      try {
        const [nodeId] = leadersOf(this.#cluster, [place]).keys()
        if (nodeId === undefined) throw refusal('LEADER_NOT_AVAILABLE', place)
        const node = await this.#cluster.findBroker({ nodeId })
        patch(node)
        const topics = [{ topic, partitions: [{ partition, offset }] }]
        const [answer] = await ask(node, fetchRequest, { topics, maxWait, maxBytes, maxBytesPerPartition })
        if (answer!.errorCode === 0) return answer!
        throw refusal(typeOfCode(answer!.errorCode), place)
      } catch (error) {
        const told = toldOf(error, `Reading ${topic}/${partition}`, { topic })
        const mayPass = isStale(typeOf(error)) || (told.retryable && typeOf(error) !== 'OFFSET_OUT_OF_RANGE')
        if (!mayPass || tries === mostTries) throw told
        await wait(100 * tries)
        await this.#cluster.refreshMetadata().catch(() => {})
      }
    }
  }

  async #told<Answer>(question: (offsets: Offsets) => Promise<Answer>, group = ''): Promise<Answer> {
    try {
      return await question(new Offsets(this.#cluster, group))
    } catch (error) {
      throw XMachinesError.is(error) ? error : toldOf(error, `Reading ${this.topic}`, { topic: this.topic, group })
    }
  }
}
