import type { SourcePosition } from '../contracts/unit.ts'
import { isWellFormed } from '../json/well-formed.ts'

/** A caller's source position, copied. @throws TypeError when it is none: no store could read back what it writes of it */
export function toSourcePosition(given: SourcePosition): SourcePosition {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`Expected \`source\` to be { id, position }, got \`${String(given)}\` (${typeof given}).`)
  const { id, position } = given
  if (typeof position !== 'bigint' && !Number.isFinite(position))
    throw new TypeError(
      `Expected \`source.position\` to be a bigint or a finite number, got \`${String(position)}\` (${typeof position}).`,
    )
  return Object.freeze({ id: toName('source.id', id), position })
}

/** A name that a caller gives and a history keeps. @throws TypeError when it is not text, or not all of it can be kept */
export function toName(what: string, given: string): string {
  if (typeof given !== 'string')
    throw new TypeError(`Expected \`${what}\` to be a string, got \`${String(given)}\` (${typeof given}).`)
  if (!isWellFormed(given)) throw new TypeError(`Expected \`${what}\` to be well-formed Unicode, got a lone surrogate.`)
  return given
}
