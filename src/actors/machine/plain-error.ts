import type { JsonObject } from '../contracts/json.ts'

/** An error as a history holds it: what is the same everywhere. Stacks differ between machines and builds. */
export function toPlainError(error: Error): JsonObject {
  const code: unknown = 'code' in error ? error.code : undefined
  const known = typeof code === 'string' || typeof code === 'number' ? { code } : {}
  return { name: String(error.name), message: String(error.message), ...known }
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
