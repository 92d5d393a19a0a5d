import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { JsonValue } from '../../../src/actors/contracts/json.ts'
import { canonicalJson, prettyCanonicalJson } from '../../../src/actors/identity/canonical-json.ts'

/** JSON as text has it: without -0. */
const json = fc.jsonValue().map((value): JsonValue => JSON.parse(JSON.stringify(value)))

/** The same value with its keys inserted in an order that `seed` decides. */
function reordered(value: JsonValue, seed: number): JsonValue {
  if (Array.isArray(value)) return value.map(element => reordered(element, seed))
  if (typeof value !== 'object' || value === null) return value
  const rank = (key: string) => [...key].reduce((sum, c) => (sum * 31 + c.charCodeAt(0) + seed) % 65_521, seed)
  const entries = Object.entries(value).sort(([a], [b]) => rank(a) - rank(b))
  return Object.fromEntries(entries.map(([key, inner]) => [key, reordered(inner as JsonValue, seed)]))
}

function float(bits: string): number {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, BigInt(`0x${bits}`))
  return view.getFloat64(0)
}

describe('RFC 8785', () => {
  // Appendix B.
  test.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('the number of bits %s is %s', (bits, text) => {
    expect(canonicalJson(float(bits))).toBe(text)
  })

  test.each([['7fffffffffffffff'], ['7ff0000000000000'], ['fff0000000000000']])('bits %s are no number', bits => {
    expect(() => canonicalJson({ a: [float(bits)] })).toThrow(TypeError)
  })

  test('values, sections 3.2.2 and 3.2.4', () => {
    const input = JSON.parse(String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`)
    const text = String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`
    expect(canonicalJson(input)).toBe(text)
  })

  test('keys by UTF-16 code units, section 3.2.3', () => {
    const input = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    }
    expect(Object.values(JSON.parse(canonicalJson(input)))).toHaveLength(7)
    expect(canonicalJson(input)).toBe(
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis",' +
        '"€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    )
  })

  test('keys that look like numbers are in the order of text, not of numbers', () => {
    const input = { '1': { f: { f: 'hi', F: 5 }, '\n': 56 }, '10': {}, '': 'empty', a: {}, '111': [{}], '9': 0, A: {} }
    expect(canonicalJson(input)).toBe(
      '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{}],"9":0,"A":{},"a":{}}',
    )
  })

  test('lone surrogates are refused, in values and in keys', () => {
    expect(() => canonicalJson('\ud800')).toThrow(TypeError)
    expect(() => canonicalJson({ '\udc00': 1 })).toThrow(TypeError)
  })
})

describe('laws', () => {
  test('any order of keys gives one text', () => {
    fc.assert(
      fc.property(json, fc.nat(), (value, seed) => {
        const other = reordered(value, seed)
        expect(canonicalJson(other)).toBe(canonicalJson(value))
        expect(prettyCanonicalJson(other)).toBe(prettyCanonicalJson(value))
      }),
    )
  })

  test('parsing gives the value back, from both forms', () => {
    fc.assert(
      fc.property(json, value => {
        expect(JSON.parse(canonicalJson(value))).toEqual(value)
        expect(JSON.parse(prettyCanonicalJson(value))).toEqual(value)
      }),
    )
  })

  test('both forms are those of JSON.stringify where the keys stand in order', () => {
    fc.assert(
      fc.property(json, value => {
        const sorted = JSON.parse(canonicalJson(value))
        fc.pre(!/"\d+":/.test(canonicalJson(value))) // JavaScript itself moves such keys
        expect(canonicalJson(value)).toBe(JSON.stringify(sorted))
        expect(prettyCanonicalJson(value)).toBe(`${JSON.stringify(sorted, null, 2)}\n`)
      }),
    )
  })

  test('different values give different texts', () => {
    fc.assert(
      fc.property(json, json, (one, other) => {
        fc.pre(JSON.stringify(reordered(one, 0)) !== JSON.stringify(reordered(other, 0)))
        expect(canonicalJson(one)).not.toBe(canonicalJson(other))
      }),
    )
  })
})

test('a property that is undefined is absent', () => {
  expect(canonicalJson({ a: undefined, b: 1, c: { d: undefined } })).toBe('{"b":1,"c":{}}')
  expect(prettyCanonicalJson({ a: undefined, b: undefined })).toBe('{}\n')
})

test('pretty text has one key a line and ends in a newline', () => {
  expect(prettyCanonicalJson([{ type: 'ADD', item: { sku: 'a', tags: [] } }])).toBe(
    '[\n  {\n    "item": {\n      "sku": "a",\n      "tags": []\n    },\n    "type": "ADD"\n  }\n]\n',
  )
})

test.each([
  ['undefined', undefined],
  ['a function', () => 0],
  ['a symbol', Symbol('s')],
  ['a BigInt', 1n],
])('%s is refused', (_, value) => {
  expect(() => canonicalJson([value] as unknown as JsonValue)).toThrow(TypeError)
})
