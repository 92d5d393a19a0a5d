import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { NewUnit, SourcePosition } from '../../src/actors/contracts/unit.ts'
import { parseRest, unitRest } from '../../src/persistence/unit-text.ts'

const source = fc.record({
  id: fc.string({ unit: 'grapheme' }),
  position: fc.oneof(fc.bigInt({ min: 0n, max: 2n ** 63n }), fc.nat()),
})

const unitOf = (sources: readonly SourcePosition[]): NewUnit => ({
  seq: 1,
  at: 0,
  events: [],
  origin: { kind: 'outside' },
  outputs: [],
  sources,
})

test('sources read back as they were written: none, one, several, of any name', () => {
  fc.assert(
    fc.property(fc.array(source, { maxLength: 3 }), sources => {
      expect(parseRest(`${unitRest(unitOf(sources))}}`).sources ?? []).toEqual(
        sources.map(({ id, position }) => ({ id, position: typeof position === 'bigint' ? `${position}` : position })),
      )
    }),
    { examples: [[[]]] },
  )
})
