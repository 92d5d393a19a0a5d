import { digest } from './identity/digest.ts'

/**
 * The step that runs now: what `now`, `random` and `uuid` answer from.
 *
 * Kept on the global object under a registered symbol, so that a machine that was loaded with another copy of this
 * package (a CLI and a project, say) reads the same step.
 */
export interface Step {
  /** The unit's time, ms. */
  readonly at: number
  /** What randomness derives from: `<id of the unit before> <seq>`, asked for when first needed; `undefined` while that id is not known. */
  readonly seed: (() => string) | undefined
  /** How many random values the step has taken. */
  taken: number
  /** Not a step but an effect of one: randomness is the platform's. */
  readonly effect?: boolean
  /** Set when a value was asked for without a seed: the step is dropped and decided again with one. */
  starved: boolean
}

const registry = globalThis as { [key: symbol]: { step: Step | undefined } | undefined }
const key = Symbol.for('xmachines.step')
const current = (registry[key] ??= { step: undefined })

/** Runs `body` as a step. Steps do not nest: the one before is restored, also when `body` throws. */
export function withinStep<T>(step: Step, body: () => T): T {
  const before = current.step
  current.step = step
  try {
    return body()
  } finally {
    current.step = before
  }
}

/** Enters a step and returns the one before, for {@link leaveStep}: the same as {@link withinStep} without a closure. */
export function enterStep(step: Step): Step | undefined {
  const before = current.step
  current.step = step
  return before
}

/** The step that runs now. */
export function currentStep(): Step | undefined {
  return current.step
}

/** Leaves a step. */
export function leaveStep(before: Step | undefined): void {
  current.step = before
}

/**
 * The time of the unit that is being applied, in milliseconds since 1970: the same on every replay.
 * Use it in guards, actions, `assign`, inputs and delays instead of `Date.now()`.
 * Outside a run (a plain `createActor`) it is the platform's clock.
 */
export function now(): number {
  return current.step?.at ?? Date.now()
}

/**
 * A number from 0 (inclusive) to 1 (exclusive) that derives from the run's history: the same on every replay.
 * Predictable by whoever can read the history: never a secret. Outside a run, and in a custom action, it is `Math.random()`.
 */
export function random(): number {
  const step = current.step
  if (step === undefined || step.effect === true) return Math.random()
  const bytes = take(step)
  return Number.parseInt(bytes.slice(0, 13), 16) / 2 ** 52
}

/**
 * A UUID (version 8) that derives from the run's history: the same on every replay, and never the same twice in one run.
 * Predictable by whoever can read the history: never a secret. Outside a run, and in a custom action, it is `crypto.randomUUID()`.
 */
export function uuid(): string {
  const step = current.step
  if (step === undefined || step.effect === true) return crypto.randomUUID()
  const hex = take(step)
  const variant = '89ab'[Number.parseInt(hex[16]!, 16) & 3]!
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

const ascii = new TextEncoder()

/** The next value of the step's sequence, as 64 hex digits. */
function take(step: Step): string {
  if (step.seed === undefined) {
    step.starved = true
    return '0'.repeat(64)
  }
  return digest('sha256', ascii.encode(`${step.seed()} ${step.taken++}`))
}
