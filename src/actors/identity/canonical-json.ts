import type { JsonValue } from '../contracts/json.ts'
import { isWellFormed } from '../json/well-formed.ts'

/** Canonical JSON as RFC 8785 has it: keys in the order of their UTF-16 code units, no white space. Undefined properties are absent. */
export function canonicalJson(value: JsonValue): string {
  return write(value, '')
}

/** The same order, two spaces a level and one key a line, ending in a newline: the text of files inside Git trees. */
export function prettyCanonicalJson(value: JsonValue): string {
  return `${write(value, '\n')}\n`
}

/** @param line what starts a line at this level: a newline and the indentation, or nothing for the compact form */
function write(value: JsonValue, line: string): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`Expected JSON, got ${value}`)
      return `${value}` // ECMAScript's own text is what the RFC prescribes; -0 becomes 0
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      return isArray(value) ? writeArray(value, line) : writeObject(value, line)
    default:
      throw new TypeError(`Expected JSON, got ${typeof value}`)
  }
}

function writeArray(array: readonly JsonValue[], line: string): string {
  if (array.length === 0) return '[]'
  const inner = line === '' ? '' : `${line}  `
  let text = ''
  for (const element of array) text += `${text === '' ? '[' : ','}${inner}${write(element, inner)}`
  return `${text}${line}]`
}

function writeObject(object: { readonly [key: string]: JsonValue | undefined }, line: string): string {
  const inner = line === '' ? '' : `${line}  `
  const colon = line === '' ? ':' : ': '
  let text = ''
  for (const key of sortedKeys(object)) {
    const value = object[key]
    if (value === undefined) continue
    text += `${text === '' ? '{' : ','}${inner}${quote(key)}${colon}${write(value, inner)}`
  }
  return text === '' ? '{}' : `${text}${line}}`
}

/** JavaScript compares strings by UTF-16 code units, as the RFC does. Keys that stand in order already, as most do, are not sorted again. */
function sortedKeys(object: object): readonly string[] {
  const keys = Object.keys(object)
  for (let index = 1; index < keys.length; index++) {
    if ((keys[index - 1] as string) > (keys[index] as string)) return keys.sort()
  }
  return keys
}

/** Everything that is not the same text between quotes. */
const special = /["\\\p{Cc}\p{Cs}]/u

function quote(text: string): string {
  if (!special.test(text)) return `"${text}"`
  if (!isWellFormed(text)) throw new TypeError('Expected well-formed Unicode, got a lone surrogate')
  return JSON.stringify(text)
}

function isArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value)
}
