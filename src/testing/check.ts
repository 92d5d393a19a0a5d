import { type ErrorCode, messageOf, XMachinesError } from '../actors/errors.ts'

/*
 * The few assertions that the published suites need, so that they bind no test runner.
 */

/** Throws unless `fact` holds. @param claim what should hold, as a sentence */
export function check(fact: boolean, claim: string): asserts fact {
  if (!fact) throw new Error(`Expected that ${claim}.`)
}

/**
 * Throws unless both are the same data. A property that is `undefined` counts as absent, prototypes do not count, and a
 * bigint equals the number of its value, as for positions.
 */
export function equal(actual: unknown, expected: unknown, what: string): void {
  const found = difference(actual, expected, '')
  if (found === undefined) return
  const { path, left, right } = found
  const at = path === '' ? '' : ` At ${path}: ${shown(left)} instead of ${shown(right)}.`
  throw new Error(`Expected ${what} to be ${shown(expected)}, got ${shown(actual)}.${at}`)
}

/** Throws unless `promise` rejects with `code`, or with a TypeError for `'misuse'`. Returns the error. */
export async function rejects(promise: Promise<unknown>, code: ErrorCode | 'misuse', what: string): Promise<unknown> {
  let value: unknown
  try {
    value = await promise
  } catch (error) {
    const fits = code === 'misuse' ? error instanceof TypeError : XMachinesError.is(error, code)
    if (fits) return error
    const got = XMachinesError.is(error) ? error.code : `${String(error)}`
    throw new Error(`Expected ${what} to reject with ${code}, got ${got}: ${messageOf(error)}`, { cause: error })
  }
  throw new Error(`Expected ${what} to reject with ${code}; it resolved to ${shown(value)}.`)
}

interface Difference {
  readonly path: string
  readonly left: unknown
  readonly right: unknown
}

/** The first difference, if there is one. */
function difference(a: unknown, b: unknown, path: string): Difference | undefined {
  if (Object.is(a, b) || sameNumber(a, b)) return undefined
  const here = { path, left: a, right: b }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return here
  if (Array.isArray(a) !== Array.isArray(b)) return here
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return { ...here, path: `${path}(length)` }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = difference(own(left, key), own(right, key), path === '' ? key : `${path}.${key}`)
    if (found !== undefined) return found
  }
  return undefined
}

function own(object: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

/** 5 and 5n are one position; 0 and −0 are not one number. */
function sameNumber(a: unknown, b: unknown): boolean {
  if (typeof a === 'bigint' && typeof b === 'number') return a >= b && a <= b
  return typeof a === 'number' && typeof b === 'bigint' && sameNumber(b, a)
}

/** Data as text for a message, cut to what fits. */
function shown(value: unknown): string {
  const text = JSON.stringify(value, (_key, part) => (typeof part === 'bigint' ? `${part}n` : part)) ?? String(value)
  return text.length > 400 ? `${text.slice(0, 400)}… (${text.length} characters)` : text
}
