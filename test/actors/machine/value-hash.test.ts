import fc from 'fast-check'
import { expect, test } from 'vitest'
import { firstDifference } from '../../../src/actors/json/differences.ts'
import { hashValue } from '../../../src/actors/machine/value-hash.ts'

const json = fc.jsonValue({ maxDepth: 4 }).map(value => JSON.parse(JSON.stringify(value)))

/** The same value in other objects, with its keys the other way round and properties that are `undefined`. */
function rebuilt(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(rebuilt)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).reverse()
  return Object.fromEntries([...entries.map(([key, item]) => [key, rebuilt(item)]), ['absent!', undefined]])
}

test('equal values have equal hashes, whatever the order of their keys', () => {
  fc.assert(
    fc.property(json, value => {
      expect(hashValue(rebuilt(value))).toBe(hashValue(value))
    }),
  )
})

test('different values have different hashes', () => {
  fc.assert(
    fc.property(json, json, (a, b) => {
      expect(hashValue(a) === hashValue(b)).toBe(firstDifference(a, b, '$') === undefined)
    }),
  )
})

test('small changes, and moves from one place to another, are seen', () => {
  const values = [
    0, 1, -1, 0.1, 1e300, 2 ** 31, 2 ** 32, '', '0', 'a', 'b', 'ab', 'ba', null, true, false,
    [], [0], [[]], [0, 1], [1, 0], {}, { a: 0 }, { b: 0 }, { a: { b: 0 } }, { a: 0, b: 1 }, { a: 1, b: 0 }, { a: 'b' }, { b: 'a' },
    'x'.repeat(100), 'x'.repeat(101), Array.from({ length: 40 }, () => 0), Array.from({ length: 41 }, () => 0),
  ] // biome-ignore format: one a line would be a page
  expect(new Set(values.map(hashValue)).size).toBe(values.length)
})

test('a large part is hashed once: what is shared with the state before is not walked again', () => {
  let walks = 0
  const large = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, i]))
  Object.defineProperty(large, 'k0', { enumerable: true, get: () => ++walks && 0 })
  const first = hashValue({ large, other: 1 })
  expect(walks).toBe(1)
  expect(hashValue({ large, other: 2 })).not.toBe(first)
  expect(hashValue({ large, other: 1 })).toBe(first)
  expect(walks).toBe(1)
})

test('the format is stored, and so never changes', () => {
  const sample = { text: 'zwei Äpfel 🍎', n: [1, -1, 0.5, 1e300, 2 ** 40], flag: true, none: null, deep: { a: {} } }
  expect(hashValue(sample) >>> 0).toMatchInlineSnapshot(`2514182896`)
  expect(hashValue('x'.repeat(1000)) >>> 0).toMatchInlineSnapshot(`828607707`)
})
