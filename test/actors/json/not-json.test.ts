import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, test } from 'vitest'
import { copyEvent, defaultEventLimits } from '../../../src/actors/json/event-copy.ts'
import { refusalOf } from './refusal-of.ts'

const copy = (value: unknown) => copyEvent(value, defaultEventLimits)
/** The refusal of an event that has `value` as a property. */
const refuse = (value: unknown) => refusalOf(() => copy({ type: 'A', bad: value }))

class Money {
  amount = 1
}

class Items extends Array {}

describe('values that are not JSON', () => {
  test.each([
    ['undefined', undefined, '`undefined`', 'null'],
    ['NaN', Number.NaN, 'NaN', 'null'],
    ['Infinity', Number.POSITIVE_INFINITY, 'Infinity', 'null'],
    ['-Infinity', Number.NEGATIVE_INFINITY, '-Infinity', 'null'],
    ['-0', -0, '-0', 'Use 0'],
    ['a BigInt', 10n, 'BigInt', 'string'],
    ['a function', () => 0, 'function', 'data'],
    ['a symbol', Symbol('s'), 'symbol', 'string'],
    ['a lone high surrogate', 'a\ud800b', 'lone surrogate', 'toWellFormed'],
    ['a lone low surrogate', '\udc00', 'lone surrogate', 'toWellFormed'],
    ['swapped surrogates', '\udc00\ud800', 'lone surrogate', 'toWellFormed'],
    ['a Date', new Date(0), 'Date', 'toISOString'],
    ['a Map', new Map(), 'Map', 'fromEntries'],
    ['a Set', new Set(), 'Set', '[...set]'],
    ['a promise', Promise.resolve(1), 'promise', 'Await'],
    ['an error', new RangeError('x'), 'Error', '{ name, message }'],
    ['a regular expression', /a/, 'RegExp', 'source'],
    ['bytes', new Uint8Array(2), 'bytes', 'base64'],
    ['a buffer', new ArrayBuffer(2), 'ArrayBuffer', 'base64'],
    ['a class instance', new Money(), 'Money', 'plain object'],
    ['a boxed string', new String('a'), 'String', 'plain'],
    ['a WeakMap', new WeakMap(), 'WeakMap', 'plain'],
    ['an array of a subclass', new Items(), 'Items', 'plain'],
    ['an object with a prototype', Object.create({ a: 1 }), 'prototype', 'plain object'],
    ['an object whose prototype has none', Object.create(Object.create(null)), 'prototype', 'plain object'],
  ])('%s', (_, value, found, instead) => {
    for (const [event, path] of [
      [{ type: 'A', bad: value }, '$.bad'],
      [{ type: 'A', list: [1, value] }, '$.list[1]'],
      [{ type: 'A', items: [0, 1, 2, { price: value }] }, '$.items[3].price'],
    ] as const) {
      const error = refusalOf(() => copy(event))
      expect(error).toMatchObject({ code: 'EVENT_INVALID', details: { path }, retryable: false })
      expect(error.message).toContain(found)
      expect(error.message).toContain(instead)
      expect(error.message).toContain(path)
    }
  })

  test('an event that is an instance itself', () => {
    expect(refusalOf(() => copy(new Date(0)))).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$' } })
    expect(refusalOf(() => copy(Object.assign(new Money(), { type: 'A' }))).message).toContain('Money')
  })
})

describe('keys', () => {
  test.each([['__proto__'], ['constructor'], ['prototype']])('%s is refused', key => {
    const inside: unknown = JSON.parse(`{"type":"A","deep":[{"${key}":{"polluted":true}}]}`)
    const error = refusalOf(() => copy(inside))
    expect(error).toMatchObject({ code: 'EVENT_INVALID', details: { path: `$.deep[0].${key}` } })
    expect(error.message).toContain('reserved key')
    expect(refusalOf(() => copy(JSON.parse(`{"type":"A","${key}":1}`))).details.path).toBe(`$.${key}`)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('a symbol is refused, enumerable or not', () => {
    expect(refuse({ [Symbol('s')]: 1 })).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.bad' } })
    expect(refuse(Object.defineProperty({}, Symbol('s'), { value: 1 })).message).toContain('symbol')
    expect(refuse(Object.assign([1], { [Symbol('s')]: 1 })).message).toContain('symbol')
  })

  test('a lone surrogate is refused', () => {
    expect(refuse({ '\ud800': 1 })).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.bad["\\ud800"]' } })
  })

  test('paths quote what is no name, and cut what is endless', () => {
    expect(refuse({ 'a b': undefined }).details.path).toBe('$.bad["a b"]')
    expect(refuse({ '': undefined }).details.path).toBe('$.bad[""]')
    expect(refuse({ 'a"\n': undefined }).details.path).toBe('$.bad["a\\"\\n"]')
    expect(refuse({ ['k'.repeat(5_000)]: undefined }).message.length).toBeLessThan(400)
  })

  test('properties that are not enumerable are no data', () => {
    expect(copy(Object.defineProperty({ type: 'A' }, 'hidden', { value: new Date() }))).toEqual({ type: 'A' })
  })

  test('what somebody added to Object.prototype is no data', () => {
    const prototype = Object.prototype as { extended?: number }
    prototype.extended = 1
    const made = copy({ type: 'A', in: {} })
    delete prototype.extended
    expect(made).toEqual({ type: 'A', in: {} })
    expect(Object.hasOwn(made, 'extended')).toBe(false)
  })
})

describe('code that would run', () => {
  let calls = 0
  afterEach(() => {
    calls = 0
  })

  test('getters and setters are refused, not called', () => {
    const getter = {
      get price() {
        calls++
        return 1
      },
    }
    const setter = Object.defineProperty({}, 'price', { set() {}, enumerable: true })
    const element = Object.defineProperty([1, 2], 1, {
      get: () => {
        calls++
        return 1
      },
      enumerable: true,
    })
    expect(refuse(getter)).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.bad.price' } })
    expect(refuse(getter).message).toContain('getter')
    expect(refuse(setter).details.path).toBe('$.bad.price')
    expect(refuse(element)).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.bad[1]' } })
    expect(refuse(element).message).toContain('getter')
    expect(calls).toBe(0)
  })

  test('toJSON is a function like any other', () => {
    expect(refuse({ toJSON: () => 1 }).details.path).toBe('$.bad.toJSON')
  })

  test('a proxy is what its traps say', () => {
    expect(copy(new Proxy({ type: 'A', in: new Proxy([1], {}) }, {}))).toEqual({ type: 'A', in: [1] })
    const liar = new Proxy({ type: 'A' }, { getPrototypeOf: () => Date.prototype })
    expect(refusalOf(() => copy(liar)).code).toBe('EVENT_INVALID')
  })

  test('what a trap throws is the cause', () => {
    const cause = new Error('trap')
    const thrower = new Proxy(
      {},
      {
        ownKeys: () => {
          throw cause
        },
      },
    )
    expect(refuse({ deep: [thrower] })).toMatchObject({
      code: 'EVENT_INVALID',
      details: { path: '$.bad.deep[0]' },
      cause,
    })
  })
})

describe('arrays', () => {
  test('a sparse one is refused at its first empty slot', () => {
    // biome-ignore lint/suspicious/noSparseArray: that is the point
    const sparse = refuse([1, , 3])
    expect(sparse).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.bad[1]' } })
    expect(sparse.message).toContain('sparse')
    expect(refuse(new Array(2)).details.path).toBe('$.bad[0]')
    const both = Object.assign(new Array(1), { extra: 1 }) // as many keys as elements
    expect(refuse(both).details.path).toBe('$.bad[0]')
    expect(refuse(both).message).toContain('sparse')
  })

  test('one with a property beside its elements is refused', () => {
    expect(refuse(Object.assign([1, 2], { total: 3 }))).toMatchObject({ details: { path: '$.bad.total' } })
    expect(refuse(Object.assign([], { total: 3 })).details.path).toBe('$.bad.total')
    expect(refuse('ab'.match(/a/)).details.path).toBe('$.bad.index')
  })
})

describe('cycles', () => {
  test('are named, where the object comes back', () => {
    const event: Record<string, unknown> = { type: 'A', items: [{ sku: 'a' }] }
    event.self = event
    const error = refusalOf(() => copy(event))
    expect(error).toMatchObject({ code: 'EVENT_INVALID', details: { path: '$.self' } })
    expect(error.message).toContain('cycle')
    expect(error.message).toContain('$.self is $ again')
  })

  test('also deep inside and through arrays', () => {
    const parent: { children: unknown[] } = { children: [] }
    parent.children.push(0, { parent })
    const error = refuse({ list: [parent] })
    expect(error.details.path).toBe('$.bad.list[0].children[1].parent')
    expect(error.message).toContain('is $.bad.list[0] again')
  })

  test('one object in two places is none', () => {
    const shared = { sku: 'a' }
    const made = copy({ type: 'A', one: shared, two: [shared] })
    expect(made).toEqual({ type: 'A', one: { sku: 'a' }, two: [{ sku: 'a' }] })
    expect(made.one).not.toBe(shared)
  })
})

describe('objects of another realm', () => {
  const other = (code: string): unknown => runInNewContext(`(${code})`)

  test('plain ones are plain', () => {
    const made = copy(other('{ type: "A", list: [1, { a: 2 }] }'))
    expect(made).toEqual({ type: 'A', list: [1, { a: 2 }] })
    expect(Object.getPrototypeOf(made)).toBe(Object.prototype)
  })

  test('instances are not', () => {
    expect(refuse(other('new Date(0)')).message).toContain('Date')
    expect(refuse(other('new (class Money {})')).message).toContain('Money')
    expect(refuse(other('new (class Items extends Array {})')).message).toContain('Items')
  })
})

test('objects without a prototype become ordinary ones', () => {
  const bare = Object.assign(Object.create(null), { type: 'A', toString: 'x' })
  const made = copy(bare)
  expect(made).toEqual({ type: 'A', toString: 'x' })
  expect(Object.getPrototypeOf(made)).toBe(Object.prototype)
})
