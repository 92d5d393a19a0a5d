import { expect, test } from 'vitest'
import { XMachinesError } from '../../src/actors/errors.ts'
import { check, equal, rejects } from '../../src/testing/check.ts'

const same: [unknown, unknown][] = [
  [1, 1],
  [5n, 5],
  [{ at: 2n ** 60n }, { at: 2n ** 60n }],
  [Number.NaN, Number.NaN],
  [{ a: undefined }, {}],
  [
    [1, [2, { b: 'x' }]],
    [1, [2, { b: 'x' }]],
  ],
  [Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
]

const different: [unknown, unknown][] = [
  [1, 2],
  [1, '1'],
  [0, -0],
  [2n ** 60n, Number(2n ** 60n) + 1024],
  [2n ** 60n, 2n ** 60n + 1n],
  [null, undefined],
  [{}, []],
  [[1], [1, undefined]],
  [[1, 2], [1]],
  [{ a: 1 }, { a: 1, b: null }],
  [{ a: { b: [1, 2] } }, { a: { b: [1, 3] } }],
  [{}, { constructor: Object }],
]

test('equal: passes what is the same data', () => {
  for (const [actual, expected] of same) equal(actual, expected, 'it')
})

test('equal: throws for what is not, either way round', () => {
  for (const [actual, expected] of different) {
    expect(() => equal(actual, expected, 'it')).toThrow('Expected it to be')
    expect(() => equal(expected, actual, 'it')).toThrow('Expected it to be')
  }
})

test('equal: names the place and both values', () => {
  expect(() => equal({ a: { b: [1, 2n] } }, { a: { b: [1, 3] } }, 'it')).toThrow('At a.b.1: "2n" instead of 3.')
})

test('check: throws its claim', () => {
  check(true, 'it holds')
  expect(() => check(false, 'it holds')).toThrow('Expected that it holds.')
})

test('rejects: takes the right code only', async () => {
  const closed = (): Promise<never> => Promise.reject(new XMachinesError('STORE_CLOSED', 'closed'))
  await rejects(closed(), 'STORE_CLOSED', 'it')
  await rejects(Promise.reject(new TypeError('wrong')), 'misuse', 'it')
  await expect(rejects(closed(), 'ABORTED', 'it')).rejects.toThrow('reject with ABORTED, got STORE_CLOSED')
  await expect(rejects(closed(), 'misuse', 'it')).rejects.toThrow('reject with misuse')
  await expect(rejects(Promise.resolve(1), 'ABORTED', 'it')).rejects.toThrow('it resolved to 1')
})
