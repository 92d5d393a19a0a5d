import { expect, test } from 'vitest'
import { Slabs } from '../../../src/transports/broker/slabs.ts'

test('a copy keeps nothing of what it was copied from, also of a Buffer', () => {
  const slabs = new Slabs()
  for (const size of [10, 5_000]) {
    const answer = Buffer.alloc(1_000_000, 1)
    const copy = slabs.copy(answer.subarray(0, size))
    answer.fill(2)
    expect([copy.length, copy[0]]).toEqual([size, 1])
    expect(copy.buffer.byteLength).toBeLessThan(answer.length)
    expect(copy).not.toBeInstanceOf(Buffer)
  }
})
