import fc from 'fast-check'
import { expect, test } from 'vitest'
import { murmur2, partitionOf } from '../../../src/transports/broker/murmur2.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])("murmur2 of %j is what Kafka's Utils.murmur2 says", (key, hash) => {
  expect(murmur2(utf8(key))).toBe(hash)
})

test('negative hashes choose as `toPositive` does, not by their absolute value', () => {
  expect(partitionOf(utf8('21'), 7)).toBe((-973932308 & 0x7fffffff) % 7)
  expect(partitionOf(utf8('21'), 7)).not.toBe(973932308 % 7)
})

test('every key has a partition, the same for equal bytes, whatever buffer they lie in', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat({ max: 9 }), fc.integer({ min: 1, max: 1_000 }), (key, shift, partitions) => {
      const elsewhere = new Uint8Array(new ArrayBuffer(key.length + shift), shift)
      elsewhere.set(key)
      const partition = partitionOf(key, partitions)
      expect(partition).toBeGreaterThanOrEqual(0)
      expect(partition).toBeLessThan(partitions)
      expect(partitionOf(elsewhere, partitions)).toBe(partition)
    }),
  )
})
