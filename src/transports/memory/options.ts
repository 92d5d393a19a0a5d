import { longestTimeout } from '../../actors/environment.ts'

/** Where timeouts come from. XState's clocks, the simulated one too, have this shape. */
export interface Timers {
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

/** What `memoryBroker` takes. */
export interface MemoryBrokerOptions {
  /** How many partitions a topic has that comes into being by its first use. @default 1 */
  readonly partitions?: number | undefined
  /**
   * The cluster's id, part of a supervisor's source id. Give one where producers repeat the same records from the start,
   * so that they are recognised.
   * @default random
   */
  readonly id?: string | undefined
  /** Stamps records, ms since 1970. @default Date.now */
  readonly clock?: (() => number) | undefined
  /** Counts `drainTimeout` and `sessionTimeout`. @default the runtime's own */
  readonly timers?: Timers | undefined
}

/** The runtime's own timers. */
export const runtimeTimers: Timers = {
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(longestTimeout, ms)),
  clearTimeout: timer => clearTimeout(timer as number),
}
