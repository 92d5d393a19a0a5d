import { XMachinesError } from '../../actors/errors.ts'
import { type Terminal, usage } from '../terminal.ts'
import { printable, timeText } from '../text.ts'
import { kafkaConnection } from './connection.ts'
import { bytesJson, bytesText, letterLine, placeText, sourceText } from './letter-text.ts'
import { lettersOf, openLetters, type PlacedLetter } from './letters.ts'

export interface ShowLetterOptions {
  readonly kafka: string
  readonly topic: string
  readonly group?: string
}

/** `xmachines dlq show`. */
export async function showLetter(terminal: Terminal, place: string, options: ShowLetterOptions): Promise<number> {
  const [, partition, offset] = (/^(\d{1,9})\/(\d{1,15})$/.exec(place) ?? []).map(Number)
  if (partition === undefined || offset === undefined)
    throw usage(`A letter is PARTITION/OFFSET, as \`list\` names it; got '${printable(place)}'.`)
  const { topic, group } = options
  const { reader, ranges } = await openLetters(kafkaConnection(terminal, options.kafka), topic, group)
  try {
    const range = (await ranges()).get(partition)
    if (range !== undefined && offset >= range.start && offset < range.end) {
      const one = { ...range, start: offset, end: offset + 1 }
      for await (const { letter } of lettersOf(reader, partition, one)) {
        if (letter === undefined) continue
        await print(terminal, letter)
        return 0
      }
    }
  } finally {
    await reader.close()
  }
  throw new XMachinesError('USAGE_INVALID', `There is no dead letter at ${place} of ${printable(topic)}.`)
}

async function print(terminal: Terminal, letter: PlacedLetter): Promise<void> {
  const headers = letter.headers.map(([name, bytes]) => [name, bytesJson(bytes)] as const)
  await terminal.print({ ...letterLine(letter), headers, value: bytesJson(letter.value) }, () => {
    const rows = [
      ['letter', `${placeText(letter.place)}, written ${timeText(letter.writtenAt)}`],
      ['state', letter.isHandled ? 'replayed' : 'waiting'],
      ['source', `${sourceText(letter)}, of ${timeText(letter.timestamp)}`],
      ['id', printable(letter.id)],
      ['key', bytesText(letter.key)],
      ['reason', `${printable(letter.error.code)}: ${printable(letter.error.message)}`],
      ...letter.headers.map(([name, bytes]) => [`header ${printable(name)}`, bytesText(bytes)]),
      ['value', valueText(letter)],
    ]
    const width = Math.max(...rows.map(([name]) => name!.length))
    return rows.map(([name, text]) => `${name!.padEnd(width)}  ${text}`).join('\n')
  })
}

function valueText({ value, leftOut }: PlacedLetter): string {
  if (leftOut.length > 0) return `left out (${leftOut.join(', ')}): too large for this topic; the source has it`
  return value === null ? 'none: a tombstone' : bytesText(value)
}
