import { XMachinesError } from '../../actors/errors.ts'
import { type DeadLetter, readDeadLetter } from '../../actors/supervisor/dead-letter.ts'
import type { KafkaConnection } from '../../transports/kafka/options.ts'
import { TopicReader } from './topic-reader.ts'

/** A dead letter where it is. */
export interface PlacedLetter extends DeadLetter {
  /** Where it is in the topic of dead letters. */
  readonly place: { readonly partition: number; readonly offset: number }
  /** When it was written there, ms since 1970. */
  readonly writtenAt: number
  /** Whether a replay has dealt with it: re-driven it, or passed it over for good. */
  readonly isHandled: boolean
}

/** What is in a topic of dead letters: a letter, or a record that is none. */
export type Found =
  | { readonly letter: PlacedLetter; readonly next: number }
  | { readonly letter: undefined; readonly place: PlacedLetter['place']; readonly next: number }

/** The consumer group whose commits say how far a topic of dead letters was replayed. */
export function replayGroup(topic: string): string {
  return `${topic}.replay`
}

/**
 * What a partition holds up to `end`, in order, each letter once: a worker that died before it had the acknowledgement has
 * written it again, and the first of them is in its order.
 */
export async function* lettersOf(
  reader: TopicReader,
  partition: number,
  { start, end, handled }: LetterRange,
): AsyncGenerator<Found, void, void> {
  const seen = new Set<string>()
  for await (const record of reader.records(partition, start, end)) {
    const { offset } = record
    const [place, next] = [{ partition, offset }, offset + 1]
    const letter = readDeadLetter(record)
    if (letter === undefined) yield { letter, place, next }
    else if (!seen.has(letter.id)) {
      seen.add(letter.id)
      yield { letter: { ...letter, place, writtenAt: record.timestamp, isHandled: offset < handled }, next }
    }
  }
}

/** What of a partition there is, and how far a replay has dealt with it. */
export interface LetterRange {
  readonly start: number
  readonly end: number
  readonly handled: number
}

/** A topic of dead letters, open. */
export interface Letters {
  readonly reader: TopicReader
  /** By partition, as it is now. */
  ranges(): Promise<ReadonlyMap<number, LetterRange>>
}

export async function openLetters(connection: KafkaConnection, topic: string, group?: string): Promise<Letters> {
  const reader = await TopicReader.open(connection, topic)
  const ranges = async (): Promise<ReadonlyMap<number, LetterRange>> => {
    const [starts, ends, committed] = await Promise.all([
      reader.starts(),
      reader.ends(),
      reader.committed(group ?? replayGroup(topic)),
    ])
    return new Map(
      reader.partitions.map(partition => {
        const [start, end] = [starts.get(partition) ?? 0, ends.get(partition) ?? 0]
        const handled = committed.get(partition) ?? start
        if (handled > end) throw madeAnew(topic, partition, handled, end)
        return [partition, { start, end, handled: Math.max(start, handled) }]
      }),
    )
  }
  return { reader, ranges }
}

function madeAnew(topic: string, partition: number, offset: number, end: number): XMachinesError {
  return new XMachinesError(
    'OFFSET_OUT_OF_RANGE',
    `A replay has dealt with ${topic}/${partition} up to ${offset}, and it ends at ${end}: the topic was made anew. Give another --group.`,
    { details: { topic, partition, offset, end } },
  )
}
