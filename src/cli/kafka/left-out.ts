import { XMachinesError } from '../../actors/errors.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'
import { sourceText } from './letter-text.ts'
import type { PlacedLetter } from './letters.ts'
import { TopicReader } from './topic-reader.ts'

/** Fetches what dead letters leave out from where their records are. */
export class LeftOutParts {
  readonly #connection: KafkaConnection
  readonly #readers = new Map<string, Promise<TopicReader>>()

  constructor(connection: KafkaConnection) {
    this.#connection = connection
  }

  /** The letter with all of its record. @throws rejects with `RECORD_GONE` where its topic does not keep it any more */
  async restore(letter: PlacedLetter): Promise<PlacedLetter> {
    if (letter.leftOut.length === 0) return letter
    const { topic, partition, offset } = letter
    const reader = await this.#reader(topic)
    const [starts, ends] = await Promise.all([reader.starts(), reader.ends()])
    const isKept = offset >= (starts.get(partition) ?? 0) && offset < (ends.get(partition) ?? 0)
    if (isKept) {
      for await (const { key, value, headers, timestamp } of reader.records(partition, offset, offset + 1)) {
        // In a topic that was made anew, another record has its place.
        const isOther = timestamp !== letter.timestamp || (!letter.leftOut.includes('key') && !isSame(key, letter.key))
        if (!isOther) return { ...letter, key, value, headers }
      }
    }
    throw new XMachinesError(
      'RECORD_GONE',
      `The dead letter of ${sourceText(letter)} has not its ${letter.leftOut.join(', ')}, and its topic does not keep the record any more. ` +
        'Nothing more was sent. --except RECORD_GONE passes such letters over, for good.',
      { details: { topic, partition, offset } },
    )
  }

  async close(): Promise<void> {
    const readers = await Promise.allSettled(this.#readers.values())
    await Promise.all(readers.map(reader => (reader.status === 'fulfilled' ? reader.value.close() : undefined)))
  }

  #reader(topic: string): Promise<TopicReader> {
    let reader = this.#readers.get(topic)
    if (reader === undefined) this.#readers.set(topic, (reader = TopicReader.open(this.#connection, topic)))
    return reader
  }
}

function isSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === b || (a !== null && b !== null && Buffer.compare(a, b) === 0)
}
