import { type ErrorCode, XMachinesError } from '../../actors/errors.ts'

/** Fails with `text` unless `condition` holds. */
export function check(condition: unknown, text: string): asserts condition {
  if (!condition) throw new Error(text)
}

/** Fails unless both show the same: plain data, bytes, maps. */
export function same(actual: unknown, expected: unknown, what: string): void {
  const [got, wanted] = [show(actual), show(expected)]
  check(got === wanted, `${what}: expected ${wanted}, got ${got}.`)
}

/** Fails unless `operation` rejects, or throws, with `code`. */
export async function refused(operation: () => Promise<unknown>, code: ErrorCode, what: string): Promise<void> {
  let failure: unknown
  try {
    await operation()
  } catch (error) {
    check(XMachinesError.is(error, code), `${what}: expected ${code}, got ${show(error)}.`)
    failure = error
  }
  check(failure !== undefined, `${what}: expected ${code}, but it succeeded.`)
}

/** UTF-8 of `text`. */
export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** Text of UTF-8. */
export function text(bytes: Uint8Array | null): string | null {
  return bytes && new TextDecoder().decode(bytes)
}

/** 0, 1, … as many as `count`. */
export function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, at) => at)
}

function show(value: unknown): string {
  if (value instanceof Error) return 'code' in value ? `${value.code}: ${value.message}` : String(value)
  return String(JSON.stringify(value, plain))
}

function plain(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Array.from(value).join(' ')}`
  if (value instanceof Map) return [...value].sort(([a], [b]) => (a < b ? -1 : 1))
  return value
}
