import type { BrokerProducer, OutgoingRecord } from '../../actors/contracts/broker.ts'
import type { AbortOptions } from '../../actors/contracts/store.ts'
import { aborted, XMachinesError } from '../../actors/errors.ts'
import type { FaultPoints } from './fault-points.ts'
import type { Topic } from './topic.ts'

/** Sends to one topic: a send is taken as a whole, or refused as a whole. */
export class MemoryProducer implements BrokerProducer {
  readonly topic: string
  readonly #log: Topic
  readonly #faults: FaultPoints
  readonly #checkOpen: () => void
  #closed = false

  constructor(log: Topic, faults: FaultPoints, checkOpen: () => void) {
    this.topic = log.name
    this.#log = log
    this.#faults = faults
    this.#checkOpen = checkOpen
  }

  async send(
    records: readonly OutgoingRecord[],
    { signal }: AbortOptions = {},
  ): Promise<readonly { readonly partition: number; readonly offset: number }[]> {
    if (signal?.aborted) throw aborted(signal)
    this.#checkOpen()
    if (this.#closed) throw new XMachinesError('BROKER_CLOSED', 'The producer is closed. Make a new one.')
    return this.#faults.sending({ topic: this.topic }, () => this.#log.append(records))
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}
