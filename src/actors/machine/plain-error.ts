import type { JsonObject } from '../contracts/json.ts'
import { toWellFormed } from '../json/well-formed.ts'

/** Whether `value` is an error, also one of another realm: what Node itself throws at code that a test runner runs in a `vm`. */
export function isError(value: unknown): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]'
}

/** An error as a history holds it: what is the same everywhere. Stacks differ between machines and builds, and a text may be cut anywhere. */
export function toPlainError(error: Error): JsonObject {
  const code = read(() => (error as { readonly code?: unknown }).code)
  const known = typeof code === 'string' ? { code: toWellFormed(code) } : typeof code === 'number' ? { code } : {}
  const name = read(() => toWellFormed(String(error.name))) ?? 'Error'
  const message = read(() => toWellFormed(String(error.message))) ?? 'the message cannot be read'
  return { name, message, ...known }
}

/** Properties of an error can be getters that throw. */
function read<T>(property: () => T): T | undefined {
  try {
    return property()
  } catch {
    return undefined
  }
}

/** The `Error` that {@link toPlainError} was given, as far as it can be rebuilt. */
export function fromPlainError(plain: JsonObject): Error {
  const error = new Error(String(plain.message))
  // Not enumerable, as on every error: a rebuilt one must look like the one that was thrown.
  if (plain.name !== error.name)
    Object.defineProperty(error, 'name', { value: String(plain.name), configurable: true, writable: true })
  if (plain.code !== undefined) Object.assign(error, { code: plain.code })
  return error
}
