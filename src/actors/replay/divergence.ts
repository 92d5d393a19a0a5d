import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { Unit } from '../contracts/unit.ts'

/** How a unit that is decided again differs from what was recorded. */
export interface Divergence {
  readonly seq: number
  /** What differs. `missing`: nothing was recorded to compare with. */
  readonly kind: 'state' | 'outputs' | 'effects' | 'missing'
  readonly expected: JsonValue
  readonly actual: JsonValue
  /** The first place that differs, such as `$[0].total`. */
  readonly path: string
}

/** Whether the recorded outputs of a unit are what the machine emits now. */
export function outputsDivergence(unit: Unit, actual: readonly RecordedEvent[]): Divergence | undefined {
  const expected = unit.outputs
  if (expected.length === 0 && actual.length === 0) return undefined
  const path = firstDifference(expected, actual, '$')
  return path === undefined ? undefined : { seq: unit.seq, kind: 'outputs', expected, actual, path }
}

/** The path of the first place where two JSON values differ, or `undefined`. The order of keys does not count. */
export function firstDifference(a: JsonValue | undefined, b: JsonValue | undefined, path: string): string | undefined {
  if (a === b) return undefined
  if (
    typeof a !== 'object' ||
    typeof b !== 'object' ||
    a === null ||
    b === null ||
    Array.isArray(a) !== Array.isArray(b)
  )
    return path
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.max(a.length, b.length); i++) {
      const found = i < a.length && i < b.length ? firstDifference(a[i], b[i], `${path}[${i}]`) : `${path}[${i}]`
      if (found !== undefined) return found
    }
    return undefined
  }
  const [one, other] = [
    a as Readonly<Record<string, JsonValue | undefined>>,
    b as Readonly<Record<string, JsonValue | undefined>>,
  ]
  for (const key of [...new Set([...Object.keys(one), ...Object.keys(other)])].sort()) {
    const found = firstDifference(one[key], other[key], `${path}.${key}`)
    if (found !== undefined) return found
  }
  return undefined
}
