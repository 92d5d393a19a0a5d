import type { BrokerRecord, OutgoingRecord } from '../contracts/broker.ts'
import type { Refusal } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'

/** Characters of an error's message that a header takes. */
const longestMessage = 1024

/** A refused record as its run keeps it until the dead letter is acknowledged. */
export function refusalOf(record: BrokerRecord, source: string, at: number, error: XMachinesError): Refusal {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  return Object.freeze({
    id: source,
    position: offset,
    at,
    error: Object.freeze({ code: error.code, message: error.message }),
    record: Object.freeze({
      topic,
      partition,
      offset: String(offset),
      timestamp,
      key: key && toBase64(key),
      value: value && toBase64(value),
      headers: Object.freeze(headers.map(([name, bytes]) => Object.freeze([name, toBase64(bytes)] as const))),
    }),
  })
}

/**
 * The dead letter of a refused record: its own bytes, key and headers, and after those, as UTF-8:
 * `xmachines-id` (`<cluster id>/<topic>/<partition>/<offset>`: the same each time it is sent), `xmachines-error-code`,
 * `xmachines-error-message`, `xmachines-topic`, `xmachines-partition`, `xmachines-offset`, `xmachines-timestamp`. Its own time is
 * that of the sending: a topic's retention would delete at once what is stamped in the past.
 */
export function deadLetterOf({ id, error, record }: Refusal): OutgoingRecord {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  return {
    key: key === null ? null : fromBase64(key),
    value: value === null ? null : fromBase64(value),
    headers: [
      ...headers.map(([name, bytes]) => [name, fromBase64(bytes)] as const),
      ['xmachines-id', `${id}/${offset}`],
      ['xmachines-error-code', error.code],
      ['xmachines-error-message', error.message.slice(0, longestMessage)],
      ['xmachines-topic', topic],
      ['xmachines-partition', String(partition)],
      ['xmachines-offset', offset],
      ['xmachines-timestamp', String(timestamp)],
    ],
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), char => char.charCodeAt(0))
}
