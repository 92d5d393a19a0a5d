import type { AnyStateMachine } from 'xstate'
import type { JsonObject, JsonValue } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import type { ActorRef } from './actor-ref.ts'
import type { Draft } from './draft.ts'
import { isMachine, type LiveMachineSnapshot, type LiveNode, resolveSource } from './xstate.ts'

/**
 * Begins a draft with what XState's own `getPersistedSnapshot()` gave, of the root and all of its children.
 * XState does not persist timers: every active state gets its `after` timers armed as of now. Children that were active
 * are pending again, as XState would start them; nothing is entered again.
 *
 * @throws `SNAPSHOT_INVALID` when it is not one of this machine
 */
export function adoptSnapshot(draft: Draft, persisted: JsonValue): void {
  const { root } = draft.system
  try {
    checkActor(root, persisted, '$')
    // XState puts references into what it is given.
    draft.begin(root, root.behaviour.restoreSnapshot!(structuredClone(persisted), root.scope))
  } catch (thrown) {
    throw XMachinesError.is(thrown) ? thrown : invalid('$', messageOf(thrown), thrown)
  }
  draft.start(root)
  for (const ref of draft.stepping()) armTimers(draft, ref)
  draft.layAside()
}

/** What XState would pass over in silence, or find out later: a child whose logic the machine has not got. */
function checkActor(ref: ActorRef, persisted: JsonValue, path: string): void {
  if (typeof persisted !== 'object' || persisted === null || Array.isArray(persisted))
    throw invalid(path, `it is ${persisted === null ? 'null' : typeof persisted}, not an object`)
  checkMachine(ref.behaviour, persisted as JsonObject, path)
}

function checkMachine(behaviour: unknown, persisted: JsonObject, path: string): void {
  if (!isMachine(behaviour)) return
  for (const key of ['status', 'value', 'context', 'children'])
    if (persisted[key] === undefined) throw invalid(path, `it has no \`${key}\``)
  for (const [id, child] of Object.entries(persisted.children as Readonly<Record<string, JsonObject>>)) {
    const { src, snapshot } = child
    const logic = typeof src === 'string' ? resolveSource(behaviour, src) : undefined
    if (logic === undefined)
      throw invalid(
        `${path}.children.${id}`,
        `its logic '${String(src)}' is not an actor of the machine '${behaviour.id}'`,
      )
    if (typeof snapshot !== 'object' || snapshot === null)
      throw invalid(`${path}.children.${id}`, 'it has no `snapshot`')
    checkMachine(logic, snapshot as JsonObject, `${path}.children.${id}.snapshot`)
  }
}

/** Arms the timers of a machine's active states. */
function armTimers(draft: Draft, ref: ActorRef): void {
  const { behaviour } = ref
  const snapshot = draft.snapshotOf(ref) as LiveMachineSnapshot
  if (!isMachine(behaviour) || snapshot.status !== 'active') return
  for (const node of snapshot._nodes) {
    for (const { event, id, delay } of afterOf(node)) {
      const ms = typeof delay === 'string' ? behaviour.implementations.delays[delay] : delay
      draft.arm(
        ref,
        ref,
        event,
        typeof ms === 'function' ? ms(argsOf(ref, snapshot), undefined as never) : (ms ?? 0),
        id,
      )
    }
  }
}

/** A delay that is computed, as registered. */
type DelayExpression = Extract<AnyStateMachine['implementations']['delays'][string], (...args: never) => unknown>

/** Expressions are given the context, and no event that anything was entered by. */
function argsOf(self: ActorRef, { context }: LiveMachineSnapshot): Parameters<DelayExpression>[0] {
  return { context, event: { type: 'xstate.init' }, self, system: self.system } as never
}

/** The `after` transitions of a state, as XState arms them at its entry. */
function afterOf(node: LiveNode): readonly { event: { type: string }; id: string; delay: number | string }[] {
  return node.entry.filter(
    action => action.type === 'xstate.raise' && action.id?.startsWith('xstate.after.') === true,
  ) as never
}

function invalid(path: string, why: string, cause?: unknown): XMachinesError {
  return new XMachinesError(
    'SNAPSHOT_INVALID',
    `The snapshot is not one of this machine, at ${path}: ${why}. Pass what \`getPersistedSnapshot()\` gave of the same machine, or migrate it first.`,
    { details: { path }, cause },
  )
}
