import type { Parked } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'

/** How a lease stands. */
export interface LeaseStatus {
  /** The topic of the partition. */
  readonly topic: string
  /** Its number, from 0. */
  readonly partition: number
  /** The epoch in the store; `undefined` before the first claim. */
  readonly epoch: number | undefined
  /**
   * `claiming`: it asks the store for its epoch; `running`: records flow; `fenced`: somebody else has claimed the partition, and the broker is
   * asked whose it is; `waiting`: it claims again after a pause; `stopped`: by `error`, until the group moves it; `draining`: it settles what is
   * in hand; `releasing`: it is given back.
   */
  readonly state: 'claiming' | 'running' | 'fenced' | 'waiting' | 'stopped' | 'draining' | 'releasing'
  /** The offset of the record that is handed over next; `undefined` before the first one. */
  readonly position: number | undefined
  /** What is committed, as far as this supervisor knows; `undefined` before its first commit, where the broker tells no earlier one. */
  readonly committed: number | undefined
  /**
   * The group's lag, as every tool shows it: from `committed` (or the position) to the partition's end. It is `fetchLag` and
   * `backlog` together. The end is the one that was last known; each look asks for the next one. Lags are in offsets: marks of
   * transactions and what compaction has taken count, too.
   */
  readonly lag: number | undefined
  /** From `position` to the partition's end: what waits in the topic. It grows where records come faster than they are taken in. */
  readonly fetchLag: number | undefined
  /**
   * From `committed` to `position`: what is in this process, and would come again if it died now. It stands at `window` or more
   * where one record holds up the commit.
   */
  readonly backlog: number | undefined
  /** Records that were handed over and are not settled. */
  readonly unsettled: number
  /**
   * How long ago the oldest unsettled record was handed over, ms; `undefined` where all are settled. By this process's clock alone:
   * what grows here is stuck, whatever time the records are of.
   */
  readonly oldestAge: number | undefined
  /**
   * How long ago the oldest unsettled record was stamped, ms: how late the runs are. Of meaning where producers stamp what they send with
   * the time of the sending; of records that are sent again with their old times it says how old those are. `undefined` where it was
   * not stamped.
   */
  readonly timeLag: number | undefined
  /** How long nothing more was handed over because `window` records were unsettled, ms, in all since the broker gave the lease. */
  readonly paused: number
  /** How long it has been draining, ms; `undefined` while it does not. */
  readonly drainTime: number | undefined
  /** Why it stands stopped. */
  readonly error: XMachinesError | undefined
}

/** A run that stands parked. */
export interface ParkedRunStatus extends Parked {
  /** The run's id. */
  readonly run: string
  /** What its records are keyed by; `undefined` where the run has none. */
  readonly key: string | undefined
  /** Of the partition that its records come from. */
  readonly topic: string
  readonly partition: number
}

/** The drains of a supervisor: leases that the group wanted back. Times are ms. */
export interface DrainStatus {
  readonly count: number
  /** The last one took so long. */
  readonly last: number | undefined
  readonly total: number
}

/** How a supervisor stands. Counts are since its start. */
export interface SupervisorStatus {
  readonly state: 'starting' | 'running' | 'failed' | 'draining' | 'closed'
  readonly leases: readonly LeaseStatus[]
  /** Runs in memory. */
  readonly residents: number
  /** Those that a record, or their need, has come upon. */
  readonly parked: readonly ParkedRunStatus[]
  /** Records that had been taken before: recognised, without effect. */
  readonly duplicates: number
  /** Records that the dead-letter topic has acknowledged. */
  readonly deadLettered: number
  /** Outputs that the result topic has acknowledged. */
  readonly outputsSent: number
  /** Appends of runs in memory that the store refused, because somebody else had claimed the partition. */
  readonly fencedAppends: number
  /** Drains that are over, whether everything in hand was settled or the time for it was over. */
  readonly drains: DrainStatus
  /** Leases that were taken away: what was in hand came again, here or elsewhere. */
  readonly leasesLost: number
}
