import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { copyJson } from '../../../src/actors/json/json-copy.ts'
import { refusalOf } from './refusal-of.ts'

const input = { name: 'The input of the run', code: 'INPUT_INVALID' } as const
const outcome = { name: 'The outcome', code: 'OUTCOME_NOT_JSON', tooLarge: 'OUTCOME_TOO_LARGE' } as const

const json = fc
  .jsonValue({ stringUnit: 'binary' })
  .map((value): unknown => JSON.parse(JSON.stringify(value))) // -0 becomes 0
  .filter(value => !/"(__proto__|constructor|prototype)":/.test(JSON.stringify(value)))

test('any JSON value is copied, and frozen', () => {
  fc.assert(
    fc.property(json, value => {
      const made = copyJson(value, input)
      expect(made).toEqual(value)
      expect(JSON.stringify(made)).toBe(JSON.stringify(value))
      expect(Object.isFrozen(made)).toBe(true)
    }),
  )
})

test.each([[null], [true], [0], [''], ['x']])('%j is JSON by itself', value => {
  expect(copyJson(value, input)).toBe(value)
})

test('errors carry the code and the name that were asked for', () => {
  const error = refusalOf(() => copyJson({ when: new Date(0) }, input))
  expect(error).toMatchObject({ code: 'INPUT_INVALID', details: { path: '$.when' } })
  expect(error.message).toMatch(/^The input of the run holds a Date at \$\.when\. /)
  const itself = refusalOf(() => copyJson(undefined, outcome))
  expect(itself).toMatchObject({ code: 'OUTCOME_NOT_JSON', details: { path: '$' } })
  expect(itself.message).toMatch(/^The outcome is `undefined`\. /)
})

describe('undefined', () => {
  const value = { a: undefined, b: { c: undefined, d: [{ e: undefined }] } }

  test('is refused as a property', () => {
    expect(refusalOf(() => copyJson(value, input)).details.path).toBe('$.a')
  })

  test('is left out where that is asked for', () => {
    const made = copyJson(value, input, { undefinedIsAbsent: true })
    expect(made).toStrictEqual({ b: { d: [{}] } })
  })

  test('is never an element, nor a value by itself', () => {
    const absent = { undefinedIsAbsent: true }
    expect(refusalOf(() => copyJson({ b: [1, undefined] }, input, absent)).details.path).toBe('$.b[1]')
    expect(refusalOf(() => copyJson(undefined, input, absent)).details.path).toBe('$')
    // biome-ignore lint/suspicious/noSparseArray: that is the point
    expect(refusalOf(() => copyJson([,], input, absent)).details.path).toBe('$[0]')
  })

  test('a setter without a getter is not undefined', () => {
    const value = Object.defineProperty({}, 'a', { set() {}, enumerable: true })
    expect(refusalOf(() => copyJson(value, input, { undefinedIsAbsent: true })).details.path).toBe('$.a')
  })
})

describe('limits', () => {
  test('bytes', () => {
    const value = { text: 'é\u0000' }
    const bytes = new TextEncoder().encode(JSON.stringify(value)).length
    expect(copyJson(value, outcome, { maxBytes: bytes })).toEqual(value)
    expect(refusalOf(() => copyJson(value, outcome, { maxBytes: bytes - 1 })).code).toBe('OUTCOME_TOO_LARGE')
    expect(refusalOf(() => copyJson(value, input, { maxBytes: bytes - 1 })).code).toBe('INPUT_INVALID')
  })

  test('no limit of bytes, and 256 levels, by default', () => {
    expect(copyJson('x'.repeat(3_000_000), input)).toHaveLength(3_000_000)
    let deep: unknown = 1
    for (let level = 0; level < 256; level++) deep = [deep]
    expect(copyJson(deep, input)).toEqual(deep)
    expect(refusalOf(() => copyJson([deep], input)).message).toContain('deeper than 256')
    expect(refusalOf(() => copyJson([[1]], input, { maxDepth: 1 })).details.path).toBe('$[0]')
  })

  test('a cycle is one, whatever the limits', () => {
    const loop: unknown[] = []
    loop.push(loop)
    expect(refusalOf(() => copyJson(loop, input))).toMatchObject({ code: 'INPUT_INVALID', details: { path: '$[0]' } })
    expect(refusalOf(() => copyJson(loop, input, { maxDepth: 1 })).message).toContain('cycle')
  })
})
