import { randomNonce } from './identity/run-key.ts'

/** A timer handle of the platform. */
export type TimeoutHandle = ReturnType<typeof globalThis.setTimeout>

/** What the core takes from the world around it: nothing else reads a clock or sets a timer. */
export interface Environment {
  /** Milliseconds since 1970. */
  now(): number
  setTimeout(work: () => void, ms: number): TimeoutHandle
  clearTimeout(handle: TimeoutHandle): void
  /** Names this process among all that share a store. */
  readonly process: string
  /** Hands over what a running invocation told: a simulation chooses when, in the order told. @default at once */
  hand?(invocation: string, over: () => void): void
}

/**
 * Does `work` once what runs now is over. The platform's as it was when this was loaded: Jest's fake timers hold microtasks back, too, and
 * what is done here does not wait for time.
 */
export const soon: (work: () => void) => void = globalThis.queueMicrotask

/** The longest time that a platform's timer takes, ms: 24 days. What is longer rings at once there. */
export const longestTimeout = 2_147_483_647

/** The platform's own. */
export const platform: Environment = {
  now: () => Date.now(),
  setTimeout: (work, ms) => globalThis.setTimeout(work, Math.min(longestTimeout, ms)),
  clearTimeout: handle => globalThis.clearTimeout(handle),
  process: randomNonce(),
}
