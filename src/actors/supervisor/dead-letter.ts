import type { BrokerRecord, OutgoingRecord } from '../contracts/broker.ts'
import type { Refusal } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'

/** Characters of an error's message that a header takes. */
const longestMessage = 1024

const utf8 = new TextDecoder()

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

/** What a dead letter says of its record, behind the record's own headers: as UTF-8, in this order. */
const names = [
  'xmachines-id',
  'xmachines-error-code',
  'xmachines-error-message',
  'xmachines-topic',
  'xmachines-partition',
  'xmachines-offset',
  'xmachines-timestamp',
] as const

/**
 * The dead letter of a refused record: its own bytes, key and headers, and after those, as UTF-8:
 * `xmachines-id` (`<cluster id>/<topic>/<partition>/<offset>`: the same each time it is sent), `xmachines-error-code`,
 * `xmachines-error-message`, `xmachines-topic`, `xmachines-partition`, `xmachines-offset`, `xmachines-timestamp`.
 *
 * It is of the time at which it is sent: a topic deletes what is older than it keeps, and the record may be.
 */
export function deadLetterOf({ id, error, record }: Refusal): OutgoingRecord {
  const { topic, partition, offset, timestamp, key, value, headers } = record
  const said = [
    `${id}/${offset}`,
    error.code,
    error.message.slice(0, longestMessage),
    topic,
    String(partition),
    offset,
    String(timestamp),
  ]
  return {
    key: key === null ? null : fromBase64(key),
    value: value === null ? null : fromBase64(value),
    headers: [
      ...headers.map(([name, bytes]) => [name, fromBase64(bytes)] as const),
      ...names.map((name, at) => [name, said[at]!] as const),
    ],
  }
}

/** A dead letter, read: where its record was, what was wrong with it, and the record as it was. */
export interface DeadLetter {
  /** `<cluster id>/<topic>/<partition>/<offset>`: the same for every copy of the letter. */
  readonly id: string
  readonly error: { readonly code: string; readonly message: string }
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** The record's own. */
  readonly headers: BrokerRecord['headers']
}

/** Reads what {@link deadLetterOf} made; `undefined`: it is no dead letter. */
export function readDeadLetter({ key, value, headers }: BrokerRecord): DeadLetter | undefined {
  const own = headers.length - names.length
  if (own < 0 || names.some((name, at) => headers[own + at]![0] !== name)) return undefined
  const [id, code, message, topic, ...numbers] = headers.slice(own).map(([, bytes]) => utf8.decode(bytes))
  const [partition, offset, timestamp] = numbers.map(Number)
  if (![partition, offset, timestamp].every(Number.isSafeInteger)) return undefined
  return {
    id: id!,
    error: { code: code!, message: message! },
    topic: topic!,
    partition: partition!,
    offset: offset!,
    timestamp: timestamp!,
    key,
    value,
    headers: headers.slice(0, own),
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
