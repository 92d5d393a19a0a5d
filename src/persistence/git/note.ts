import type { UnitProvenance } from './provenance.ts'

/** What would change how a line is shown, beyond what JSON escapes. */
const unprintable = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/**
 * How a unit was recorded, as a note to read under its commit: its lease's epoch, the source positions, the hash of the
 * state after it and what it gave out. `undefined`: nothing was recorded.
 */
export function noteText({
  epoch,
  sources = [],
  requestId,
  attempts,
  state,
  outputs,
  trace,
}: UnitProvenance): string | undefined {
  const lines: string[] = []
  const line = (name: string, value: unknown): void => {
    if (value !== undefined) lines.push(`${name}: ${value}\n`)
  }
  line('epoch', epoch ?? undefined)
  for (const { id, position } of sources) line('source', `${textOf(id)} ${position}`)
  line('request', requestId && textOf(requestId))
  line('attempts', attempts)
  line('state', state)
  for (const output of outputs) line('output', textOf(output))
  line('trace', trace && textOf(trace))
  return lines.length === 0 ? undefined : lines.join('')
}

function textOf(value: unknown): string {
  return JSON.stringify(value).replace(unprintable, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
