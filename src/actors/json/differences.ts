import type { JsonValue } from '../contracts/json.ts'

/** A place where two JSON values differ; what is not there is `undefined`. */
export interface JsonDifference {
  readonly path: string
  readonly before: JsonValue | undefined
  readonly after: JsonValue | undefined
}

/** The path of the first place where two JSON values differ, or `undefined`. The order of keys does not count. */
export function firstDifference(a: JsonValue | undefined, b: JsonValue | undefined, path: string): string | undefined {
  for (const difference of differences(a, b, path)) return difference.path
  return undefined
}

/** The innermost places where two JSON values differ, by path; of arrays by index. The order of keys does not count. */
export function* differences(
  before: JsonValue | undefined,
  after: JsonValue | undefined,
  path: string,
): Generator<JsonDifference, void, void> {
  if (before === after) return
  const [one, other] = [partsOf(before), partsOf(after)]
  if (one === undefined || other === undefined || Array.isArray(before) !== Array.isArray(after)) {
    yield { path, before, after }
  } else if (Array.isArray(before) && Array.isArray(after)) {
    for (let i = 0; i < Math.max(before.length, after.length); i++)
      yield* differences(before[i] as JsonValue, after[i] as JsonValue, `${path}[${i}]`)
  } else {
    for (const key of [...new Set([...Object.keys(one), ...Object.keys(other)])].sort())
      yield* differences(one[key], other[key], `${path}.${key}`)
  }
}

function partsOf(value: JsonValue | undefined): Readonly<Record<string, JsonValue | undefined>> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, JsonValue | undefined>>)
    : undefined
}
