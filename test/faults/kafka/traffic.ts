import { setTimeout as sleep } from 'node:timers/promises'
import type { BrokerProducer, OutgoingRecord } from 'xmachines'
import type { Random } from '../../../src/testing/simulation/random.ts'

/** A record that the broker has acknowledged. */
export interface Acknowledged {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  /** What the event is known by; `null`: nothing that a run could take. */
  readonly by: string | null
}

type Sent = Pick<Acknowledged, 'key' | 'by'>

/** Records of a batch. */
const batch = 40

/** Sends, and keeps what was acknowledged: the oracle. */
export class Traffic {
  readonly acknowledged: Acknowledged[] = []
  readonly #producer: BrokerProducer
  readonly #keys: number
  readonly #random: Random
  /** Between two batches, ms. */
  readonly #interval: number
  readonly #sending = new Set<Promise<void>>()
  #next = 0
  readonly #ending = new AbortController()
  #loop: Promise<void> | undefined

  /** @param rate records a second */
  constructor(producer: BrokerProducer, keys: number, rate: number, random: Random) {
    this.#producer = producer
    this.#keys = keys
    this.#interval = (1_000 * batch) / rate
    this.#random = random
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  /** Resolves when all that was sent is acknowledged. */
  async stop(partitions: number): Promise<void> {
    this.#ending.abort()
    await this.#loop
    await Promise.all(this.#sending)
    // A last record each, so that whoever reads the topic sees its end, whatever control records are before it.
    for (let partition = 0; partition < partitions; partition++) {
      const by = `end-${partition}`
      await this.#send([
        [
          { key: by, by },
          { key: by, value: JSON.stringify({ type: 'ADD', by }), partition },
        ],
      ])
    }
  }

  async #run(): Promise<void> {
    while (!this.#ending.signal.aborted) {
      const sending = this.#send(Array.from({ length: batch }, () => this.#record()))
      this.#sending.add(sending)
      void sending.then(
        () => this.#sending.delete(sending),
        () => {},
      )
      await sleep(this.#interval)
    }
  }

  async #send(records: readonly (readonly [Sent, OutgoingRecord])[]): Promise<void> {
    const placed = await this.#producer.send(records.map(([, record]) => record))
    for (const [index, place] of placed.entries()) this.acknowledged.push({ ...place, ...records[index]![0] })
  }

  #record(): readonly [Sent, OutgoingRecord] {
    const by = `${this.#next++}`
    // Each key once, then at random.
    const key = `k${this.#next <= this.#keys ? this.#next - 1 : this.#random.below(this.#keys)}`
    switch (this.#random.below(100)) {
      case 0:
        return [
          { key, by: null },
          { key, value: null },
        ]
      case 1:
        return [{ key: null, by: null }, { value: JSON.stringify({ type: 'ADD', by }) }]
      case 2:
        return [
          { key, by: null },
          { key, value: `{"by":${by}` },
        ]
      case 3:
        return [
          { key, by: null },
          { key, value: JSON.stringify({ type: 'UNKNOWN', by }) },
        ]
      default:
        return [
          { key, by },
          { key, value: JSON.stringify({ type: 'ADD', by }) },
        ]
    }
  }
}
