import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Slabs } from '../../../src/transports/broker/slabs.ts'
import type { Codecs } from '../../../src/transports/kafka/wire/compression.ts'
import { crc32c } from '../../../src/transports/kafka/wire/crc32c.ts'
import { type EncodableRecord, encodeBatch, mostBytesOf } from '../../../src/transports/kafka/wire/encode-batch.ts'
import { decodeRecords, type RecordSource } from '../../../src/transports/kafka/wire/record-batch.ts'

const nobody = { producerId: -1, producerEpoch: -1, baseSequence: -1 }
const noCodecs: Codecs = () => undefined
const utf8 = (text: string) => new TextEncoder().encode(text)

function source(over: Partial<RecordSource> = {}): RecordSource {
  return {
    topic: 't',
    partition: 3,
    from: 0,
    aborted: [],
    codecs: noCodecs,
    slabs: new Slabs(),
    enough: 2 ** 20,
    ...over,
  }
}

/** A batch as a broker stores it: at its offset, with other attributes, its checksum right again. */
function stored(batch: Buffer, baseOffset: number, attributes = 0, producerId = -1): Buffer {
  const copy = Buffer.from(batch)
  copy.writeBigInt64BE(BigInt(baseOffset), 0)
  copy.writeInt16BE(attributes, 21)
  copy.writeBigInt64BE(BigInt(producerId), 43)
  copy.writeUInt32BE(crc32c(copy.subarray(21)), 17)
  return copy
}

function plain(...values: string[]): EncodableRecord[] {
  return values.map(value => ({ key: null, value: utf8(value), timestamp: 1_000, headers: [] }))
}

const bytes = fc.uint8Array({ maxLength: 300 })
const record: fc.Arbitrary<EncodableRecord> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  timestamp: fc.integer({ min: 0, max: 2 ** 45 }),
  headers: fc.array(
    fc.tuple(
      bytes.map(name => utf8(String(name))),
      bytes,
    ),
    { maxLength: 4 },
  ),
})

describe('record batches', () => {
  test('what is encoded is decoded: keys, values, times, headers in their order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(record, { minLength: 1, maxLength: 20 }), fc.nat(2 ** 40), async (records, offset) => {
        const batch = encodeBatch(records, nobody)
        expect(batch.length).toBeLessThanOrEqual(61 + records.reduce((sum, one) => sum + mostBytesOf(one), 0))
        const decoded = await decodeRecords(stored(batch, offset), source())
        expect(decoded.next).toBe(offset + records.length)
        expect(decoded.records).toEqual(
          records.map(({ key, value, timestamp, headers }, at) => ({
            topic: 't',
            partition: 3,
            offset: offset + at,
            key,
            value,
            timestamp,
            headers: headers.map(([name, header]) => [new TextDecoder().decode(name), header]),
          })),
        )
      }),
    )
  })

  test('cut at any byte, what is whole is decoded, and the rest is left for the next fetch', async () => {
    const first = stored(encodeBatch(plain('a', 'b'), nobody), 10)
    const both = Buffer.concat([first, stored(encodeBatch(plain('c'), nobody), 12)])
    for (let cut = 0; cut < both.length; cut++) {
      const { records, next } = await decodeRecords(both.subarray(0, cut), source({ from: 10 }))
      expect([records.length, next]).toEqual(cut < first.length ? [0, 10] : [2, 12])
    }
  })

  test('a changed byte is never taken for a record', async () => {
    const batch = stored(encodeBatch(plain('value'), nobody), 0)
    // The base offset, the length and the leader's epoch are the broker's to write: not under the checksum.
    for (let at = 17; at < batch.length; at++) {
      const changed = Buffer.from(batch)
      changed[at]! ^= 1
      await expect(decodeRecords(changed, source())).rejects.toMatchObject({ code: 'RECORD_UNDECODABLE' })
    }
  })

  test('records before the asked offset are left out, also in the middle of a batch', async () => {
    const batch = stored(encodeBatch(plain('a', 'b', 'c'), nobody), 7)
    const { records, next } = await decodeRecords(batch, source({ from: 8 }))
    expect(records.map(({ offset }) => offset)).toEqual([8, 9])
    expect(next).toBe(10)
  })

  test('aborted transactions and control records are left out, and do not hold the reader up', async () => {
    const transactional = 16
    const control = (offset: number, producer: number, type: number) => {
      const marker = { key: new Uint8Array([0, 0, 0, type]), value: new Uint8Array(6), timestamp: 0, headers: [] }
      return stored(encodeBatch([marker], nobody), offset, transactional | 32, producer)
    }
    const log = Buffer.concat([
      stored(encodeBatch(plain('aborted'), nobody), 0, transactional, 1),
      stored(encodeBatch(plain('committed'), nobody), 1, transactional, 2),
      control(2, 1, 0),
      stored(encodeBatch(plain('plain'), nobody), 3),
      control(4, 2, 1),
      stored(encodeBatch(plain('of the next transaction'), nobody), 5, transactional, 1),
      control(6, 1, 1),
    ])
    const { records, next } = await decodeRecords(log, source({ aborted: [{ producerId: 1, firstOffset: 0 }] }))
    expect(records.map(({ value }) => new TextDecoder().decode(value!))).toEqual([
      'committed',
      'plain',
      'of the next transaction',
    ])
    expect(next).toBe(7)
  })

  test("the broker's time counts where the topic says so", async () => {
    const batch = stored(encodeBatch(plain('a'), nobody), 0, 8)
    batch.writeBigInt64BE(5_000n, 35)
    batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
    expect((await decodeRecords(batch, source())).records[0]!.timestamp).toBe(5_000)
  })

  test('gzip is there; what is not names the package', async () => {
    const batch = encodeBatch(plain('a', 'b'), nobody)
    const compressed = (type: number, body: Buffer) => {
      const whole = Buffer.concat([batch.subarray(0, 61), body])
      whole.writeInt32BE(whole.length - 12, 8)
      return stored(whole, 0, type)
    }
    const zipped = compressed(1, gzipSync(batch.subarray(61)))
    expect((await decodeRecords(zipped, source())).records).toHaveLength(2)
    for (const [type, name] of [
      [2, 'kafkajs-snappy'],
      [3, 'kafkajs-lz4'],
      [4, '@kafkajs/zstd'],
    ] as const) {
      await expect(decodeRecords(compressed(type, Buffer.alloc(8)), source())).rejects.toMatchObject({
        code: 'LIBRARY_MISSING',
        details: { package: name },
      })
    }
  })

  test('a mark whose record compaction has taken, and a batch that it has emptied, hold nobody up', async () => {
    const emptied = (offset: number, attributes: number) => {
      const batch = Buffer.from(encodeBatch(plain('taken'), nobody).subarray(0, 61))
      batch.writeInt32BE(61 - 12, 8)
      batch.writeInt32BE(0, 57)
      return stored(batch, offset, attributes, 1)
    }
    const log = Buffer.concat([emptied(0, 16), emptied(1, 16 | 32), stored(encodeBatch(plain('kept'), nobody), 2)])
    const { records, next } = await decodeRecords(log, source())
    expect([records.map(({ offset }) => offset), next]).toEqual([[2], 3])
  })

  test('what is broken under a right checksum is told, with its offset, and is no reason to try again', async () => {
    const batch = encodeBatch(plain('a', 'b'), nobody)
    const changed = (change: (copy: Buffer) => unknown) => {
      const copy = Buffer.from(batch)
      change(copy)
      return copy
    }
    for (const broken of [
      stored(batch, 5, 1), // not gzip at all
      stored(
        changed(copy => copy.writeInt32BE(1_000, 57)),
        5,
      ), // more records than there are
      stored(
        changed(copy => copy.writeInt8(-1, 61)),
        5,
      ), // a record of less than nothing
      stored(
        changed(copy => copy.writeInt8(0x7f, 61)),
        5,
      ), // and one that is longer than its batch
    ]) {
      await expect(decodeRecords(broken, source())).rejects.toMatchObject({
        code: 'RECORD_UNDECODABLE',
        retryable: false,
        details: { topic: 't', partition: 3, offset: 5 },
      })
    }
  })

  test('a length that leads back is not followed', async () => {
    const batch = stored(encodeBatch(plain('a'), nobody), 0)
    batch.writeInt32BE(0, 57) // no records, that would be missed
    for (const length of [-12, -1, 0, 9]) {
      batch.writeInt32BE(length, 8)
      batch.writeUInt32BE(0, 17) // the checksum of no bytes
      await expect(decodeRecords(batch, source())).rejects.toMatchObject({ code: 'RECORD_UNDECODABLE' })
    }
  })

  test('what is before a batch that cannot be read comes first', async () => {
    const good = stored(encodeBatch(plain('a', 'b'), nobody), 0)
    const bad = stored(encodeBatch(plain('c'), nobody), 2, 4)
    const { records, next } = await decodeRecords(Buffer.concat([good, bad]), source())
    expect([records.length, next]).toEqual([2, 2])
    await expect(decodeRecords(bad, source({ from: next }))).rejects.toMatchObject({ code: 'LIBRARY_MISSING' })
  })

  test('what unfolds to more than enough is left for the next fetch, from the next batch on', async () => {
    const batch = encodeBatch(plain('x'.repeat(10_000)), nobody)
    const body = gzipSync(batch.subarray(61))
    const zipped = Buffer.concat([batch.subarray(0, 61), body])
    zipped.writeInt32BE(zipped.length - 12, 8)
    const log = Buffer.concat([0, 1, 2, 3].map(offset => stored(zipped, offset, 1)))
    const first = await decodeRecords(log, source({ enough: 15_000 }))
    expect([first.records.length, first.next]).toEqual([2, 2])
    expect(first.bytes).toBeGreaterThan(20_000)
    const rest = await decodeRecords(log, source({ enough: 15_000, from: first.next }))
    expect(rest.records.map(({ offset }) => offset)).toEqual([2, 3])
  })

  test('an older format is refused, and says what to do', async () => {
    const batch = stored(encodeBatch(plain('a'), nobody), 0)
    batch[16] = 1
    await expect(decodeRecords(batch, source())).rejects.toMatchObject({ code: 'RECORD_UNDECODABLE' })
  })
})

test('CRC-32C: the vectors of RFC 3720', () => {
  expect(crc32c(utf8('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, at) => at))).toBe(0x46dd794e)
})
