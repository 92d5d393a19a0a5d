import type { BrokerRecord } from '../../actors/contracts/broker.ts'
import { messageOf, XMachinesError } from '../../actors/errors.ts'
import type { Decoded } from '../../actors/supervisor/options.ts'
import { maxLineBytes } from './log-reader.ts'

// A byte order mark may stand at the start of the log, and nowhere else.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8AfterMark = new TextDecoder('utf-8', { fatal: true })

/**
 * What a line says: `{ key, at?, event }`, or `events` for a batch.
 *
 * @throws RECORD_UNDECODABLE
 */
export function decodeLine({ offset: line, value }: BrokerRecord): Decoded {
  if (value === null) throw undecodable(line, `is longer than ${maxLineBytes} bytes`)
  let record: unknown
  try {
    record = JSON.parse((line === 1 ? utf8AfterMark : utf8).decode(value))
  } catch (cause) {
    throw undecodable(line, `is not JSON in UTF-8: ${messageOf(cause)}`, cause)
  }
  if (typeof record !== 'object' || record === null || Array.isArray(record))
    throw undecodable(line, 'is no object. A line is {"key": …, "event": …}')
  const { key, at, event, events } = record as Partial<Record<'key' | 'at' | 'event' | 'events', unknown>>
  if (typeof key !== 'string') throw undecodable(line, 'has no `key`, a string that names the run')
  if (at !== undefined && typeof at !== 'number')
    throw undecodable(line, 'has an `at` that is not a number: milliseconds since 1970')
  if ((event === undefined) === (events === undefined))
    throw undecodable(line, 'needs either `event`, or `events` for a batch')
  if (events !== undefined && !Array.isArray(events)) throw undecodable(line, 'has `events` that are not an array')
  if (Array.isArray(event)) throw undecodable(line, 'has an array as `event`. A batch is `events`')
  return { key, at, events: event ?? events }
}

/** The key that a line names, if it can be read. */
export function keyOfLine(line: Uint8Array): unknown {
  try {
    return (JSON.parse(utf8AfterMark.decode(line)) as { readonly key?: unknown } | null)?.key
  } catch {
    return undefined
  }
}

function undecodable(line: number, what: string, cause?: unknown): XMachinesError {
  return new XMachinesError('RECORD_UNDECODABLE', `The line ${what}.`, { details: { line }, cause })
}
