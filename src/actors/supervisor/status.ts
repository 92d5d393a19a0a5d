import type { Parked } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'

/** How a lease stands. */
export interface LeaseStatus {
  readonly topic: string
  readonly partition: number
  /** The epoch in the store; `undefined` before the first claim. */
  readonly epoch: number | undefined
  readonly state: 'claiming' | 'running' | 'fenced' | 'waiting' | 'stopped' | 'draining' | 'releasing'
  /** The offset of the record that is handed over next; `undefined` before the first one. */
  readonly position: number | undefined
  /** What is committed, as far as this supervisor knows; `undefined` before its first commit, where the broker tells no earlier one. */
  readonly committed: number | undefined
  /** Records from `committed` (or the position) to the partition's end, as it was last known. Each look asks for the next one. */
  readonly lag: number | undefined
  /** Records that were handed over and are not settled. */
  readonly unsettled: number
  /** Why it stands stopped. */
  readonly error: XMachinesError | undefined
}

/** A run that stands parked. */
export interface ParkedRunStatus extends Parked {
  readonly run: string
  readonly key: string | undefined
  readonly topic: string
  readonly partition: number
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
}
