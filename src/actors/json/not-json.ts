/** What stands where JSON should stand, in words, and what to write there. */
export interface NotJson {
  readonly found: string
  readonly instead: string
}

/** Ordinary classes that people put into events, and how their content is said in JSON. */
const classes: readonly (readonly [type: new (...args: never) => object, found: string, instead: string])[] = [
  [Date, 'a Date', 'Use `date.toISOString()` or `date.getTime()`.'],
  [Map, 'a Map', 'Use `Object.fromEntries(map)` or `[...map]`.'],
  [Set, 'a Set', 'Use `[...set]`.'],
  [Promise, 'a promise', 'Await it first.'],
  [Error, 'an Error', 'Use `{ name, message }`.'],
  [RegExp, 'a RegExp', 'Use `regexp.source`.'],
  [ArrayBuffer, 'an ArrayBuffer', 'Use a base64 string.'],
]

/** Says why `value` itself is not JSON, whatever it may contain. */
export function describeNotJson(value: unknown): NotJson {
  switch (typeof value) {
    case 'undefined':
      return { found: '`undefined`', instead: 'Leave the property out, or use `null`.' }
    case 'number':
      return Object.is(value, -0)
        ? { found: '-0', instead: 'Use 0: JSON text does not keep the sign.' }
        : { found: String(value), instead: 'Use `null` or a string.' }
    case 'bigint':
      return { found: 'a BigInt', instead: 'Use a string, or a number up to 2 ** 53.' }
    case 'string':
      return { found: 'a string with a lone surrogate', instead: 'Use `text.toWellFormed()`; for bytes, base64.' }
    case 'function':
      return { found: 'a function', instead: 'Use data only; the machine holds the behaviour.' }
    case 'symbol':
      return { found: 'a symbol', instead: 'Use a string.' }
    default:
      return describeInstance(value as object)
  }
}

function describeInstance(value: object): NotJson {
  const instead = 'Use a plain object or array with its data.'
  try {
    for (const [type, found, hint] of classes) if (value instanceof type) return { found, instead: hint }
    if (ArrayBuffer.isView(value)) return { found: 'a view of bytes', instead: 'Use a base64 string.' }
    const name: unknown = value.constructor?.name
    if (typeof name === 'string' && name !== '' && name !== 'Object') {
      return { found: `an instance of ${name.slice(0, 60)}`, instead }
    }
  } catch {
    // A proxy or a prototype of somebody's own making: whatever it throws here says less than the line below.
  }
  return { found: 'an object with a prototype of its own', instead }
}
