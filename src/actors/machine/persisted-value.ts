import type { AnyStateMachine } from 'xstate'
import type { JsonValue } from '../contracts/json.ts'
import type { LiveNode } from './xstate.ts'

/**
 * The first place at which a state value is none of the machine. XState takes several states at once where there can be but
 * one, and history states, which nothing leads out of; names that every object has it takes for states.
 */
export function findUnknownState(
  value: JsonValue,
  machine: AnyStateMachine,
  path: string,
): { readonly path: string; readonly why: string } | undefined {
  return unknownIn(value, machine.root as unknown as LiveNode, path)
}

function unknownIn(value: JsonValue, node: LiveNode, path: string): ReturnType<typeof findUnknownState> {
  if (typeof value === 'string') return unknownChild(value, node, path)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return { path, why: `it is ${JSON.stringify(value)}` }
  const entries = Object.entries(value)
  if (entries.length > 1 && node.type !== 'parallel')
    return { path, why: `of the states of '${node.id}' only one is active at a time` }
  for (const [key, inner] of entries) {
    const unknown = unknownChild(key, node, `${path}.${key}`) ?? unknownIn(inner!, node.states[key]!, `${path}.${key}`)
    if (unknown !== undefined) return unknown
  }
  return undefined
}

function unknownChild(key: string, { id, states }: LiveNode, path: string): ReturnType<typeof findUnknownState> {
  if (!Object.hasOwn(states, key)) return { path, why: `'${id}' has no state '${key}'` }
  return states[key]!.type === 'history' ? { path, why: `'${states[key]!.id}' is a history state` } : undefined
}
