import type {
  Claim,
  DueQuery,
  DueRun,
  LeaseKey,
  LeaseRow,
  MachineRecord,
  Mail,
  MailKey,
  MailOutcome,
  StoredSnapshot,
} from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { XMachinesError } from '../../actors/errors.ts'
import type { JudgedRun } from '../judge.ts'
import type { WrittenRow, WrittenUnit } from './run-row.ts'

/** One run's part of an append: what its items make of it together, in one step. */
export interface RunWrite {
  readonly run: string
  /** Where the run must stand; `null`: it must not be there, nor another one that its (namespace, key) is pinned to. */
  readonly expected: { readonly seq: number; readonly revision: number } | null
  /**
   * The partition's row must have this epoch and an owner, and the run be pinned to it or to none. Without: a run that is
   * pinned must find no owner in its partition's row.
   */
  readonly lease: (LeaseKey & { readonly epoch: number }) | undefined
  /** The run's row afterwards. */
  readonly row: WrittenRow
  /** Not the creation of a fork: its row has that. */
  readonly units: readonly WrittenUnit[]
  /** The mail that leaves its inbox. */
  readonly taken: readonly MailKey[]
  /** It is one unit of a run that is there, and what the server looks by stays: all but `seq`, `revision`, `at`, `value` and `beside`. */
  readonly isPlain: boolean
  /** Machines that the server may not have yet. */
  readonly machines: readonly MachineRecord[]
}

/** What stood in the way of a write, as of one moment: enough for `judge`. */
export interface Refused {
  /** The run, if it is there, and the token of its last write. */
  readonly row: (JudgedRun & { readonly token: string | null }) | undefined
  /** The run that the (namespace, key) of a creation is pinned to. */
  readonly pinned: string | undefined
  /** The rows of the partitions that matter: the write's own and the run's. */
  readonly leases: readonly LeaseRow[]
}

/** A run, with the oldest of the mail that waits (`inboxPage`, unless more is asked for) and how much there is of it. */
export interface WrittenHead {
  readonly run: string
  /** The error: something else wrote to it. */
  readonly row: WrittenRow | XMachinesError
  readonly inbox: readonly Mail[]
  readonly waiting: number
}

/** What a store reads of its runs. Each method is one round trip where it can be. */
export interface ServerReadings {
  /** Those of the rows that are there. */
  rows(runs: readonly string[]): Promise<readonly WrittenRow[]>
  head(run: string, mail: number): Promise<WrittenHead | undefined>
  /** Runs after `after` (or from it on, with `inclusive`) in the order of their ids, bytewise; `limit` at most. */
  heads(query: HeadsQuery): Promise<readonly WrittenHead[]>
  pinned(namespace: string, key: string): Promise<string | undefined>
  /** The own units `from` … `to` of a run, in order: as many of the first as are well read at once, and one at least. */
  units(run: string, from: number, to: number): Promise<readonly WrittenUnit[]>
  machine(oid: string): Promise<MachineRecord | undefined>
}

/** Which runs {@link ServerReadings.heads} gives. */
export interface HeadsQuery {
  readonly after: string
  readonly inclusive: boolean
  readonly prefix: string
  readonly namespace: string | undefined
  readonly limit: number
}

/** The snapshots of a store: a cache. */
export interface ServerSnapshots {
  /** Keeps the newest few of a run. One of no run, or ahead of its history, is dropped. */
  save(run: string, snapshot: StoredSnapshot): Promise<void>
  load(run: string, atMost: number): Promise<StoredSnapshot | undefined>
}

/** The rows of a store's partitions. */
export interface ServerLeases {
  claim(claim: Claim): Promise<LeaseRow>
  release(key: LeaseKey & { readonly epoch: number }): Promise<boolean>
  row(key: LeaseKey): Promise<LeaseRow | undefined>
}

/** Who wants attention, and which processes live to give it. */
export interface ServerAttention {
  due(query: DueQuery): Promise<readonly DueRun[]>
  renew(process: string, until: number): Promise<void>
  livesUntil(processes: readonly string[]): Promise<readonly number[]>
}

/**
 * What a store asks of the server that keeps it. Each method, of its parts too, is atomic.
 *
 * Failures are `XMachinesError`s: `STORE_UNAVAILABLE` where nothing was written, `STORE_OUTCOME_UNKNOWN` where it may have
 * been; both are tried again. Whatever else it throws goes through to the caller.
 */
export interface ServerBackend {
  /** Where it is, for messages: never a secret. */
  readonly location: string
  readonly readings: ServerReadings
  readonly snapshots: ServerSnapshots
  readonly leases: ServerLeases
  readonly attention: ServerAttention
  /**
   * Connects; makes what is missing, or checks what is there. Called before all else, again after it failed.
   *
   * @throws STORE_MISSING where there is no store and none is to be made
   */
  open(objectFormat: ObjectFormat, create: boolean): Promise<void>
  /**
   * Judges and writes, each write all or nothing, whatever becomes of the others. No two are of one run.
   *
   * @param token names this call; a write that the run's row says was this call's is not written again, and answered as written
   * @returns a write each: `undefined` where it is written
   */
  append(writes: readonly RunWrite[], token: string): Promise<readonly (Refused | undefined)[]>
  deliver(mail: readonly Mail[]): Promise<readonly MailOutcome[]>
  close(): Promise<void>
}
