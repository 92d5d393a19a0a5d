import { Table } from '../table.ts'
import type { Terminal } from '../terminal.ts'
import { counted } from '../text.ts'
import { kafkaConnection } from './connection.ts'
import { bytesText, letterHeadings, letterLine, letterRow } from './letter-text.ts'
import { lettersOf, openLetters } from './letters.ts'

export interface ListLettersOptions {
  readonly kafka: string
  readonly topic: string
  readonly group?: string
  readonly reason?: string
  readonly key?: string
  readonly waiting?: boolean
}

/** `xmachines dlq list`. Answers 1 while letters wait, so that a script can ask. */
export async function listLetters(terminal: Terminal, options: ListLettersOptions): Promise<number> {
  const { topic, group, reason, key, waiting = false } = options
  const opened = await openLetters(kafkaConnection(terminal, options.kafka), topic, group)
  const counts = new Map<string, { waiting: number; replayed: number }>()
  let others = 0
  try {
    const table = new Table(terminal, letterHeadings)
    for (const [partition, range] of await opened.ranges()) {
      for await (const { letter } of lettersOf(opened.reader, partition, range)) {
        if (terminal.signal.aborted) break
        if (letter === undefined) {
          others++
          continue
        }
        const { error, isHandled } = letter
        if (reason !== undefined && error.code !== reason) continue
        if (key !== undefined && bytesText(letter.key) !== key) continue
        if (waiting && isHandled) continue
        const count = counts.get(error.code) ?? { waiting: 0, replayed: 0 }
        count[isHandled ? 'replayed' : 'waiting']++
        counts.set(error.code, count)
        await table.add(letterLine(letter), () => letterRow(letter))
      }
    }
    await table.end()
  } finally {
    await opened.reader.close()
  }
  const isWaiting = [...counts.values()].some(count => count.waiting > 0)
  await terminal.print({ counts: Object.fromEntries(counts), others }, () => undefined)
  if (!terminal.json) sayCounts(terminal, counts, others)
  return isWaiting ? 1 : 0
}

function sayCounts(
  terminal: Terminal,
  counts: ReadonlyMap<string, { readonly waiting: number; readonly replayed: number }>,
  others: number,
): void {
  if (counts.size === 0) terminal.say('No dead letters.')
  for (const [code, { waiting, replayed }] of counts) terminal.say(`${code}: ${waiting} waiting, ${replayed} replayed`)
  if (others > 0) terminal.say(`${counted(others, 'record')} beside them: no dead letters of this package.`)
}
