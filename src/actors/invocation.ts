import { XMachinesError } from './errors.ts'

/** What an invocation can know of itself: see {@link invocation}. */
export interface InvocationInfo {
  /**
   * Names the invocation for ever: `<run id>/<seq of the unit that entered it>/<actor path>`, in ASCII. The same for every
   * attempt, after every restart: hand it on as an idempotency key.
   */
  readonly key: string
  /** Which attempt this is, from 1. */
  readonly attempt: number
  /**
   * Aborts when nobody waits for this attempt any more: its state was left, it timed out, the run was closed or ended, or the
   * lease was lost. The reason is an `XMachinesError`.
   */
  readonly signal: AbortSignal
}

// On the global object, as the step is: a machine may have been loaded with another copy of this package.
const registry = globalThis as { [key: symbol]: { info: InvocationInfo | undefined } | undefined }
const key = Symbol.for('xmachines.invocation')
const current = (registry[key] ??= { info: undefined })

/** Runs `start` as that attempt. The one before is restored, also when `start` throws. */
export function withinInvocation(info: InvocationInfo, start: () => void): void {
  const before = current.info
  current.info = info
  try {
    start()
  } finally {
    current.info = before
  }
}

/**
 * The key, the attempt and the signal of the invocation that is being started. Call it in the logic of `fromPromise`,
 * `fromCallback` or `fromObservable`, before the first `await`.
 *
 * @example
 * const charge = fromPromise(async ({ input }: { input: Payment }) => {
 *   const { key, signal } = invocation()
 *   return pay(input, { idempotencyKey: key, signal })
 * })
 *
 * @throws `INVOCATION_UNKNOWN` anywhere else, and in a plain XState actor, which no run stands behind
 */
export function invocation(): InvocationInfo {
  if (current.info !== undefined) return current.info
  throw new XMachinesError(
    'INVOCATION_UNKNOWN',
    'invocation() was called where no invocation of a run is being started. Call it in the logic before its first await, and keep what it returns.',
  )
}
