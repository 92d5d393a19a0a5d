import type { JsonValue } from '../actors/contracts/json.ts'
import type { Origin, Unit } from '../actors/contracts/unit.ts'
import { differences, type JsonDifference } from '../actors/json/differences.ts'
import type { Divergence } from '../actors/run/divergence.ts'

/** How much of an id is shown to a person. */
const shownDigits = 12

/** The beginning of an id. */
export function shortId(id: string): string {
  return id.slice(0, shownDigits)
}

/**
 * What a terminal obeys, what changes the direction of what follows, and what takes no room: two names that differ in it
 * alone would look the same.
 */
const unseen =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb]|\udb40[\udc00-\udfff]/g

/** Text from outside as JSON could write it: on one line, with all that is in it to be seen. JSON stays the same JSON. */
export function printable(text: string): string {
  return text.replace(unseen, found => {
    return [...Array(found.length).keys()]
      .map(at => `\\u${found.charCodeAt(at).toString(16).padStart(4, '0')}`)
      .join('')
  })
}

/** The same of several lines, such as a stack. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n')
}

/** JSON on one line, cut where it gets long. */
export function brief(value: unknown, most = 160): string {
  const text = printable(JSON.stringify(value) ?? 'nothing')
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

/** Two values that differ, on one line each: where they are long, only what is at the first place that differs. */
export function bothSides(a: JsonValue, b: JsonValue, most: number): readonly [a: string, b: string] {
  const whole = [brief(a, most), brief(b, most)] as const
  if (!whole.some(text => text.length === most)) return whole
  const [first] = differences(a, b, '$')
  if (first === undefined || first.path === '$') return whole
  const { path, before, after } = first
  return [`${printable(path)}: ${brief(before, most)}`, `${printable(path)}: ${brief(after, most)}`]
}

/** A time as people and computers read it. */
export function timeText(at: number): string {
  const date = new Date(at)
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString()
}

const durations = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
] as const

/** A span of time in its two largest units: `2 d 3 h`, `1 min 5 s`, `1.5 s`, `20 ms`. */
export function durationText(ms: number): string {
  for (const [index, [length, name]] of durations.entries()) {
    if (ms < length) continue
    const whole = Math.floor(ms / length)
    const [smaller, smallerName] = durations[index + 1] ?? [1000, 's']
    const rest = Math.floor((ms - whole * length) / smaller)
    return rest === 0 ? `${whole} ${name}` : `${whole} ${name} ${rest} ${smallerName}`
  }
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.floor(ms / 10) / 100} s`
}

/** Why a unit exists, in a word or two. */
export function originText(origin: Origin): string {
  switch (origin.kind) {
    case 'outside':
      return 'outside'
    case 'effect':
      return `effect ${printable(origin.actor.join('/'))} of ${origin.entered}`
    case 'timer':
      return `timer ${origin.index} of ${origin.armed}`
    case 'mail':
    case 'undelivered':
      return `${origin.kind} ${shortId(origin.run)}/${origin.seq}`
    case 'child':
      return `child ${shortId(origin.run)}`
    case 'stop':
      return `stop: ${printable(origin.reason)}`
    case 'migration':
      return `migration from ${shortId(origin.from)}`
  }
}

/** The types of a unit's events. */
export function typesText(unit: Pick<Unit, 'seq' | 'events' | 'origin'> & { readonly creation?: unknown }): string {
  if (unit.creation !== undefined || (unit.seq === 0 && unit.events.length === 0)) return '(created)'
  return unit.events.length === 0 ? `(${unit.origin.kind})` : unit.events.map(({ type }) => printable(type)).join(', ')
}

/** A state's value: `a.b`, or its JSON where several are active. */
export function valueText(value: unknown): string {
  return typeof value === 'string' ? printable(value) : value === undefined ? '?' : brief(value)
}

/** `1,434 runs`, `1 run`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`
}

/** What differs, with both sides on lines of their own. */
export function divergenceText({ kind, path, expected, actual }: Divergence, indent = ''): string {
  const what = kind === 'missing' ? 'nothing was recorded' : `${kind} ${kind === 'state' ? 'differs' : 'differ'}`
  const [recorded, decided] = bothSides(expected, actual, 160)
  return `${what} at ${path}\n${indent}  recorded  ${recorded}\n${indent}  decided   ${decided}`
}

/** A change of a value at its path. */
export function changeText({ path, before, after }: JsonDifference, indent: string): string {
  return `${indent}${path}: ${brief(before, 60)} → ${brief(after, 60)}`
}
