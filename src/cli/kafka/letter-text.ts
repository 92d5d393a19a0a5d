import { printable, timeText } from '../text.ts'
import type { PlacedLetter } from './letters.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Bytes as JSON can hold them: text where they are UTF-8. */
export function bytesJson(bytes: Uint8Array | null): string | { readonly base64: string } | null {
  if (bytes === null) return null
  try {
    return utf8.decode(bytes)
  } catch {
    return { base64: Buffer.from(bytes).toString('base64') }
  }
}

/** Bytes for a person. */
export function bytesText(bytes: Uint8Array | null): string {
  const json = bytesJson(bytes)
  if (json === null) return '-'
  return typeof json === 'string' ? printable(json) : `base64:${json.base64}`
}

/** Where a letter is, as `show` takes it. */
export function placeText({ partition, offset }: PlacedLetter['place']): string {
  return `${partition}/${offset}`
}

/** Where its record was. */
export function sourceText({ topic, partition, offset }: PlacedLetter): string {
  return `${printable(topic)}/${partition}/${offset}`
}

/** A letter without its content. */
export function letterLine(letter: PlacedLetter) {
  const { place, isHandled, writtenAt, id, error, topic, partition, offset, timestamp, key, leftOut } = letter
  const source = { topic, partition, offset, timestamp }
  return {
    ...place,
    state: isHandled ? 'replayed' : 'waiting',
    writtenAt,
    id,
    key: bytesJson(key),
    error,
    source,
    leftOut,
  }
}

export const letterHeadings: readonly string[] = ['LETTER', 'STATE', 'WRITTEN', 'SOURCE', 'KEY', 'REASON', 'MESSAGE']

export function letterRow(letter: PlacedLetter): readonly string[] {
  const { place, isHandled, writtenAt, key, error } = letter
  const message = printable(error.message)
  return [
    placeText(place),
    isHandled ? 'replayed' : 'waiting',
    timeText(writtenAt),
    sourceText(letter),
    bytesText(key),
    printable(error.code),
    message.length > 80 ? `${message.slice(0, 79)}…` : message,
  ]
}
