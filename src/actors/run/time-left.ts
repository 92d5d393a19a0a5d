import type { Environment } from '../environment.ts'

/**
 * Counts down a close, ms: what one part of it takes, the next has no more, down to the children of children. Otherwise each
 * would wait for as long as the whole may.
 */
export function timeLeft(environment: Environment, timeout: number): () => number {
  const end = environment.now() + timeout
  // A clock that is set back gives nobody more than there was.
  return () => Math.max(0, Math.min(timeout, end - environment.now()))
}
