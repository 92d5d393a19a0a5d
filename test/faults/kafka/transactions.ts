import { Kafka, logLevel } from 'kafkajs'
import type { Random } from '../../../src/testing/simulation/random.ts'

/** A producer of another kind: what it sends is there when its transaction is committed, or never. */
export class Transactions {
  readonly committed: string[] = []
  readonly aborted: string[] = []
  /** Their end is not known: a fault was in the way. */
  readonly unknown: string[] = []
  readonly #brokers: readonly string[]
  readonly #topic: string
  readonly #random: Random
  #over = false
  #loop: Promise<void> | undefined
  #next = 0

  constructor(brokers: readonly string[], topic: string, random: Random) {
    this.#brokers = brokers
    this.#topic = topic
    this.#random = random
  }

  start(): void {
    this.#loop ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#loop
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      const kafka = new Kafka({ brokers: [...this.#brokers], logLevel: logLevel.NOTHING, retry: { retries: 8 } })
      // The same id each time: what an earlier life left open is aborted by the broker.
      const producer = kafka.producer({ transactionalId: `${this.#topic}-t`, maxInFlightRequests: 1, idempotent: true })
      try {
        await producer.connect()
        while (!this.#over) await this.#transact(producer)
      } catch {
        // The next life goes on.
      } finally {
        await producer.disconnect().catch(() => {})
      }
    }
  }

  async #transact(producer: ReturnType<Kafka['producer']>): Promise<void> {
    const transaction = await producer.transaction()
    const events = Array.from({ length: 5 }, () => `t${this.#next++}`)
    const commits = this.#random.below(2) === 0
    try {
      for (const by of events) {
        const key = `t${this.#random.below(20)}`
        await transaction.send({
          topic: this.#topic,
          acks: -1,
          messages: [{ key, value: JSON.stringify({ type: 'ADD', by }) }],
        })
      }
      await (commits ? transaction.commit() : transaction.abort())
      ;(commits ? this.committed : this.aborted).push(...events)
    } catch (error) {
      this.unknown.push(...events)
      throw error
    }
  }
}
