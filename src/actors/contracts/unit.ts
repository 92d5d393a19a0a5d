import type { JsonValue, RecordedEvent } from './json.ts'

/** Which hash makes the object names of a store: Git's two formats, never mixed within one store. */
export type ObjectFormat = 'sha1' | 'sha256'

/** How a run reads time. `'arrival'`: units are stamped when accepted. `'source'`: by what the source gives. */
export type TimeMode = 'arrival' | 'source'

/** Where an actor stands in its run: the ids from the root's child downwards; the root itself is `[]`. */
export type ActorPath = readonly string[]

/**
 * Why a unit exists: what happened, never how it was transported. Part of the unit's identity.
 *
 * - `outside`: an event or a batch that somebody sent.
 * - `effect`: something an invocation started by unit `entered` told: a value, its end, an error, an event.
 * - `timer`: the `index`-th timer armed by unit `armed` fell due.
 * - `mail`: the `index`-th mail of unit `seq` of another run. `undelivered`: the answer to a mail that could not be taken.
 * - `child`: a child run ended.
 * - `stop`: somebody ended the run for good.
 * - `migration`: the run went over to another machine version.
 */
export type Origin =
  | { readonly kind: 'outside' }
  | { readonly kind: 'effect'; readonly actor: ActorPath; readonly entered: number }
  | { readonly kind: 'timer'; readonly actor: ActorPath; readonly armed: number; readonly index: number }
  | { readonly kind: 'mail'; readonly run: string; readonly seq: number; readonly index: number }
  | { readonly kind: 'undelivered'; readonly run: string; readonly seq: number; readonly index: number }
  | { readonly kind: 'child'; readonly run: string }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'migration'; readonly from: string }

/** A place in a source that the run has taken; see {@link SourcePosition}. */
export interface SourcePosition {
  /** Names the source: for a supervised run `<cluster id>/<topic>/<partition>`. */
  readonly id: string
  /** Grows with every record of the source. */
  readonly position: bigint | number
}

/** How a run began: everything its id is made of, and the time mode that is fixed with it. */
export interface Creation {
  /** The machine's commit. */
  readonly machine: string
  readonly namespace: string
  /** A keyed run: every node derives the same id from (machine, namespace, key, input). */
  readonly key?: string
  /** An unkeyed run: what makes two of them differ. */
  readonly nonce?: string
  readonly input?: JsonValue
  /** A snapshot of XState's own `getPersistedSnapshot()` that the run started from. */
  readonly snapshot?: JsonValue
  /** A fork: its history begins with units 0…`at` of `run`; `parent` is the id of unit `at`. */
  readonly fork?: { readonly run: string; readonly at: number; readonly parent: string }
  /** Kept beside the identity. */
  readonly time: TimeMode
}

/** Names a run of a store. */
export type RunName = { readonly namespace: string; readonly key: string }

/** A mail that a unit sends to another run of its store, by the name that the run has there. */
export interface SentMail {
  readonly to: RunName
  readonly event: RecordedEvent
}

/** Where a unit stands in a distributed trace, as the W3C's Trace Context writes it into headers. */
export interface TraceContext {
  /** `<version>-<trace id>-<span id>-<flags>`. */
  readonly traceparent: string
  readonly tracestate?: string
}

/**
 * What becomes of the parent's side when a child run fails (its status is `error`, or it cannot be created).
 *
 * - `'stop'`: the parent is told, nothing else.
 * - `'escalate'`: the parent ends with it, with status `error`.
 * - `restart`: a fresh run of the same machine and input takes its place, so many times at most; then the parent is told.
 */
export type ChildPolicy = 'stop' | 'escalate' | { readonly restart: number }

/** What a spawn settles about the child for its whole life. */
export interface ChildTerms {
  readonly policy: ChildPolicy
  /** Whether the child is stopped when its parent ends. */
  readonly linked: boolean
}

/** A child run that a unit starts (`spawnRun`). */
export interface SentSpawn extends ChildTerms {
  readonly spawn: RunName
  /** The machine's commit, as of the unit: a process that has another version of it creates the child with that. */
  readonly machine: string
  readonly input?: JsonValue
}

/** A run that takes the place of the child run whose last unit this is: the `restart`-th, of the same machine and input. */
export interface SentRestart {
  readonly spawn: RunName
  readonly restart: number
}

/** What the last unit of a child run tells its parent. */
export interface SentEnd {
  /** The parent run. */
  readonly parent: string
  readonly event: RecordedEvent
}

/** The last unit of a run stops the linked children that are still there. */
export interface SentStop {
  readonly stop: 'children'
}

/** Whatever a unit sends within its store. */
export type Sent = SentMail | SentSpawn | SentRestart | SentEnd | SentStop

/** A unit as the core hands it to a store: one event or one atomic batch, decided. */
export interface NewUnit {
  readonly seq: number
  /** Milliseconds since 1970; never less than that of the unit before. */
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly origin: Origin
  /** What the machine emitted, in order. Beside the identity. */
  readonly outputs: readonly RecordedEvent[]
  /** The mail it sends (`tell`) and the child runs it starts (`spawnRun`), in order. Beside the identity. */
  readonly mail?: readonly Sent[]
  /** Positions that this unit takes. Beside the identity. */
  readonly sources?: readonly SourcePosition[]
  /** The caller's idempotency id. Beside the identity. */
  readonly requestId?: string
  /** The span that the unit was decided in, or else what its sender gave. Beside the identity. */
  readonly trace?: TraceContext
  /** Of what an invocation told: the attempts so far, if there was more than one. Beside the identity. */
  readonly attempts?: number
  /** Hash of the state after the unit. Beside the identity. */
  readonly state?: string
  /** Only unit 0. */
  readonly creation?: Creation
  /** The commit of the machine that the unit goes over to. Only a migration. */
  readonly machine?: string
  /** Of a unit that is taken over from another store: the lease epoch it was recorded under, `null` for none. @default that of the item's lease */
  readonly epoch?: number | null
}

/** One unit of a history, as read from a store. Frozen; never changes. */
export interface Unit extends NewUnit {
  /** The run that the unit was appended to: for the shared part of a fork, the run it came from. */
  readonly run: string
  /** The unit's commit, computed when first read. Unit 0's is the run's id. */
  readonly id: string
  /** The lease epoch under which it was recorded, if any. */
  readonly epoch?: number
}
