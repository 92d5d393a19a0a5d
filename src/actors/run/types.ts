import type { ActorRefFrom, AnyStateMachine, EmittedFrom, EventFromLogic, OutputFrom, SnapshotFrom } from 'xstate'
import type { JsonValue } from '../contracts/json.ts'
import type { AbortOptions, RunStatus } from '../contracts/store.ts'
import type { SourcePosition, TraceContext } from '../contracts/unit.ts'
import type { ErrorCode, ErrorDetails } from '../errors.ts'
import type { AnyMachine, MachineDefinition, MachineOf } from '../machine/definition.ts'

export type { AnyMachine, MachineOf } from '../machine/definition.ts'

/** A machine, or a list: the first makes new runs, the others go on with the runs of their version. */
export type Machines<TMachine extends AnyMachine = AnyMachine> = TMachine | readonly [TMachine, ...AnyMachine[]]

/** The events that may be sent to a run of `T`: the schema's input where one is declared, else the machine's own. */
export type SentTo<T> =
  T extends MachineDefinition<infer _, infer TSent> ? TSent : T extends AnyStateMachine ? EventFromLogic<T> : never

/** What a run's machine emitted, with its place in the history. */
export interface Output<TEvent = { readonly type: string }> {
  readonly runId: string
  /** The unit that emitted it. */
  readonly seq: number
  /** Which of the unit's outputs, from 0. */
  readonly index: number
  /** The unit's time, ms. */
  readonly at: number
  readonly event: TEvent
}

/** A state of a run, as plain values. */
export interface RunSnapshot<TMachine extends AnyStateMachine = AnyStateMachine> {
  readonly runId: string
  /** Units so far; 0: created, nothing applied. */
  readonly seq: number
  /** Time of the last unit, ms. */
  readonly at: number
  readonly status: RunStatus
  readonly value: SnapshotFrom<TMachine>['value']
  readonly context: SnapshotFrom<TMachine>['context']
  /** The machine's output, once `status` is `'done'`. */
  readonly output: OutputFrom<TMachine> | undefined
  /** What ended the run, once `status` is `'error'`. */
  readonly error: unknown
}

/** An error of a run, as `err` shows it. It changed nothing, unless it is `fatal`. */
export interface RunError {
  readonly runId: string
  /** Units so far when it happened; for a fatal unit its own seq. */
  readonly seq: number
  /** What was refused, as far as it could be copied. */
  readonly events: readonly JsonValue[]
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails }
  /** The run, or this handle of it, has ended. */
  readonly fatal: boolean
  /** How many records were dropped before this one because nobody read them. */
  readonly lost?: number
}

/** What became of a unit that was sent. */
export type Receipt<TMachine extends AnyStateMachine = AnyStateMachine> =
  | {
      readonly ok: true
      readonly seq: number
      readonly at: number
      /** What the machine emitted in this unit. */
      readonly outputs: readonly EmittedFrom<TMachine>[]
      readonly snapshot: RunSnapshot<TMachine>
      /** The source position or the id was taken before: nothing was applied. */
      readonly duplicate?: true
    }
  | {
      readonly ok: false
      /** Units so far: a refusal leaves it as it was. */
      readonly seq: number
      readonly error: {
        readonly code: ErrorCode
        readonly message: string
        readonly details: ErrorDetails
        readonly retryable: boolean
      }
    }

/** How a unit is sent. */
export interface ApplyOptions extends AbortOptions {
  /**
   * The unit's time, ms; only with `time: 'source'`. Timers due until then fire before it, also where the event is refused.
   *
   * @default the clock, or under `'source'` the run's last time
   */
  readonly at?: number | undefined
  /** Where the unit comes from: a position at or below the last one of that source is a duplicate. */
  readonly source?: SourcePosition | undefined
  /** An idempotency key of the caller, remembered for the run's last 1,000. */
  readonly id?: string | undefined
  /** Where the sender stands in a distributed trace; kept beside the unit. @default with `telemetry`: the active span */
  readonly trace?: TraceContext | undefined
}

/** The kinds of readable ports. */
export type PortName = 'out' | 'err' | 'snapshot'

/** What a port gives. */
export interface PortValues<TMachine extends AnyStateMachine> {
  readonly out: Output<EmittedFrom<TMachine>>
  readonly err: RunError
  readonly snapshot: RunSnapshot<TMachine>
}

/** How a further reader reads. */
export interface SubscribeOptions {
  /** `out` only: the first unit whose outputs are wanted, inclusive; history first, then live. @default what comes next */
  readonly from?: number | undefined
  /** `out`: how many outputs a locked reader may fall behind before `in` of its handle waits. `err`: how many are kept. @default 256 */
  readonly buffer?: number | undefined
}

/** How long a close may take. */
export interface CloseOptions {
  /** How long promises in flight, those of child runs that are in memory for this one too, are awaited before they are aborted, ms. @default 5000 */
  readonly timeout?: number | undefined
}

/**
 * A handle of a run: its four ports, and what is built on them.
 *
 * Several handles of one run on one store share the run; the last `close()` passivates it. Events are the only way to
 * change it: through `in`, or `apply`, which is the same queue.
 */
export interface Run<TMachine extends AnyStateMachine = AnyStateMachine, TSent = EventFromLogic<TMachine>>
  extends AsyncDisposable {
  /** The run's commit: 40 or 64 hex digits. Known at once, for ever. */
  readonly id: string
  /** Resolves when the run is open and its creation durable; rejects with why not. Never an unhandled rejection. */
  readonly ready: Promise<void>
  /**
   * Takes events; an array is an atomic batch. A write settles when the unit is durable or refused (a refusal is on `err`).
   * It waits while a reader of this handle's `out` is too far behind. Closing it is `close()`, aborting it `close({ timeout: 0 })`.
   */
  readonly in: WritableStream<TSent | readonly TSent[]>
  /** What the machine emits, each once, in order. Kept by the store, not in memory: an unread port costs nothing. */
  readonly out: ReadableStream<Output<EmittedFrom<TMachine>>>
  /** Errors, live only: from when it is first asked for, the newest 256 are kept. */
  readonly err: ReadableStream<RunError>
  /** The state: the first read gives the current one, later reads wait for a newer one; the latest wins. */
  readonly snapshot: ReadableStream<RunSnapshot<TMachine>>
  /**
   * Sends an event or a batch and says what became of it. Calls may overlap; they are applied in the order of the calls.
   * @throws rejects with `RUN_CLOSED`, `LEASE_LOST`, `LEASE_HELD`, `STORE_UNAVAILABLE`, `STORE_OUTCOME_UNKNOWN`, `MAILBOX_FULL` or
   *   `ABORTED`; never because the run refused the event: that is a receipt with `ok: false`
   */
  apply(events: TSent | readonly TSent[], options?: ApplyOptions): Promise<Receipt<TMachine>>
  /** Lets source time pass: fires the timers that are due until `at`, ms. Only with `time: 'source'`. */
  advance(at: number): Promise<void>
  /** The last durable state as XState shows it: `value`, `context`, `matches()`, `can()`, `hasTag()`, `children`. */
  getSnapshot(): SnapshotFrom<TMachine>
  /** A further reader of a port, bounded on its own. */
  subscribe<TPort extends PortName>(
    port: TPort,
    options?: SubscribeOptions,
  ): ReadableStream<PortValues<TMachine>[TPort]>
  /** Reads as an XState actor reference, for `useSelector`, `waitFor` and the like. Its `send` queues, without a receipt. */
  readonly actorRef: ActorRefFrom<TMachine>
  /** The machine's output, once it is done; rejects when the run ends otherwise. Never an unhandled rejection. */
  readonly done: Promise<OutputFrom<TMachine>>
  /** Ends the run for good; the reason is recorded. */
  stop(reason: string): Promise<void>
  /** Drains and passivates: the run can be opened again. Not its completion. Idempotent. */
  close(options?: CloseOptions): Promise<void>
}

/** The type of a run of `T`, a machine or what `defineMachine` made of one: `RunOf<typeof order>`. */
export type RunOf<T extends AnyMachine> = Run<MachineOf<T>, SentTo<T>>
