import type { RecordedEvent } from '../contracts/json.ts'
import type { Mail, Refusal } from '../contracts/store.ts'
import type { NewUnit, Origin, SourcePosition } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import type { Effect } from '../machine/effect.ts'
import type { RunState } from '../machine/state.ts'

/** What became of a command, before a handle makes a receipt of it. */
export type Settlement =
  | {
      readonly kind: 'applied'
      readonly unit: NewUnit
      readonly state: RunState
      readonly fatal: XMachinesError | undefined
    }
  /** Nothing was applied: an empty batch, or, where `duplicate`, something that had been taken before. */
  | {
      readonly kind: 'unchanged'
      readonly seq: number
      readonly at: number
      readonly outputs: readonly RecordedEvent[]
      readonly state: RunState
      readonly duplicate: boolean
    }
  | { readonly kind: 'refused'; readonly seq: number; readonly error: XMachinesError }

/** Something that wants to become a unit of a run: an event from outside, or what the run itself caused. */
export interface Command {
  readonly origin: Origin
  /** Copied and frozen. */
  readonly events: readonly RecordedEvent[]
  readonly at?: number | undefined
  /** No timer that is due fires before it. */
  readonly beforeTimers?: boolean
  readonly source?: SourcePosition | undefined
  readonly requestId?: string | undefined
  /** What is known of it that its unit keeps beside its identity. */
  readonly beside?: Pick<NewUnit, 'trace' | 'attempts'> | undefined
  /** The span that is active while it is submitted is its sender's: it came through no stream and no timer. */
  readonly ambient?: boolean
  readonly signal?: AbortSignal | undefined
  /** Pending while the events are still being checked; what comes after waits for it. */
  readonly checking?: Promise<void> | undefined
  /** The border refused it: it only keeps its place in the order. */
  readonly refused?: XMachinesError | undefined
  /** The mail that it takes out of the inbox. */
  readonly mail?: Mail | undefined
  /** The mail does not wait any more: another process has taken it, or this one may not. */
  readonly withdrawn?: boolean
  /** Under a supervisor: what a refusal is kept as; `null`: nothing of it is written, and the position is not taken; `undefined`: only the position. */
  readonly refusal?: ((error: XMachinesError) => Refusal | null | undefined) | undefined
  /** It is decided, and is appended next. */
  decided?(): void
  /** Called once, when it is durable, refused, or known to be a duplicate. In the order of the commands. */
  settle(settlement: Settlement): void
  /** Called once instead: the store or the lease failed, or the run was closed. */
  reject(error: XMachinesError): void
}

/** A command that is decided and not yet durable, with what becomes of it: its settlement once it is. */
export type Pending = Settlement & {
  readonly command: Command
  /** The unit, unless it is refused or a duplicate. */
  readonly unit: NewUnit | undefined
  /** The state after it. */
  readonly state: RunState
  readonly effects: readonly Effect[]
  /** Kept of a refusal under a supervisor; `null`: it leaves no trace. */
  readonly refusal: Refusal | null | undefined
}

/** Whether the store has to be asked before the command can settle. */
export function needsAppend(pending: Pending): boolean {
  return (
    pending.unit !== undefined ||
    pending.command.mail !== undefined ||
    isKept(pending.refusal) ||
    takesPosition(pending)
  )
}

/** Whether a refusal is kept with its record. */
export function isKept(refusal: Pending['refusal']): refusal is Refusal {
  return refusal !== undefined && refusal !== null
}

/** Whether all that is kept of the command is the position that it took. */
export function takesPosition({ kind, refusal, command }: Pending): boolean {
  return kind === 'refused' && refusal === undefined && command.source !== undefined
}

/** A unit that became durable, for whoever watches the run. */
export interface AdoptedUnit {
  readonly unit: NewUnit
  readonly state: RunState
}
