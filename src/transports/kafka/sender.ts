import { XMachinesError } from '../../actors/errors.ts'
import type { Client } from './client.ts'
import { ask, askAny, type Cluster, type Place, refresh } from './cluster.ts'
import { nameOf } from './group/subscription.ts'
import { leadersOf, Offsets, unledRefusal } from './offsets.ts'
import { endConnections } from './open-connections.ts'
import { type Batch, PartitionQueue, type ProducerIdentity, type QueuedRecord } from './partition-queue.ts'
import { isOfRecord, isStale, refusal, toldOf, typeOf, typeOfCode } from './problems.ts'
import { wait } from './wait.ts'
import { produceRequest } from './wire/produce.ts'

/** Bytes that may wait to be sent, before a send waits for room. */
const mostQueued = 32 * 1024 * 1024
/** Batches of one request: a node drops the connection over 100 MiB (`socket.request.max.bytes`), and clients keep far from it. */
const mostRequested = 8 * 1024 * 1024
/** How long a node may wait for its replicas, ms. */
const replicaTimeout = 10_000

/** What one request sends. */
interface Request {
  readonly topic: string
  readonly batches: Batch[]
}

/** What is to be tried again, and why. */
interface Trouble {
  readonly error: unknown
  readonly places: Place[]
}

export interface PlacedRecord extends QueuedRecord {
  readonly partition: number
}

/**
 * Sends for all producers of a broker, idempotently and acknowledged by all replicas: one request a node at a time, one
 * batch a partition; what comes meanwhile goes into the next. A batch that may have been taken is sent again as it was,
 * so that the broker recognises it. What a partition does not take for now holds up nothing but that partition.
 */
export class Sender {
  readonly #cluster: Cluster
  readonly #client: Client
  readonly #offsets: Offsets
  readonly #queues = new Map<string, PartitionQueue>()
  readonly #busy = new Set<number>()
  readonly #closing = new AbortController()
  readonly #waiting: (() => void)[] = []
  readonly #counts = new Map<string, number>()
  #queued = 0
  #identity: Promise<ProducerIdentity> | undefined
  #isScheduled = false

  constructor(cluster: Cluster, client: Client) {
    this.#cluster = cluster
    this.#client = client
    this.#offsets = new Offsets(cluster, '')
  }

  /** How many partitions a topic has: fixed with the first send, as keys are. */
  async partitionsOf(topic: string): Promise<number> {
    const known = this.#counts.get(topic)
    if (known !== undefined) return known
    const count = await this.#patiently(topic, async () => {
      const partitions = await this.#offsets.partitionsOf(topic)
      await this.#client.check(this.#cluster, [topic])
      return partitions.length
    })
    this.#counts.set(topic, count)
    return count
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    while (this.#queued > mostQueued) await new Promise<void>(resolve => this.#waiting.push(resolve))
  }

  /** Queues all records, in order, in this tick. */
  send(topic: string, records: readonly PlacedRecord[]): Promise<readonly { partition: number; offset: number }[]> {
    if (this.#closing.signal.aborted) return Promise.reject(closed())
    const places = records.map(async record => {
      const { partition } = record
      return {
        partition,
        offset: await this.#queue({ topic, partition }).push(record, Date.now() + this.#client.tuning.deliveryTimeout),
      }
    })
    this.#wake()
    return Promise.all(places)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    for (const queue of this.#queues.values()) queue.rejectAll(closed())
    await endConnections(this.#cluster)
  }

  #queue(place: Place): PartitionQueue {
    const name = nameOf(place)
    let queue = this.#queues.get(name)
    if (!queue) {
      queue = new PartitionQueue(place, this.#client.tuning.maxBatchBytes, bytes => this.#changed(bytes))
      this.#queues.set(name, queue)
    }
    return queue
  }

  #changed(bytes: number): void {
    this.#queued += bytes
    if (this.#queued <= mostQueued) for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #wake(): void {
    if (this.#isScheduled || this.#closing.signal.aborted) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#flush()
    })
  }

  #flush(): void {
    const full = [...this.#queues.values()].filter(queue => queue.hasMore && !queue.isBusy)
    if (full.length === 0) return
    const leaders = leadersOf(this.#cluster, full)
    const led = new Set([...leaders.values()].flat().map(nameOf))
    const unled = full.filter(queue => !led.has(nameOf(queue)))
    for (const [nodeId, places] of leaders) {
      if (!this.#busy.has(nodeId)) void this.#once(nodeId, places)
    }
    if (unled.length > 0) void this.#retry([{ error: unledRefusal(this.#cluster, unled[0]!), places: unled }])
  }

  /** Answers with what is to be tried again. */
  async #produce(nodeId: number, places: Place[]): Promise<readonly Trouble[]> {
    const identity = await this.#identify()
    const node = await this.#cluster.findBroker({ nodeId })
    const troubles = new Map<string, Trouble>()
    for (const { topic, batches } of this.#requests(places, identity)) {
      const answers = await ask(node, produceRequest, {
        topic,
        batches: batches.map(({ partition, bytes }) => ({ partition, bytes })),
        timeout: replicaTimeout,
      })
      for (const { partition, errorCode, baseOffset } of answers) {
        const place = { topic, partition }
        const queue = this.#queue(place)
        const type = errorCode === 0 ? 'NONE' : typeOfCode(errorCode)
        if (type === 'NONE' || type === 'DUPLICATE_SEQUENCE_NUMBER') queue.acknowledged(baseOffset)
        else if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') queue.tooLarge()
        else if (needsIdentity(type)) this.#renew(queue)
        else if (isOfRecord(type)) queue.recordRefused(sendingTold(type, place))
        else if (isLasting(type)) queue.refused(sendingTold(type, place))
        else {
          const trouble = troubles.get(`${type} ${topic}`) ?? { error: refusal(type, place), places: [] }
          trouble.places.push(place)
          troubles.set(`${type} ${topic}`, trouble)
        }
      }
    }
    return [...troubles.values()]
  }

  /** The next batches of `places`: those of one topic go together, as far as one request takes them. */
  *#requests(places: readonly Place[], identity: ProducerIdentity): Generator<Request> {
    const filling = new Map<string, Request & { bytes: number }>()
    for (const place of places) {
      const batch = this.#queue(place).next(identity)
      if (!batch) continue
      const { topic } = place
      let request = filling.get(topic)
      if (request !== undefined && request.bytes + batch.bytes.length > mostRequested) {
        yield request
        request = undefined
      }
      if (request === undefined) filling.set(topic, (request = { topic, batches: [], bytes: 0 }))
      request.batches.push(batch)
      request.bytes += batch.bytes.length
    }
    yield* filling.values()
  }

  /** One request a node at a time; what is refused for now stays where it is, for the next. */
  async #once(nodeId: number, places: Place[]): Promise<void> {
    this.#busy.add(nodeId)
    this.#hold(places, true)
    const troubles = await this.#produce(nodeId, places).catch((error: unknown) => [{ error, places }])
    this.#busy.delete(nodeId)
    this.#hold(places, false)
    await this.#retry(troubles)
  }

  /** Who is in trouble waits; nobody else of the node does. */
  async #retry(troubles: readonly Trouble[]): Promise<void> {
    for (const { places } of troubles) this.#hold(places, true)
    this.#wake()
    await Promise.all(
      troubles.map(async ({ error, places }) => {
        if (!this.#closing.signal.aborted) await this.#recover(error, places)
        this.#hold(places, false)
        this.#wake()
      }),
    )
  }

  /** The leader may change meanwhile: nothing goes to two nodes at a time. */
  #hold(places: readonly Place[], isHeld: boolean): void {
    for (const place of places) this.#queue(place).isBusy = isHeld
  }

  async #recover(error: unknown, places: readonly Place[]): Promise<void> {
    const { logger } = this.#client.tuning
    const topics = [...new Set(places.map(place => place.topic))]
    const topic = topics.join(', ')
    const told = toldOf(error, `Sending to ${topic}`, { topic, writes: true })
    let tries = 0
    for (const place of places) {
      const queue = this.#queue(place)
      tries = Math.max(tries, ++queue.failures)
      const given =
        !told.retryable && !isStale(typeOf(error)) ? queue.rejectAll(told) : queue.rejectLate(Date.now(), told)
      // The sequence has a gap from here on.
      if (given) this.#renew(queue)
    }
    logger[tries > 1 ? 'warn' : 'debug']('Records could not be sent; trying again', { error: String(error), tries })
    await wait(Math.min(1_000, 20 * 2 ** Math.min(tries, 6)), this.#closing.signal)
    await refresh(this.#cluster, topics).catch(() => {})
  }

  /** What a partition takes next begins a sequence of its own. The others keep theirs, or what they may have taken would come twice. */
  #renew(queue: PartitionQueue): void {
    queue.renew()
    this.#identity = undefined
  }

  /** Who this producer is to the brokers; anew after an error that only a new one helps. */
  #identify(): Promise<ProducerIdentity> {
    this.#identity ??= this.#initialise().catch(error => {
      this.#identity = undefined
      throw error
    })
    return this.#identity
  }

  async #initialise(): Promise<ProducerIdentity> {
    const { producerId, producerEpoch } = await askAny(this.#cluster, node =>
      node.initProducerId({ transactionTimeout: 30_000 }),
    )
    return { producerId: Number(producerId), producerEpoch }
  }

  async #patiently<Answer>(topic: string, question: () => Promise<Answer>): Promise<Answer> {
    const until = Date.now() + this.#client.tuning.deliveryTimeout
    for (let tries = 1; ; tries++) {
      try {
        return await question()
      } catch (error) {
        if (this.#closing.signal.aborted) throw closed()
        const told = toldOf(error, `Sending to ${topic}`, { topic, writes: true })
        if (!told.retryable || Date.now() > until) throw told
        await wait(Math.min(1_000, 20 * 2 ** Math.min(tries, 6)), this.#closing.signal)
      }
    }
  }
}

function closed(): XMachinesError {
  return new XMachinesError('BROKER_CLOSED', 'The broker was closed before the records were acknowledged.')
}

function needsIdentity(type: string): boolean {
  return type === 'OUT_OF_ORDER_SEQUENCE_NUMBER' || type === 'UNKNOWN_PRODUCER_ID' || type === 'INVALID_PRODUCER_EPOCH'
}

/** Another try would be answered the same. */
function isLasting(type: string): boolean {
  return type === 'TOPIC_AUTHORIZATION_FAILED' || type === 'CLUSTER_AUTHORIZATION_FAILED'
}

/** A refusal of a place, as it is told. */
function sendingTold(type: string, place: Place): XMachinesError {
  return toldOf(refusal(type, place), `Sending to ${nameOf(place)}`, { topic: place.topic, writes: true })
}
