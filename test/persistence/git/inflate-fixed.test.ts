import '../../seed.ts'
import { constants, deflateSync, inflateSync } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inflateFixed } from '../../../src/persistence/git/inflate-fixed.ts'

const contents = fc
  .tuple(fc.constantFrom(1, 3, 20, 255), fc.array(fc.nat(255), { maxLength: 1000, size: 'max' }))
  .map(([most, bytes]) => Buffer.from(bytes.map(byte => byte % (most + 1))))
const levels = fc.integer({ min: 1, max: 9 })

function hasFixedCode(stream: Uint8Array): boolean {
  return (stream[2]! & 7) === 3
}

test('a stream of the fixed code holds what zlib put into it; others are left to zlib, and so is what is damaged', () => {
  const strategies = fc.constantFrom(constants.Z_FIXED, constants.Z_DEFAULT_STRATEGY)
  const following = fc.uint8Array({ maxLength: 9 })
  fc.assert(
    fc.property(
      contents,
      levels,
      strategies,
      following,
      fc.nat(),
      fc.nat(7),
      (content, level, strategy, next, at, bit) => {
        const stream = deflateSync(content, { level, strategy })
        const wanted = hasFixedCode(stream) ? content : undefined
        expect(inflateFixed(stream, content.length)).toEqual(wanted)
        expect(inflateFixed(Buffer.concat([stream, next]), content.length)).toEqual(wanted)
        expect(inflateFixed(stream, content.length + 1)).toBeUndefined()
        stream[at % stream.length]! ^= 1 << bit
        const changed = inflateFixed(stream, content.length)
        if (changed !== undefined) expect(changed).toEqual(inflateSync(stream))
      },
    ),
    { numRuns: 500 },
  )
})
