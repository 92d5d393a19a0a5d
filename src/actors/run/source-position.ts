import type { SourcePosition } from '../contracts/unit.ts'
import { checkName } from '../identity/run-key.ts'

/** A caller's source position, copied. @throws TypeError when it is none: no store could read back what it writes of it */
export function toSourcePosition(given: SourcePosition): SourcePosition {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`Expected \`source\` to be { id, position }, got \`${String(given)}\` (${typeof given}).`)
  const { id, position } = given
  checkName('source.id', id)
  if (typeof position !== 'bigint' && !Number.isFinite(position))
    throw new TypeError(
      `Expected \`source.position\` to be a bigint or a finite number, got \`${String(position)}\` (${typeof position}).`,
    )
  return Object.freeze({ id, position })
}
