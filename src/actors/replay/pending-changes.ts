import type { ActorPath, Unit } from '../contracts/unit.ts'
import { pathOf } from '../machine/actor-ref.ts'
import { type ActorTable, emptyTable, findInvocation, type Invocation, type Timer } from '../machine/state.ts'
import { invocationKey } from '../run/attempts.ts'

/** A timer, as a history shows it. */
export interface PendingTimer {
  readonly id: string
  /** The actor that armed it. */
  readonly actor: ActorPath
  /** ms since 1970 */
  readonly due: number
}

/** An invocation, as a history shows it. */
export interface PendingCall {
  /** The name of the logic. */
  readonly src: string
  readonly actor: ActorPath
  /** What its logic was given as `invocation().key`. */
  readonly key: string
}

/** What a unit changed in what the run waits for. */
export interface PendingChanges {
  readonly timers: {
    readonly armed: readonly PendingTimer[]
    readonly cancelled: readonly PendingTimer[]
    /** The one that the unit is about. */
    readonly fired: PendingTimer | null
  }
  readonly invocations: {
    readonly entered: readonly PendingCall[]
    /** `done` and `failed` are outcomes; `stopped`: its state was left, or the run ended. */
    readonly left: readonly (PendingCall & { readonly outcome: 'done' | 'failed' | 'stopped' })[]
  }
}

/**
 * What pends after a unit and did not before, and the other way round. What a unit both began and ended is not shown: it never
 * pended.
 *
 * @param run whose invocations they are: of the shared units of a fork, the fork
 */
export function pendingChanges(
  run: string,
  unit: Pick<Unit, 'origin' | 'events'>,
  before: ActorTable | undefined,
  after: ActorTable,
): PendingChanges {
  const was = before ?? emptyTable
  const { origin } = unit
  const fired = origin.kind === 'timer' ? was.timers.find(origin.armed, origin.index) : undefined
  const told = origin.kind === 'effect' ? findInvocation({ table: was }, origin) : undefined
  const callOf = (invocation: Invocation): PendingCall => ({
    src: String(invocation.actor.src),
    actor: invocation.path,
    key: invocationKey(run, invocation),
  })
  return {
    timers: {
      armed: newTimers(after, was).map(shownTimer),
      cancelled: newTimers(was, after)
        .filter(timer => timer !== fired)
        .map(shownTimer),
      fired: fired === undefined ? null : shownTimer(fired),
    },
    invocations: {
      entered: newInvocations(after, was).map(callOf),
      left: newInvocations(was, after).map(invocation => ({
        ...callOf(invocation),
        outcome: (invocation === told ? outcomeOf(unit) : null) ?? 'stopped',
      })),
    },
  }
}

function newTimers({ timers }: ActorTable, others: ActorTable): readonly Timer[] {
  return [...timers].filter(([key]) => !others.timers.has(key)).map(([, timer]) => timer)
}

/** Those that others do not have, by when and where they were entered: a migration has other references to the same ones. */
export function newInvocations({ invocations }: ActorTable, others: ActorTable): readonly Invocation[] {
  return [...invocations.values()].filter(
    ({ entered, path }) => findInvocation({ table: others }, { entered, actor: path }) === undefined,
  )
}

function shownTimer({ id, source, due }: Timer): PendingTimer {
  return { id, actor: pathOf(source), due }
}

/** How an invocation ended, by what it told in a unit of its own; `null`: it told no end. */
export function outcomeOf({ events }: Pick<Unit, 'events'>): 'done' | 'failed' | null {
  switch (events[0]?.type) {
    case 'xmachines.resolve':
    case 'xmachines.complete':
      return 'done'
    case 'xmachines.reject':
    case 'xmachines.error':
      return 'failed'
    default:
      return null
  }
}
