import type { ActorPath, Origin } from '../contracts/unit.ts'
import { type ActorRef, pathOf } from './actor-ref.ts'
import { type Timer, Timers } from './timers.ts'
import type { LiveMachineSnapshot, LiveSnapshot } from './xstate.ts'

/** Logic that runs outside of the steps, from the unit that entered it until its end. */
export interface Invocation {
  readonly actor: ActorRef
  readonly path: ActorPath
  /** The seq of the unit that entered it. */
  readonly entered: number
}

/**
 * All actors of a run but the root, and all that is pending. Immutable; shared from unit to unit while nothing in it changes.
 */
export interface ActorTable {
  /** The actors that run, with their snapshots. One that is over is known to its reference only: see `ActorRef.last`. */
  readonly actors: ReadonlyMap<ActorRef, LiveSnapshot>
  readonly systemIds: ReadonlyMap<string, ActorRef>
  readonly timers: Timers
  readonly invocations: ReadonlyMap<ActorRef, Invocation>
  /** How many session ids were given out. */
  readonly booked: number
}

/** A run's state: the whole actor system as a value. `decide` maps one to the next and never changes it. */
export interface RunState {
  readonly snapshot: LiveMachineSnapshot
  readonly table: ActorTable
}

/** No actors but the root, nothing pending. */
export const emptyTable: ActorTable = {
  actors: new Map(),
  systemIds: new Map(),
  timers: Timers.none,
  invocations: new Map(),
  booked: 1,
}

/** The invocation that an effect's unit belongs to: undefined once it has ended or was left. */
export function findInvocation(
  state: Pick<RunState, 'table'>,
  origin: { readonly actor: readonly string[]; readonly entered: number },
): Invocation | undefined {
  for (const invocation of state.table.invocations.values()) {
    if (invocation.entered === origin.entered && isPath(invocation.path, origin.actor)) return invocation
  }
  return undefined
}

/** Whether two paths are the same. */
export function isPath(a: ActorPath, b: ActorPath): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i])
}

/** The timer that a timer's unit fires: undefined once it fired or was cancelled. */
export function findTimer(
  state: RunState,
  origin: { readonly armed: number; readonly index: number },
): Timer | undefined {
  return state.table.timers.find(origin.armed, origin.index)
}

/** The origin of the unit that a timer falls due in. */
export function timerOrigin({ source, armed, index }: Timer): Origin {
  return { kind: 'timer', actor: pathOf(source), armed, index }
}

/** The timer that falls due first: by due time, then in the order armed. */
export function nextTimer(state: RunState): Timer | undefined {
  return state.table.timers.first()
}

export type { Timer } from './timers.ts'
