import type { ActorPath, Origin, TraceContext } from './unit.ts'

/** A run, as it is measured. */
export interface MeasuredRun {
  readonly run: string
  readonly namespace: string
  /** `''`: it has none. */
  readonly key: string
  /** The machine's `id`, and its version. */
  readonly machine: string
  readonly version: string
}

/** A unit on its way. */
export interface MeasuredUnit {
  readonly of: MeasuredRun
  readonly origin: Origin
  /** The types of its events, as far as they are known yet. */
  readonly types: readonly string[]
  /** What its sender, the invocation that told it, or the unit that sent it as mail stands in. */
  readonly cause: TraceContext | undefined
  /** The span that is active now is its sender's. */
  readonly ambient: boolean
}

/** An attempt of an invocation. */
export interface MeasuredAttempt {
  readonly of: MeasuredRun
  /** The name of the logic. */
  readonly src: string
  readonly actor: ActorPath
  readonly key: string
  /** From 1. */
  readonly attempt: number
  /** The unit that entered it, where this process knows. */
  readonly cause: TraceContext | undefined
}

/** Mail that is put into inboxes, in one call. */
export interface MeasuredDelivery {
  readonly of: MeasuredRun
  readonly count: number
  /** The units that sent it, as far as they are in a trace. */
  readonly causes: readonly TraceContext[]
}

/** Something that takes time. Of several calls of `end` the first counts. */
export interface MeasuredSpan {
  /** Where it stands, to be kept: `undefined` where nobody records. */
  readonly trace: TraceContext | undefined
  /** @param error why it came to nothing */
  end(error?: { readonly code?: string; readonly message: string }): void
}

/** A unit on its way to be durable. */
export interface MeasuredUnitSpan extends MeasuredSpan {
  /** It is decided, and waits for the store. It may be decided again. */
  decided(): void
  /** It is durable, as unit `seq`; called before `end`. */
  durable(seq: number): void
}

/** An attempt that runs. */
export interface MeasuredAttemptSpan extends MeasuredSpan {
  /** Calls `work` with the span as the active one. */
  within<T>(work: () => T): T
}

/** A partition that a member of a group holds. */
export interface MeasuredPartition {
  readonly topic: string
  readonly partition: number
  readonly group: string
}

/** How far a lease is behind: as `supervisor.status()` says it. `undefined` where it is not known. */
export interface MeasuredLease extends MeasuredPartition {
  /** From the group's commit to the partition's end: `fetchLag` and `backlog` together. */
  readonly lag: number | undefined
  /** What waits in the topic. */
  readonly fetchLag: number | undefined
  /** What is in hand, from the group's commit on. */
  readonly backlog: number | undefined
  /** How long ago the oldest unsettled record was handed over, ms; 0: all are settled. */
  readonly oldestAge: number
  /** How long ago it was stamped, ms; 0: all are settled. */
  readonly timeLag: number
  /** How long nothing more was handed over because too much was unsettled, ms, in all. */
  readonly paused: number
}

/**
 * Measures runs: `createTelemetry` of `xmachines/otel` makes one for OpenTelemetry. Its methods are called on the hot path and
 * must not throw. Without one, nothing of this is called.
 */
export interface Telemetry {
  unit(unit: MeasuredUnit): MeasuredUnitSpan
  attempt(attempt: MeasuredAttempt): MeasuredAttemptSpan
  delivery(delivery: MeasuredDelivery): MeasuredSpan
  /** Calls `work`, which a unit that stands in `trace` left to be done, with that as the active span: none, where it stands in no trace. */
  within<T>(trace: TraceContext | undefined, work: () => T): T
  /** An append of items of so many runs begins. Call the answer when it is over. */
  append(runs: number): (failed: boolean) => void
  /** A run came into memory (1), or went out of it (-1). */
  residents(of: MeasuredRun, change: 1 | -1): void
  /**
   * Leases come under a supervisor: `read` asks the broker and tells how they stand; it never rejects. Call the answer when they
   * are gone.
   */
  leases(read: () => Promise<readonly MeasuredLease[]>): () => void
  /** The store refused an append, because somebody else had claimed the partition. */
  fenced(lease: MeasuredPartition): void
  /** A lease that the group wanted back has drained, or had to stop to, after `ms`. */
  drained(lease: MeasuredPartition, ms: number): void
  /** A lease was taken away. */
  lost(lease: MeasuredPartition): void
}
