import type { EventObject } from 'xstate'
import type { ActorPath } from '../contracts/unit.ts'
import type { ActorRef } from './actor-ref.ts'
import type { LiveMachineSnapshot, LiveSnapshot, ProcessingStatus } from './xstate.ts'

/** A child actor at rest. */
export interface Cell {
  readonly snapshot: LiveSnapshot
  readonly status: ProcessingStatus
}

/** A timer: armed and due are facts of the state, never of a process. */
export interface Timer {
  /** Who armed it: it is cancelled when this actor stops. */
  readonly source: ActorRef
  readonly target: ActorRef
  readonly event: EventObject
  /** The name `cancel` knows it by. */
  readonly id: string
  /** When it falls due, ms. */
  readonly due: number
  /** The seq of the unit that armed it, and which of that unit's it was. */
  readonly armed: number
  readonly index: number
}

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
  /** The actors that are not stopped, and those that never started. */
  readonly cells: ReadonlyMap<ActorRef, Cell>
  readonly systemIds: ReadonlyMap<string, ActorRef>
  /** By {@link timerKey}. */
  readonly timers: ReadonlyMap<string, Timer>
  /** Which timer `cancel` hits: `<session>.<id>` → key. Arming an id again leaves the first one running, as in XState. */
  readonly named: ReadonlyMap<string, string>
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
  cells: new Map(),
  systemIds: new Map(),
  timers: new Map(),
  named: new Map(),
  invocations: new Map(),
  booked: 1,
}

/** Names a timer within its run. */
export function timerKey(timer: { readonly armed: number; readonly index: number }): string {
  return `${timer.armed}:${timer.index}`
}

/** The invocation that an effect's unit belongs to: undefined once it has ended or was left. */
export function findInvocation(
  state: RunState,
  origin: { readonly actor: readonly string[]; readonly entered: number },
): Invocation | undefined {
  for (const invocation of state.table.invocations.values()) {
    if (
      invocation.entered === origin.entered &&
      invocation.path.length === origin.actor.length &&
      invocation.path.every((id, i) => id === origin.actor[i])
    )
      return invocation
  }
  return undefined
}

/** The timer that a timer's unit fires: undefined once it fired or was cancelled. */
export function findTimer(
  state: RunState,
  origin: { readonly armed: number; readonly index: number },
): Timer | undefined {
  return state.table.timers.get(timerKey(origin))
}

/** The timer that falls due first: by due time, then in the order armed. */
export function nextTimer(state: RunState): Timer | undefined {
  let first: Timer | undefined
  for (const timer of state.table.timers.values()) {
    if (
      first === undefined ||
      timer.due < first.due ||
      (timer.due === first.due && (timer.armed - first.armed || timer.index - first.index) < 0)
    )
      first = timer
  }
  return first
}
