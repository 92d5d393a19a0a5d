import type { JsonValue } from '../contracts/json.ts'
import { Finding, refusal } from './finding.ts'
import { describeNotJson } from './not-json.ts'
import type { WalkOptions } from './walk-options.ts'
import { isWellFormed } from './well-formed.ts'

/**
 * Validates, copies and deep-freezes a value in one pass. Never changes it and never calls a getter.
 * @param root the value's place in the paths of errors
 */
export function walkJson(value: unknown, options: WalkOptions, root = '$'): JsonValue {
  return walked(new Walk(options, false), value, options, root)
}

/**
 * As {@link walkJson}, for what `JSON.parse` has just made: that is plain data and nobody else has it, so it is frozen
 * where it lies. JSON text can say what a history does not hold: `-0`, `1e999`, half of a surrogate pair, `__proto__`.
 */
export function walkParsed(value: unknown, options: WalkOptions, root = '$'): JsonValue {
  return walked(new Walk(options, true), value, options, root)
}

function walked(walk: Walk, value: unknown, options: WalkOptions, root: string): JsonValue {
  try {
    const copy = walk.take(value, 0)
    walk.checkBytes(copy)
    return copy
  } catch (thrown) {
    throw refusal(Finding.of(thrown), options, root)
  }
}

/** Keys that mean something to JavaScript itself: as data they would reach prototypes sooner or later. */
function isReservedKey(key: string): boolean {
  return key === '__proto__' || key === 'constructor' || key === 'prototype'
}

/** `Object.prototype` of this realm, of another one (a test runner's, a frame's), or none. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return true
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
}

/** `Array.prototype` of any realm is an array itself; a subclass's prototype is none. */
function isPlainArray(value: readonly unknown[]): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Array.prototype || Array.isArray(prototype)
}

/** Finds the getter of an element at a third of what its descriptor costs; for a named property there is no difference. */
const { __lookupGetter__: lookupGetter } = Object.prototype as unknown as {
  __lookupGetter__(this: object, key: string | number): unknown
}

class Walk {
  /** Lengths of all strings and keys. With `values` they bound the bytes from both sides, so that nearly no value is ever measured. */
  private chars = 0
  private values = 0
  private readonly options: WalkOptions
  private readonly isParsed: boolean

  constructor(options: WalkOptions, isParsed: boolean) {
    this.options = options
    this.isParsed = isParsed
  }

  take(value: unknown, depth: number): JsonValue {
    this.values++
    if (this.chars + this.values > this.options.limits.maxBytes) throw this.tooManyBytes()
    switch (typeof value) {
      case 'string':
        if (!isWellFormed(value)) break
        this.chars += value.length
        return value
      case 'number':
        if (!Number.isFinite(value) || Object.is(value, -0)) break
        return value
      case 'boolean':
        return value
      case 'object':
        if (value === null) return null
        if (depth >= this.options.limits.maxDepth) throw new Finding('deep', '', '', value)
        if (Array.isArray(value))
          return this.isParsed ? this.freezeArray(value, depth + 1) : this.copyArray(value, depth + 1)
        return this.isParsed
          ? this.freezeObject(value as Record<string, unknown>, depth + 1)
          : this.copyObject(value, depth + 1)
    }
    throw notJson(value)
  }

  /** Measures what the bounds leave open. */
  checkBytes(copy: JsonValue): void {
    // At most 6 bytes a character (\u0000), 25 for a number and a few for punctuation: 32 a value.
    const { maxBytes } = this.options.limits
    if (this.chars + this.values > maxBytes) throw this.tooManyBytes()
    if (this.chars * 6 + this.values * 32 <= maxBytes) return
    const bytes = new TextEncoder().encode(JSON.stringify(copy)).length
    if (bytes > maxBytes) throw this.tooManyBytes(`${bytes} bytes, `)
  }

  private copyObject(source: object, depth: number): JsonValue {
    if (!isPlain(source)) throw notJson(source)
    if (Object.getOwnPropertySymbols(source).length > 0) throw symbolKey()
    const copy: Record<string, JsonValue> = {}
    let key = ''
    try {
      for (key in source) {
        const property = Object.getOwnPropertyDescriptor(source, key)
        if (property === undefined) continue // inherited: somebody extended Object.prototype
        if (property.get !== undefined || property.set !== undefined) throw accessor()
        if (property.value === undefined && this.options.undefinedIsAbsent) continue
        this.checkKey(key)
        copy[key] = this.take(property.value, depth)
      }
    } catch (thrown) {
      throw Finding.of(thrown).inside(source, key)
    }
    return Object.freeze(copy)
  }

  private copyArray(source: readonly unknown[], depth: number): JsonValue {
    const { length } = source
    if (!isPlainArray(source)) throw notJson(source)
    if (this.values + length > this.options.limits.maxBytes) throw this.tooManyBytes()
    checkKeys(source)
    const copy: JsonValue[] = []
    let index = 0
    try {
      for (; index < length; index++) {
        if (lookupGetter.call(source, index) !== undefined) throw accessor()
        copy.push(this.take(source[index], depth))
      }
    } catch (thrown) {
      throw Finding.of(thrown).inside(source, index)
    }
    return Object.freeze(copy)
  }

  private freezeArray(parsed: unknown[], depth: number): JsonValue {
    if (this.values + parsed.length > this.options.limits.maxBytes) throw this.tooManyBytes()
    let index = 0
    try {
      for (; index < parsed.length; index++) this.take(parsed[index], depth)
    } catch (thrown) {
      throw Finding.of(thrown).inside(parsed, index)
    }
    return Object.freeze(parsed) as JsonValue
  }

  private freezeObject(parsed: Record<string, unknown>, depth: number): JsonValue {
    let key = ''
    try {
      for (key in parsed) {
        if (!Object.hasOwn(parsed, key)) continue // inherited: somebody extended Object.prototype
        this.checkKey(key)
        this.take(parsed[key], depth)
      }
    } catch (thrown) {
      throw Finding.of(thrown).inside(parsed, key)
    }
    return Object.freeze(parsed) as JsonValue
  }

  private checkKey(key: string): void {
    if (isReservedKey(key)) throw new Finding('not-json', `the reserved key \`${key}\``, 'Rename the key.')
    if (!isWellFormed(key)) throw new Finding('not-json', 'a key with a lone surrogate', 'Rename the key.')
    this.chars += key.length
  }

  private tooManyBytes(measured = ''): Finding {
    return new Finding('large', `${measured}over ${this.options.limits.maxBytes} bytes of JSON`, '')
  }
}

/** An array has its elements and nothing else. Its keys come in order, elements first: so the last one tells. */
function checkKeys(source: readonly unknown[]): void {
  const keys = Object.keys(source)
  const last = source.length - 1
  if (Object.getOwnPropertySymbols(source).length > 0) throw symbolKey()
  if (keys.length === source.length && (last < 0 || keys[last] === String(last))) return
  for (let index = 0; index <= last; index++) {
    if (keys[index] === String(index)) continue
    throw new Finding('not-json', 'an empty slot of a sparse array', 'Use `null`.').inside(source, index)
  }
  const extra = keys[source.length] ?? ''
  throw new Finding('not-json', 'a property of an array', 'Use an object around the array.').inside(source, extra)
}

function notJson(value: unknown): Finding {
  const { found, instead } = describeNotJson(value)
  return new Finding('not-json', found, instead)
}

function symbolKey(): Finding {
  return new Finding('not-json', 'an object or array with a symbol as key', 'Use a string key.')
}

function accessor(): Finding {
  return new Finding('not-json', 'a getter or setter', 'Use the value itself: `{ ...object }`.')
}
