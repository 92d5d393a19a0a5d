import { batchStream } from '../../actors/batch-stream.ts'
import type { BrokerConsumer, BrokerRecord, PartitionLease, PartitionOffsets } from '../../actors/contracts/broker.ts'
import type { LogLine, LogReader } from './log-reader.ts'

/**
 * A log as a topic of one partition, in which the offset of a record is the number of its line. Its one member holds the
 * partition until it closes.
 *
 * Why not a memory broker in between: its offsets count what was sent since it was made, and every record would be copied
 * in and out and have to be cleared away. Here nothing is read before a record is wanted, and a commit is what was consumed.
 */
export class LogConsumer implements BrokerConsumer {
  readonly clusterId = 'log'
  readonly group = 'xmachines run'
  readonly topics: readonly string[]
  readonly leases: ReadableStream<PartitionLease>
  /** Resolves when the last line was given out; rejects when the log cannot be read on. */
  readonly ended: Promise<void>
  readonly #reader: LogReader
  readonly #revoked = new AbortController()
  readonly #over = new AbortController()
  /** The line after the last that holds something. */
  #end: number
  #delivered = false
  readonly #firstLine: number
  readonly #wanted: (line: Uint8Array) => boolean
  /** Lines that were passed over and are not settled; how many were. */
  #passed: number[] = []
  #passedSettled = 0
  #finish!: () => void
  #fail!: (error: unknown) => void

  /** @param wanted which lines are records at all; blank ones never are */
  constructor(topic: string, reader: LogReader, wanted: (line: Uint8Array) => boolean = () => true) {
    this.topics = [topic]
    this.#wanted = wanted
    this.#reader = reader
    this.#end = this.#firstLine = reader.settledLines + 1
    this.ended = new Promise((resolve, reject) => {
      this.#finish = resolve
      this.#fail = reject
    })
    this.ended.catch(() => {}) // whoever waits for it is told; nobody may
    this.leases = new ReadableStream(
      {
        pull: async controller => {
          if (this.#delivered || this.#revoked.signal.aborted)
            return fired(this.#over.signal).then(() => controller.close())
          this.#delivered = true
          controller.enqueue(this.#lease(topic))
        },
        cancel: () => void this.close(),
      },
      { highWaterMark: 0 },
    )
  }

  /** How many records are settled. */
  get settled(): number {
    return this.#reader.settledLines + 1 - this.#firstLine - this.#passedSettled
  }

  /** The runs' positions in the log have its name, whatever file it is read from. */
  sourceId(topic: string): string {
    return topic
  }

  /** As far as the log was read: where it ends is not known before. */
  async endOffsets(): Promise<PartitionOffsets> {
    return new Map([[0, this.#end]])
  }

  async committedOffsets(): Promise<PartitionOffsets> {
    return new Map([[0, this.#reader.settledLines + 1]])
  }

  async close(): Promise<void> {
    this.#revoked.abort()
    if (!this.#delivered) this.#over.abort()
    await fired(this.#over.signal)
  }

  #lease(topic: string): PartitionLease {
    return {
      topic,
      partition: 0,
      generation: 1,
      records: batchStream(this.#records(topic), { until: this.#revoked.signal }),
      commit: async nextOffset => this.#settle(nextOffset),
      release: async () => this.#over.abort(),
      revoked: this.#revoked.signal,
      signal: this.#over.signal,
    }
  }

  #settle(nextOffset: number): void {
    if (nextOffset <= this.#reader.settledLines) return
    this.#reader.settle(nextOffset)
    const open = this.#passed.findIndex(line => line >= nextOffset)
    this.#passedSettled += this.#passed.splice(0, open < 0 ? this.#passed.length : open).length
  }

  async *#records(topic: string): AsyncGenerator<readonly BrokerRecord[], void, void> {
    try {
      for await (const lines of this.#reader.lines()) {
        if (this.#revoked.signal.aborted) return
        const records: BrokerRecord[] = []
        for (const line of lines) {
          if (isBlank(line) || (line.bytes !== undefined && !this.#wanted(line.bytes))) this.#passed.push(line.number)
          else records.push(recordOf(topic, line))
        }
        const last = records[records.length - 1]
        if (last === undefined) continue
        this.#end = last.offset + 1
        yield records
      }
      this.#finish()
    } catch (thrown) {
      this.#fail(thrown)
    }
    // A topic has no end: more could come, as far as its reader knows.
    await fired(this.#revoked.signal)
  }
}

function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))
}

/** A line without a time of its own is of the run's last time: every run's is 0 or later. */
function recordOf(topic: string, { number, bytes }: LogLine): BrokerRecord {
  return { topic, partition: 0, offset: number, key: null, value: bytes ?? null, timestamp: 0, headers: [] }
}

function isBlank({ bytes }: LogLine): boolean {
  return bytes !== undefined && !bytes.some(byte => byte > 0x20)
}
