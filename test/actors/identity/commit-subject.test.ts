import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commitSubject, joinForSubject } from '../../../src/actors/identity/commit-subject.ts'

test('ordinary text stays', () => {
  expect(commitSubject('12 PLACE, ADD_ITEM é € 👩‍🚀')).toBe('12 PLACE, ADD_ITEM é € 👩‍🚀')
})

test.each([
  ['\n', String.raw`\u000a`],
  ['\r', String.raw`\u000d`],
  ['\0', String.raw`\u0000`],
  ['\u001b[31m', String.raw`\u001b[31m`],
  ['\u007f', String.raw`\u007f`],
  ['\u0085', String.raw`\u0085`],
  ['\u009b', String.raw`\u009b`],
  ['\u061c', String.raw`\u061c`],
  ['\u200e\u200f', String.raw`\u200e\u200f`],
  ['\u202a\u202b\u202c\u202d\u202e', String.raw`\u202a\u202b\u202c\u202d\u202e`],
  ['\u2066\u2067\u2068\u2069', String.raw`\u2066\u2067\u2068\u2069`],
  ['\u2028\u2029', String.raw`\u2028\u2029`],
])('%j is shown, not obeyed', (raw, shown) => {
  expect(commitSubject(`1 ${raw}`)).toBe(`1 ${shown}`)
})

test('whatever comes in, one showable line of at most 100 units of well-formed Unicode comes out', () => {
  const hostile = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\n', '\u202e', '😀', '\u0007', 'A'))
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 120 }), parts => {
      const subject = commitSubject(joinForSubject('1', parts))
      expect(subject).toMatch(/^1/)
      expect(subject).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Zl}\p{Zp}\p{Cs}]/u)
      expect(subject.length).toBeLessThanOrEqual(100)
    }),
  )
})

test('up to 100 characters stay whole, more are cut with a sign of it', () => {
  expect(commitSubject('a'.repeat(100))).toBe('a'.repeat(100))
  expect(commitSubject('a'.repeat(101))).toBe(`${'a'.repeat(99)}…`)
  expect(commitSubject('\n'.repeat(60))).toHaveLength(100)
})

test.each([[97], [98], [99], [100]])('a pair of surrogates after %i characters is cut whole or not at all', length => {
  const subject = commitSubject(`${'a'.repeat(length)}😀😀`)
  expect(subject).not.toMatch(/\p{Cs}/u)
  expect(subject.startsWith('a'.repeat(Math.min(length, 99)))).toBe(true)
})

test('a list is joined', () => {
  expect(joinForSubject('7', ['A', 'B', 'C'])).toBe('7 A, B, C')
})
