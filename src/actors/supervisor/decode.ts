import type { BrokerRecord } from '../contracts/broker.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { isWellFormed } from '../json/well-formed.ts'
import type { Decoded } from './options.ts'

// A byte order mark is kept: two keys must not become one.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The key of a record as UTF-8. @throws `RECORD_UNDECODABLE` */
export function keyOf(record: BrokerRecord): string {
  if (record.key === null) throw undecodable(record, 'it has no key, which names the run')
  try {
    return utf8.decode(record.key)
  } catch (thrown) {
    throw undecodable(record, 'its key is not UTF-8', thrown)
  }
}

/** The time of a record; `undefined` for one that was not stamped, which Kafka says as -1. */
export function timeOf({ timestamp }: Pick<BrokerRecord, 'timestamp'>): number | undefined {
  return timestamp >= 0 && timestamp < Number.POSITIVE_INFINITY ? timestamp : undefined
}

/** The value of a record as JSON in UTF-8. @throws `RECORD_UNDECODABLE` */
export function jsonOf(record: BrokerRecord): unknown {
  if (record.value === null) throw undecodable(record, 'it has no value')
  try {
    return JSON.parse(utf8.decode(record.value))
  } catch (thrown) {
    throw undecodable(record, `its value is not JSON in UTF-8 (${messageOf(thrown)})`, thrown)
  }
}

/** What the caller's own `decode` says. @throws `RECORD_UNDECODABLE`, also where it throws */
export function decodedBy(decode: (record: BrokerRecord) => Decoded, record: BrokerRecord): Decoded {
  let decoded: Decoded
  try {
    decoded = decode(record)
  } catch (thrown) {
    throw XMachinesError.is(thrown, 'RECORD_UNDECODABLE')
      ? thrown
      : undecodable(record, `\`decode\` threw: ${messageOf(thrown)}`, thrown)
  }
  if (typeof decoded !== 'object' || decoded === null || typeof decoded.key !== 'string')
    throw undecodable(record, '`decode` did not return { key: string, events }')
  if (!isWellFormed(decoded.key)) throw undecodable(record, '`decode` returned a key with a lone surrogate')
  if (decoded.at !== undefined && !Number.isFinite(decoded.at))
    throw undecodable(record, `\`decode\` returned the time ${String(decoded.at)}`)
  return decoded
}

/** The error of a record that cannot be read. */
export function undecodable(record: BrokerRecord, why: string, cause?: unknown): XMachinesError {
  const { topic, partition, offset } = record
  return new XMachinesError(
    'RECORD_UNDECODABLE',
    `Record ${offset} of ${topic}/${partition} cannot be read: ${why}. Correct the producer, or pass \`decode\`.`,
    { details: { topic, partition, offset }, cause },
  )
}
