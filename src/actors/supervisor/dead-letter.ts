import type { BrokerRecord, OutgoingRecord, PartitionLease } from '../contracts/broker.ts'
import type { Refusal } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'

/** Bytes of an error's message that a header takes. */
const longestMessage = 1024

const utf8 = new TextDecoder()
const encoder = new TextEncoder()

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
      headers: Object.freeze(headers.map(([name, bytes]) => Object.freeze([name, bytes && toBase64(bytes)] as const))),
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

/** Says, behind those, what a letter goes without. */
const leftOutName = 'xmachines-left-out'

/** What letters go without, one after the other, where the topic does not take them for their size. */
const parts = ['value', 'headers', 'key'] as const

/** A part of a record that its dead letter may go without. */
export type LeftOut = (typeof parts)[number]

/**
 * The dead letter of a refused record: its own bytes, key and headers, and after those, as UTF-8:
 * `xmachines-id` (`<cluster id>/<topic>/<partition>/<offset>`: the same each time it is sent), `xmachines-error-code`,
 * `xmachines-error-message`, `xmachines-topic`, `xmachines-partition`, `xmachines-offset`, `xmachines-timestamp`.
 * Where that is over what the topic takes it points at the record instead: without the value, and `xmachines-left-out` says so.
 *
 * It is of the time at which it is sent: a topic deletes what is older than it keeps, and the record may be.
 *
 * @param lease what the record came through
 */
export function deadLetterOf(
  { id, error, record }: Refusal,
  lease: Pick<PartitionLease, 'topic' | 'partitions'>,
): OutgoingRecord {
  const { topic, partition, offset, timestamp } = record
  const partitions = lease.topic === topic ? lease.partitions : undefined
  const said = [`${id}/${offset}`, error.code, cut(error.message), topic, String(partition), offset, String(timestamp)]
  const content = {
    key: record.key === null ? null : fromBase64(record.key),
    value: record.value === null ? null : fromBase64(record.value),
    headers: record.headers.map(([name, bytes]) => [name, bytes === null ? null : fromBase64(bytes)] as const),
    mirrors: partitions === undefined ? undefined : { partition, partitions },
  }
  return letterOf(
    content,
    names.map((name, at) => [name, said[at]!]),
    0,
  )
}

/** What a letter holds of its record. */
interface Content extends Pick<OutgoingRecord, 'key' | 'value' | 'mirrors'> {
  readonly headers: readonly (readonly [string, Uint8Array | null])[]
}

/** @param left how many of {@link parts} it goes without */
function letterOf(content: Content, said: readonly (readonly [string, string])[], left: number): OutgoingRecord {
  const { key, value, headers, mirrors } = content
  return {
    key: left < 3 ? key : null,
    value: left < 1 ? value : null,
    headers: [
      ...(left < 2 ? headers : []),
      ...said,
      ...(left > 0 ? [[leftOutName, parts.slice(0, left).join(' ')] as const] : []),
    ],
    mirrors,
    smaller: left < parts.length ? letterOf(content, said, left + 1) : undefined,
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
  /** What of the record is not in it: `topic`, `partition` and `offset` say where it is. */
  readonly leftOut: readonly LeftOut[]
}

/** Reads what {@link deadLetterOf} made; `undefined`: it is no dead letter. */
export function readDeadLetter({ key, value, headers }: BrokerRecord): DeadLetter | undefined {
  const last = headers.at(-1)
  const leftOut = last?.[0] === leftOutName ? parts.slice(0, utf8.decode(last[1] ?? undefined).split(' ').length) : []
  const own = headers.length - names.length - (leftOut.length > 0 ? 1 : 0)
  if (own < 0 || names.some((name, at) => headers[own + at]![0] !== name)) return undefined
  const [id, code, message, topic, ...numbers] = headers
    .slice(own, own + names.length)
    .map(([, bytes]) => utf8.decode(bytes ?? undefined))
  const [partition, offset, timestamp] = numbers.map(Number)
  // A time may be beyond what is exact: of a producer that counts in nanoseconds, say.
  if (![partition, offset].every(Number.isSafeInteger) || !Number.isFinite(timestamp)) return undefined
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
    leftOut,
  }
}

/** As much of a message as fits, without half a character. */
function cut(message: string): string {
  return message.slice(0, encoder.encodeInto(message, new Uint8Array(longestMessage)).read)
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), char => char.charCodeAt(0))
}
