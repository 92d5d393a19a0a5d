import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { firstDifference } from '../json/differences.ts'

/** A state as a normalised definition has it: its states are a list of pairs. */
type State = JsonObject

/** What of a state is listed by its own names: an event, a delay. */
const byName = ['on', 'after'] as const

/**
 * What a later normalised definition has that an earlier one has not, and the other way round, line by line for a reader: states
 * added, removed and renamed (the same under another name), their transitions, and the registered implementations.
 */
export function definitionChanges(before: JsonObject, after: JsonObject): readonly string[] {
  const lines: string[] = []
  changesOfState(before.config as State, after.config as State, '', lines)
  for (const kind of ['actions', 'guards', 'delays', 'actors'] as const) {
    const [was, is] = [namesOf(before[kind]), namesOf(after[kind])]
    for (const name of was) if (!is.includes(name)) lines.push(`${kind}: '${name}' removed`)
    for (const name of is) if (!was.includes(name)) lines.push(`${kind}: '${name}' added`)
  }
  const [children, changed] = [before.actors, after.actors].map(actors => (actors ?? {}) as JsonObject)
  for (const name of namesOf(before.actors))
    if (changed![name] !== undefined && !isSame(children![name], changed![name]))
      lines.push(`actors: '${name}' changed`)
  return lines
}

function changesOfState(before: State, after: State, path: string, lines: string[]): void {
  const name = path === '' ? 'the machine' : `state '${path}'`
  for (const part of byName) {
    const [was, is] = [before[part], after[part]].map(value => (value ?? {}) as JsonObject)
    for (const key of new Set([...Object.keys(was!), ...Object.keys(is!)]))
      tell(`${name}: ${part} '${key}'`, was![key], is![key], lines)
  }
  for (const part of new Set([...Object.keys(before), ...Object.keys(after)]))
    if (part !== 'states' && !byName.includes(part as never)) tell(`${name}: ${part}`, before[part], after[part], lines)
  const [was, is] = [statesOf(before), statesOf(after)]
  const come = new Map([...is].filter(([key]) => !was.has(key)))
  for (const [key, state] of was) {
    const below = path === '' ? key : `${path}.${key}`
    const now = is.get(key)
    if (now !== undefined) {
      changesOfState(state, now, below, lines)
      continue
    }
    const [renamed] = [...come].find(([, candidate]) => isSame(state, candidate)) ?? []
    if (renamed === undefined) lines.push(`state '${below}' removed`)
    else {
      come.delete(renamed)
      lines.push(`state '${below}' renamed to '${renamed}'`)
    }
  }
  for (const key of come.keys()) lines.push(`state '${path === '' ? key : `${path}.${key}`}' added`)
}

function tell(what: string, before: JsonValue | undefined, after: JsonValue | undefined, lines: string[]): void {
  if (isSame(before, after)) return
  lines.push(`${what} ${before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'}`)
}

function statesOf({ states }: State): ReadonlyMap<string, State> {
  return new Map((states ?? []) as unknown as readonly (readonly [string, State])[])
}

function namesOf(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? (value as readonly string[]) : Object.keys((value ?? {}) as JsonObject)
}

function isSame(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return firstDifference(a, b, '$') === undefined
}
