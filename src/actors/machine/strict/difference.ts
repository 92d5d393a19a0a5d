import { messageOf } from '../../errors.ts'
import { pathOf } from '../actor-ref.ts'
import type { Draft } from '../draft.ts'
import type { Effect } from '../effect.ts'
import type { RunState } from '../state.ts'
import { isActorRef } from '../state-json.ts'
import type { LiveMachineSnapshot, LiveRef, LiveSnapshot } from '../xstate.ts'

/** No state is deeper than this. */
const mostLevels = 200

/** Where two attempts differ, and what each has there. */
export type Difference = readonly [path: string, first: unknown, second: unknown]

/** An attempt, as far as it is compared. */
interface Compared {
  readonly draft: Draft
  readonly went: unknown
}

/** The first difference between two attempts at the same step; `undefined`: they came to the same. */
export function firstDifference(one: Compared, other: Compared): Difference | undefined {
  const [a, b] = [one.draft.result(), other.draft.result()]
  return (
    differ(one.went, other.went, 'the decision') ??
    differ(one.draft.refusal, other.draft.refusal, 'the decision') ??
    differ(shown(a.snapshot), shown(b.snapshot), '') ??
    // Nothing changed in a table that is still the one before.
    (a.table === b.table ? undefined : differ(tableOf(a), tableOf(b), '')) ??
    differ(one.draft.outputs, other.draft.outputs, 'outputs') ??
    differ(one.draft.effects?.map(effectOf), other.draft.effects?.map(effectOf), 'effects')
  )
}

function tableOf({ table }: RunState): object {
  return {
    actors: Object.fromEntries([...table.actors].map(([ref, state]) => [pathOf(ref).join('.'), shown(state)])),
    systemIds: Object.fromEntries(table.systemIds),
    timers: [...table.timers.values()],
    invocations: [...table.invocations.values()],
  }
}

/** A snapshot without what XState derives. Both attempts have the same state nodes. */
function shown(snapshot: LiveSnapshot): object {
  if (!('_nodes' in snapshot)) return snapshot
  const { status, value, context, output, error, children, historyValue, _nodes } = snapshot as LiveMachineSnapshot
  return { status, value, context, output, error, children, historyValue, nodes: _nodes }
}

function effectOf(effect: Effect): unknown {
  const { kind, actor } = effect
  if (kind === 'receive') return { kind, actor, event: effect.event }
  if (kind === 'mail') return { kind, actor, to: effect.to, event: effect.event }
  if (kind === 'spawn')
    return { kind, actor, spawn: effect.spawn, machine: effect.machine, input: effect.input, policy: effect.policy }
  return { kind, actor, type: effect.action.type, params: effect.action.params }
}

/**
 * What both attempts took over from the state before is identical, and is not walked. What is not JSON is refused elsewhere; of
 * what may be thrown only the text is compared, where each attempt makes its own.
 */
export function differ(
  one: unknown,
  other: unknown,
  path: string,
  depth = 0,
  seen: Set<object> = new Set(),
): Difference | undefined {
  if (Object.is(one, other) || depth > mostLevels) return undefined
  if (typeof one === 'function' && typeof other === 'function') return undefined
  if (typeof one === 'symbol' && typeof other === 'symbol' && String(one) === String(other)) return undefined
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return [path, one, other]
  const inner = (a: unknown, b: unknown, at: string): Difference | undefined => differ(a, b, at, depth + 1, seen)
  if (isActorRef(one) && isActorRef(other)) return inner((one as LiveRef).sessionId, (other as LiveRef).sessionId, path)
  if (one instanceof Error || other instanceof Error) return inner(messageOf(one), messageOf(other), `${path}.message`)
  if (one instanceof Date && other instanceof Date) return inner(one.getTime(), other.getTime(), path)
  if (seen.has(one)) return undefined
  seen.add(one)
  const [before, after] = [one as Record<string, unknown>, other as Record<string, unknown>]
  for (const key in { ...before, ...after }) {
    if (Object.is(before[key], after[key])) continue
    const at = Array.isArray(one) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
    const found = inner(before[key], after[key], at)
    if (found !== undefined) return found
  }
  return undefined
}
