import type { JsonObject, JsonValue } from './json.ts'
import type {
  ChildTerms,
  NewUnit,
  ObjectFormat,
  RunName,
  SourcePosition,
  TimeMode,
  TraceContext,
  Unit,
} from './unit.ts'

/** Every async operation takes one: aborting rejects with `ABORTED`, and a write then has happened or has not, never in part. */
export interface AbortOptions {
  /** @default nothing ends the operation early */
  readonly signal?: AbortSignal | undefined
}

/** A machine version as a store keeps it, once, however many runs it has. */
export interface MachineRecord {
  /** The machine's commit. */
  readonly oid: string
  /** The machine's `id`. */
  readonly id: string
  readonly version: string
  /** The normalised definition: what the commit's tree holds. */
  readonly definition: JsonObject
}

/** Where a run stands in its life, as XState names it. */
export type RunStatus = 'active' | 'done' | 'error' | 'stopped'

/** The row that names who may append to the runs of a partition. */
export interface LeaseKey {
  readonly namespace: string
  readonly partition: number
}

/** Who owns a partition. Owners do not expire by time; the next claim takes over. */
export interface LeaseRow extends LeaseKey {
  /** Grows with every claim. An append with an older one is refused. */
  readonly epoch: number
  /** Which process, or `null` after a release. */
  readonly owner: string | null
  /** The owner's consumer group, or `null` after a release. */
  readonly group: string | null
}

/** A claim of a partition. */
export interface Claim extends LeaseKey {
  /** Which process. */
  readonly owner: string
  /** Its consumer group. */
  readonly group: string
  /** The new epoch is greater than this one, too: that of a row in another store, whose runs are taken over. @default 0 */
  readonly above?: number
}

/** A record that a supervised run refused: kept until its dead letter is acknowledged. */
export interface Refusal extends SourcePosition {
  readonly at: number
  readonly error: { readonly code: string; readonly message: string }
  /** The record as it came; bytes in base64. */
  readonly record: {
    readonly topic: string
    readonly partition: number
    readonly offset: string
    readonly timestamp: number
    readonly key: string | null
    readonly value: string | null
    readonly headers: readonly (readonly [name: string, value: string | null])[]
  }
}

/** Names one mail: the `index`-th of unit `seq` of the sending run, or the answer to it. */
export interface MailKey {
  readonly sender: string
  readonly seq: number
  readonly index: number
  /** The answer to a mail of the receiver's own that could not be taken: always recorded, never answered. */
  readonly failure?: boolean
}

/** What became of a mail: in the inbox; put in before, also if it has left the inbox since; of no run that is there; of one that takes no mail. */
export type MailOutcome = 'taken' | 'duplicate' | 'unknown' | 'finished'

/** A mail that waits in a run's inbox. */
export interface Mail extends MailKey {
  /** The receiving run. */
  readonly receiver: string
  readonly event: JsonObject
  /** The trace of the unit that sent it. */
  readonly trace?: TraceContext
}

/** Which output of which unit, counted from 0. */
export interface OutputMark {
  readonly seq: number
  readonly index: number
}

/** Whose child a run is: said with its creation, and never changed. */
export interface ParentLink extends ChildTerms {
  /** What the parent calls the child: its own name, unless it was started in the place of another one. */
  readonly name: RunName
  /** The parent run. */
  readonly run: string
  /** The unit of the parent that spawned it, and which of what that unit sent. */
  readonly seq: number
  readonly index: number
  /** How many runs were there before this one in its place. */
  readonly restarts: number
}

/** Why a run stands parked, until it is unparked. */
export interface Parked {
  /** Since when, ms. */
  readonly at: number
  /** Of the error that it could not be loaded or decided for. */
  readonly code: string
  /** The error's text. */
  readonly message: string
}

/**
 * What is kept of a run beside its history: how it was recorded, and what is still to be done.
 * Changed only by append items (and `deliver`), so it is never ahead of the history or behind it.
 */
export interface Beside {
  /** The last position taken, by source; it never goes back. Has no prototype, like `attempts` and `owners`: any name may be a source's. */
  readonly sources: Readonly<Record<string, bigint | number>>
  /** Units whose outputs are still to be sent to the result topic, oldest first. */
  readonly outbox: readonly number[]
  /** The last output that the result topic acknowledged. */
  readonly published: OutputMark | null
  /** The mail that waits, oldest first: all of it, or the oldest ones of a long inbox; see {@link HeadOptions}. */
  readonly inbox: readonly Mail[]
  /** How much mail waits, {@link inbox} included. */
  readonly waiting: number
  /** Units whose mail is still to be delivered, oldest first. */
  readonly mailing: readonly number[]
  /** The first mail that is not known to be delivered: all before it are. It never goes back. `null`: none is. */
  readonly mailed: OutputMark | null
  /** Answers to mail that could not be taken, on their way: to mail that the run refused, and to its own that found no receiver. */
  readonly returns: readonly Mail[]
  readonly refusals: readonly Refusal[]
  /** Attempts made durable, by invocation key. */
  readonly attempts: Readonly<Record<string, number>>
  readonly parked: Parked | null
  /** Effects are shown, not started (a fork, an import). */
  readonly held: boolean
  /**
   * Which process goes on with the effects that are in flight; see {@link Store.renew}. It knows of all others that have some,
   * and looks after what they leave behind. `null`: none does.
   */
  readonly process: string | null
  /** Who has an invocation in flight that {@link process} has not, by its key. One that is not named is that process's. */
  readonly owners: Readonly<Record<string, string>>
  /** Whose child it is; `null`: nobody's. */
  readonly parent: ParentLink | null
  /** It has spawned child runs that are stopped when it ends. */
  readonly linked: boolean
}

/** A change of {@link Beside}; what is absent stays as it is. Positions of an item's units are taken by the units themselves. */
export interface BesideChange {
  readonly sources?: readonly SourcePosition[]
  /** Units of this item whose outputs enter the outbox. */
  readonly outbox?: readonly number[]
  /** Removes from the outbox every unit up to the mark's own: what is sent at once is whole units. */
  readonly published?: OutputMark
  /** Inbox entries that this item takes. */
  readonly taken?: readonly MailKey[]
  /** Units of this item whose mail is to be delivered. */
  readonly mailing?: readonly number[]
  /** All mail before this one is delivered. */
  readonly mailed?: OutputMark
  /** Answers to mail that could not be taken. */
  readonly returns?: readonly Mail[]
  /** Answers that are delivered. */
  readonly returned?: readonly MailKey[]
  /** Each takes its position, as a unit would. */
  readonly refused?: readonly Refusal[]
  /** Refusals whose dead letter is acknowledged. */
  readonly acknowledged?: readonly SourcePosition[]
  /** `null` removes the entry. */
  readonly attempts?: Readonly<Record<string, number | null>>
  readonly parked?: Parked | null
  readonly held?: boolean
  readonly process?: string | null
  /** `null` removes the entry, as does whatever removes the attempts of its key. */
  readonly owners?: Readonly<Record<string, string | null>>
  /** Only in a creation. */
  readonly parent?: ParentLink
  readonly linked?: true
}

/**
 * One run's part of an append: units, or none, with what is kept beside them. All or nothing, whatever becomes of the other items.
 *
 * It is conditional on (seq, revision) of the run. The revision counts the durable changes: 1 after the creation, one more
 * after every item and every delivered mail. Several items of one run in one call are judged in their order.
 */
export interface AppendItem {
  readonly run: string
  /** Where the writer believes the run stands; `null`: the run is new and `units[0]` is its creation. */
  readonly expected: { readonly seq: number; readonly revision: number } | null
  /** Consecutive: the first has `expected.seq + 1`; in a creation 0, or `fork.at` for a fork (whose creation is no unit of its history). */
  readonly units: readonly NewUnit[]
  /** With a creation or a migration, and only then: the machine, which the store keeps if it has not got it. */
  readonly machine?: MachineRecord
  /** A leased append: refused unless `epoch` is the row's and the row has an owner. The first one pins the run to the partition. */
  readonly lease?: (LeaseKey & { readonly epoch: number }) | undefined
  readonly beside?: BesideChange
  /** The run's status after the item. @default as before; `'active'` in a creation */
  readonly status?: RunStatus
  /** The state's value after the item, for listings. @default as before */
  readonly value?: JsonValue
  /** When the run needs something next, ms; `null`: nothing. Absent: as before. The one attention index is made of these. */
  readonly due?: number | null
}

/**
 * What became of one item: written, or nothing of it. Where several apply, which one is told: see `judge` of the stores.
 * - `conflict`: the run stands elsewhere, or a creation found it there. `seq` −1, `revision` 0: the run does not exist.
 * - `fenced`: the lease is not the writer's (any more), or an unleased append met a row with an owner.
 * - `pinned`: a creation found its (namespace, key) pinned to another run.
 * - `misplaced`: a leased append to a run that is pinned to another partition.
 */
export type AppendOutcome =
  | { readonly status: 'appended'; readonly seq: number; readonly revision: number }
  | { readonly status: 'conflict'; readonly seq: number; readonly revision: number }
  | { readonly status: 'fenced'; readonly epoch: number; readonly owner: string | null }
  | { readonly status: 'pinned'; readonly run: string }
  | { readonly status: 'misplaced'; readonly partition: LeaseKey }

/** A run as its store knows it, without reading its history. */
export interface RunHead {
  readonly run: string
  readonly namespace: string
  readonly key?: string
  readonly time: TimeMode
  /** The commit, id and version of the machine that the run is of now. */
  readonly machine: string
  readonly machineId: string
  readonly version: string
  readonly seq: number
  readonly revision: number
  /** Time of the last unit. */
  readonly at: number
  readonly status: RunStatus
  readonly value?: JsonValue
  readonly due: number | null
  /** The partition that the first leased append pinned. */
  readonly lease?: LeaseKey
  /** Only of a fork: its creation, which reading it does not show, and without which the ids of its units cannot be checked. */
  readonly fork?: NewUnit
  readonly beside: Beside
}

/** A materialised state: a cache, never trusted over the history. A lost one costs a replay. */
export interface StoredSnapshot {
  /** The unit after which the state was taken. */
  readonly seq: number
  /** The id of that unit, where it was known. */
  readonly id?: string
  /** The machine's commit. */
  readonly machine: string
  /** Version of the state's encoding. */
  readonly format: number
  readonly state: JsonValue
}

/** Which runs {@link Store.due} gives. */
export interface DueQuery {
  /** Those that need something at or before it, ms. */
  readonly before: number
  /** How many at most. */
  readonly limit: number
  /** @default of any */
  readonly namespace?: string
  /** Those of a partition. @default those that are pinned to none */
  readonly lease?: LeaseKey
}

/** A run that needs something. */
export interface DueRun {
  readonly run: string
  readonly namespace: string
  /** Since when, ms: its `due`, or when the process that has its effects in flight ran out, whichever is earlier. */
  readonly due: number
  readonly lease?: LeaseKey
}

/** How much of a head. */
export interface HeadOptions extends AbortOptions {
  /** How much of the mail that waits it shows, at least. @default 256 */
  readonly mail?: number | undefined
}

/** Which units of a run. */
export interface ReadOptions extends AbortOptions {
  /** First seq, inclusive; `from` and `to` are whole numbers, and a TypeError else. @default 0 */
  readonly from?: number | undefined
  /** Last seq, inclusive. @default the head at the call */
  readonly to?: number | undefined
  /** `false` spares the pass over the units before `from` that their ids need; reading `id` of such a unit throws. @default true */
  readonly ids?: boolean | undefined
}

/** Which runs. Order: by run id. */
export interface ListOptions extends AbortOptions {
  readonly namespace?: string | undefined
  /** Only runs whose id begins so. */
  readonly prefix?: string | undefined
  /** Only runs after this id. */
  readonly after?: string | undefined
  /** Is told of a run whose head cannot be read; the listing goes on with the others. @default it errors there */
  readonly damaged?: ((run: DamagedRun) => void) | undefined
}

/** A run whose head cannot be read. */
export interface DamagedRun extends Partial<Pick<RunHead, 'namespace' | 'key'>> {
  readonly run: string
  /** What the listing would end with. */
  readonly error: Error
}

/**
 * Keeps histories. One contract for every store; `storeConformance` of `xmachines/testing` is its meaning in tests.
 *
 * - Objects handed in are frozen or never changed by the caller afterwards, but for the list of a call (`items`, `mail`), which
 *   is the caller's again once the call settled. Units, heads, rows, records and snapshots given out are the caller's to keep and frozen.
 * - `append` answers per item and rejects only with `STORE_UNAVAILABLE` (nothing written), `STORE_OUTCOME_UNKNOWN` (may be
 *   written), `ABORTED`, `STORE_CLOSED`, or, for what no correct caller hands in (a gap between units, a fork of nothing), with a
 *   TypeError and nothing written. When it resolves, every `appended` item survives a crash, as far as the store claims. Calls
 *   overlap: a few at a time, each with items of other runs.
 * - Opening is lazy: the first operation opens; operations while opening wait; after `close` they reject with `STORE_CLOSED`,
 *   and a stream that is not read to its end errors with it.
 */
export interface Store {
  /** The hash of all ids. */
  readonly objectFormat: ObjectFormat
  /** Where it is, for messages: never a secret. */
  readonly location: string
  /**
   * Whether several processes have it open at a time, as one on a server. Then a run that is open without a host, and the runs of a lease, are
   * looked at every ten seconds: another process may have sent them mail, or have written to them. @default false
   */
  readonly shared?: boolean | undefined
  /** Writes units, and what is kept beside them, of many runs: each item on its own, if the run stands where the item expects it. */
  append(items: readonly AppendItem[], options?: AbortOptions): Promise<readonly AppendOutcome[]>
  /** A history, oldest first; errors with `RUN_UNKNOWN`. Of a fork: the shared units first. Cancelling it stops the reading. */
  read(run: string, options?: ReadOptions): ReadableStream<Unit>
  /** Where a run stands; `undefined`: there is no such run. Rejects with `RUN_DAMAGED` or `COMMIT_DAMAGED` where that cannot be read. */
  head(run: string, options?: HeadOptions): Promise<RunHead | undefined>
  /** The run that (namespace, key) is pinned to. */
  find(namespace: string, key: string, options?: AbortOptions): Promise<string | undefined>
  /** How all runs stand, by their ids; errors with the first whose head cannot be read, unless `damaged` is given. */
  list(options?: ListOptions): ReadableStream<RunHead>
  /** What is kept of a machine; `undefined`: no run of this store has been of it. */
  machine(oid: string, options?: AbortOptions): Promise<MachineRecord | undefined>
  /** Keeps a snapshot; may drop older ones, may drop this one. One of no run, or ahead of its history, is dropped. */
  saveSnapshot(run: string, snapshot: StoredSnapshot, options?: AbortOptions): Promise<void>
  /** The newest kept snapshot at or before `atMost`. */
  loadSnapshot(run: string, options?: AbortOptions & { readonly atMost?: number }): Promise<StoredSnapshot | undefined>
  /** Takes a partition over: raises its epoch, by one (from 1) or to what is above `above`. */
  claim(claim: Claim, options?: AbortOptions): Promise<LeaseRow>
  /** Sets the owner to null if `epoch` is still the row's. Resolves to whether it was. */
  release(key: LeaseKey & { readonly epoch: number }, options?: AbortOptions): Promise<boolean>
  /** Who has a partition; `undefined`: nobody has claimed it yet. */
  lease(key: LeaseKey, options?: AbortOptions): Promise<LeaseRow | undefined>
  /**
   * Puts mail into inboxes, in order, once per {@link MailKey}: an outcome for each.
   * Taken mail raises the run's revision and, unless the run is held or parked, makes it due at once (`due` 0).
   */
  deliver(mail: readonly Mail[], options?: AbortOptions): Promise<readonly MailOutcome[]>
  /**
   * Runs that need something, earliest first.
   * Also those whose `beside.process` ran out by then, or never was renewed (due 0).
   */
  due(query: DueQuery, options?: AbortOptions): Promise<readonly DueRun[]>
  /** Says that `process` lives until `until` (ms): what it has in flight is its own until then. */
  renew(process: string, until: number, options?: AbortOptions): Promise<void>
  /** Until when each of these processes lives, as it said last; 0: it never did, or is known to be gone. As {@link due} sees them. */
  livesUntil(processes: readonly string[], options?: AbortOptions): Promise<readonly number[]>
  /** Idempotent; waits for what is in flight. */
  close(): Promise<void>
}
