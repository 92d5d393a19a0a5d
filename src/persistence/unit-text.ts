import type { RecordedEvent } from '../actors/contracts/json.ts'
import type { NewUnit, SourcePosition, TraceContext } from '../actors/contracts/unit.ts'
import { deepFreeze } from './deep-freeze.ts'

/*
 * A unit as text: its events, and its rest, which is what a reader rarely asks for. The rest begins with a comma and is
 * what follows in a JSON object; `undefined` is not written, and so is what nearly every unit says alike.
 */

/** What follows the events of a unit, but for the epoch; may be empty. */
export function unitRest(unit: NewUnit): string {
  // First, so that whoever reads only the state need not parse the rest.
  let rest = unit.state === undefined ? '' : `,"state":${JSON.stringify(unit.state)}`
  if (unit.origin.kind !== 'outside') rest += `,"origin":${JSON.stringify(unit.origin)}`
  if (unit.outputs.length > 0) rest += `,"outputs":${JSON.stringify(unit.outputs)}`
  if (unit.mail !== undefined) rest += `,"mail":${JSON.stringify(unit.mail)}`
  if (unit.sources !== undefined) rest += `,"sources":${sourcesText(unit.sources)}`
  if (unit.requestId !== undefined) rest += `,"requestId":${JSON.stringify(unit.requestId)}`
  if (unit.trace !== undefined) rest += `,"trace":${JSON.stringify(unit.trace)}`
  if (unit.attempts !== undefined) rest += `,"attempts":${unit.attempts}`
  if (unit.creation !== undefined) rest += `,"creation":${JSON.stringify(unit.creation)}`
  if (unit.machine !== undefined) rest += `,"machine":${JSON.stringify(unit.machine)}`
  return rest
}

/** Written piece by piece: every unit of a supervised run has one, and an object to be written would only be made for it. */
function sourcesText(sources: readonly SourcePosition[]): string {
  let text = '['
  for (const { id, position } of sources) {
    const written = typeof position === 'bigint' ? `"${position}"` : position
    text += `${text === '[' ? '' : ','}{"id":${JSON.stringify(id)},"position":${written}}`
  }
  return `${text}]`
}

/** The epoch that a unit is recorded under. @param lease that of its item */
export function epochOf({ epoch }: NewUnit, lease: number | undefined): number | undefined {
  return epoch === undefined ? lease : (epoch ?? undefined)
}

/** A position that JSON holds: a bigint as its digits in a string. */
export function writtenPosition(position: bigint | number): string | number {
  return typeof position === 'bigint' ? String(position) : position
}

/** A position as it was before {@link writtenPosition}. */
export function readPosition(position: string | number): bigint | number {
  return typeof position === 'string' ? BigInt(position) : position
}

/** What is at a position, with the position as JSON holds it. */
export function withPosition<T extends SourcePosition>(of: T): object {
  return { ...of, position: writtenPosition(of.position) }
}

/** The rest of a unit, as parsed. */
export interface WrittenRest {
  readonly origin?: NewUnit['origin']
  readonly outputs?: NewUnit['outputs']
  readonly mail?: NonNullable<NewUnit['mail']>
  readonly sources?: readonly WrittenPosition[]
  readonly requestId?: string
  readonly trace?: TraceContext
  readonly attempts?: number
  readonly state?: string
  readonly creation?: NonNullable<NewUnit['creation']>
  readonly machine?: string
  readonly epoch?: number
}

/** A position in JSON. */
export interface WrittenPosition {
  readonly id: string
  readonly position: string | number
}

/** The events of a unit, from their text. */
export function parseEvents(text: string): readonly RecordedEvent[] {
  const events = JSON.parse(text) as RecordedEvent[]
  // One brace: one event that holds no object. One bracket: and no array. Most are so, and need no walk.
  if (text.indexOf('{', 2) >= 0 || text.indexOf('[', 1) >= 0) return deepFreeze(events)
  if (events.length > 0) Object.freeze(events[0])
  return Object.freeze(events)
}

/** Parses what follows a value within a line, from its comma (or closing brace) on. */
export function parseRest(text: string): WrittenRest {
  return text.startsWith('}') ? nothing : JSON.parse(`{${text.slice(1)}`)
}

const nothing: WrittenRest = Object.freeze({})

/** The positions of a unit as they were. */
export function readPositions(written: readonly WrittenPosition[]): readonly SourcePosition[] {
  return written.map(({ id, position }) => ({ id, position: readPosition(position) }))
}
