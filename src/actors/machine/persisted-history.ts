import type { AnyStateMachine } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { nodesOf } from './xstate.ts'

/** What a persisted snapshot remembers for its history states: the nodes that each of them leads back to, by ids. */
type PersistedHistory = Readonly<Record<string, readonly { readonly id: string }[]>>

/** The first place at which a history is none of the machine, which XState would pass over: it would go to the default instead. */
export function findUnknownNode(
  history: JsonValue,
  machine: AnyStateMachine,
  path: string,
): { readonly path: string; readonly why: string } | undefined {
  if (typeof history !== 'object' || history === null || Array.isArray(history))
    return { path, why: `it is ${JSON.stringify(history)}, not an object` }
  const nodes = nodesOf(machine)
  for (const [id, remembered] of Object.entries(history)) {
    const at = `${path}['${id}']`
    if (!nodes.has(id)) return { path: at, why: `the machine '${machine.id}' has no state '${id}'` }
    if (!Array.isArray(remembered)) return { path: at, why: 'it is no list of states' }
    for (const [index, node] of remembered.entries()) {
      const known = (node as { readonly id?: string } | null)?.id
      if (known === undefined || !nodes.has(known))
        return {
          path: `${at}[${index}]`,
          why: `the machine '${machine.id}' has no state ${JSON.stringify(known ?? node)}`,
        }
    }
  }
  return undefined
}

/** What is remembered of states that another machine still has, under the ids that they have there. */
export function carriedHistory(
  history: JsonValue,
  past: AnyStateMachine | undefined,
  machine: AnyStateMachine,
): JsonObject {
  const nodes = nodesOf(machine)
  const idsNow = (id: string): readonly string[] => {
    const renamed = past !== undefined && id.startsWith(`${past.id}.`) ? machine.id + id.slice(past.id.length) : id
    return [renamed, id].filter(id => nodes.has(id)).slice(0, 1)
  }
  const entries = Object.entries(history as unknown as PersistedHistory)
  return Object.fromEntries(
    entries.flatMap(([id, remembered]) => {
      const left = remembered.flatMap(node => idsNow(node.id)).map(id => ({ id }))
      return left.length === 0 ? [] : idsNow(id).map(now => [now, left] as const)
    }),
  )
}
