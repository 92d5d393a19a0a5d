import type { Buffer } from 'node:buffer'
import { XMachinesError } from '../../../actors/errors.ts'
import type { Place } from '../cluster.ts'
import { Reader } from '../wire/reader.ts'
import { Writer } from '../wire/writer.ts'

/** What a member says of itself when it joins. */
export interface Subscription {
  readonly topics: readonly string[]
  /** What it holds, and goes on holding if it may. */
  readonly keeps: readonly Place[]
  /** What it still holds, and is about to give back: nobody may have it yet. */
  readonly drains: readonly Place[]
}

const version = 1

/** In Kafka's own form (ConsumerProtocolSubscription 0), so that its tools show the group; what is held goes into the user data. */
export function encodeSubscription({ topics, keeps, drains }: Subscription): Buffer {
  const held = new TextEncoder().encode(JSON.stringify({ v: version, keeps: byTopic(keeps), drains: byTopic(drains) }))
  const writer = new Writer().int16(0)
  writer.array(topics, topic => writer.string(topic))
  return writer.int32(held.length).bytes(held).take()
}

/** @throws XMachinesError `GROUP_FOREIGN` for what no version of this package wrote */
export function decodeSubscription(bytes: Uint8Array): Subscription {
  try {
    const reader = new Reader(bytes)
    reader.int16()
    const topics = reader.array(() => reader.string())
    const held = JSON.parse(new TextDecoder().decode(reader.bytes(reader.int32())))
    if (held.v !== version) throw new TypeError(`Expected version ${version}, got ${held.v}.`)
    return { topics, keeps: placesOf(held.keeps), drains: placesOf(held.drains) }
  } catch (cause) {
    throw new XMachinesError(
      'GROUP_FOREIGN',
      'A member of the group says what it holds in a form that this version does not know. Run one version of the fleet in a ' +
        'group, or give the other one a group of its own.',
      { cause },
    )
  }
}

/** In Kafka's own form (ConsumerProtocolAssignment 0). */
export function encodeAssignment(places: readonly Place[]): Buffer {
  const writer = new Writer().int16(0)
  writer.array(Object.entries(byTopic(places)), ([topic, partitions]) => {
    writer.string(topic).array(partitions, partition => writer.int32(partition))
  })
  return writer.int32(0).take()
}

/** Nothing where a member joined without topics: then a broker may send no bytes at all. */
export function decodeAssignment(bytes: Uint8Array): Place[] {
  if (bytes.length < 6) return []
  const reader = new Reader(bytes, 2)
  return reader
    .array(() => {
      const topic = reader.string()
      return reader.array(() => ({ topic, partition: reader.int32() }))
    })
    .flat()
}

/** Places under the names of their topics. */
export function byTopic(places: readonly Place[]): Readonly<Record<string, number[]>> {
  const topics: Record<string, number[]> = Object.create(null)
  for (const { topic, partition } of places) {
    topics[topic] ??= []
    topics[topic].push(partition)
  }
  return topics
}

function placesOf(topics: Readonly<Record<string, readonly number[]>>): Place[] {
  return Object.entries(topics).flatMap(([topic, partitions]) => partitions.map(partition => ({ topic, partition })))
}

/** Names a place, in maps. */
export function nameOf({ topic, partition }: Place): string {
  return `${topic}/${partition}`
}
