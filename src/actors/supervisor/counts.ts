import type { MeasuredPartition, Telemetry } from '../contracts/telemetry.ts'
import type { LeasePlace } from './lease-errors.ts'
import type { DrainStatus } from './status.ts'

/** What has happened under a supervisor since its start, counted. */
export class Counts {
  duplicates = 0
  deadLettered = 0
  outputsSent = 0
  readonly #group: string
  readonly #telemetry: Telemetry | undefined
  #fencedAppends = 0
  #leasesLost = 0
  #drains: DrainStatus = { count: 0, last: undefined, total: 0 }

  constructor(group: string, telemetry: Telemetry | undefined) {
    this.#group = group
    this.#telemetry = telemetry
  }

  get fencedAppends(): number {
    return this.#fencedAppends
  }
  get leasesLost(): number {
    return this.#leasesLost
  }
  get drains(): DrainStatus {
    return this.#drains
  }

  /** The store has refused an append of a lease. */
  fenced(lease: LeasePlace): void {
    this.#fencedAppends++
    this.#telemetry?.fenced(this.#measured(lease))
  }

  /** A lease was taken away. */
  lost(lease: LeasePlace): void {
    this.#leasesLost++
    this.#telemetry?.lost(this.#measured(lease))
  }

  /** A lease has drained, or had to stop to, after `ms`. */
  drained(lease: LeasePlace, ms: number): void {
    const { count, total } = this.#drains
    this.#drains = { count: count + 1, last: ms, total: total + ms }
    this.#telemetry?.drained(this.#measured(lease), ms)
  }

  #measured({ topic, partition }: LeasePlace): MeasuredPartition {
    return { topic, partition, group: this.#group }
  }
}
