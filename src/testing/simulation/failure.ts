import { messageOf } from '../../actors/errors.ts'

/** What of a simulation failed: an invariant of the caller's, or a law that holds for every run. */
export type FailureKind = 'invariant' | 'end' | 'stuck' | 'history' | 'acknowledged' | 'lost' | 'error'

/** A seed failed. */
export class SimulationFailure extends Error {
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }
}

/** Runs a check of the caller's: it fails by throwing, or by giving `false`. */
export async function hold(kind: FailureKind, what: string, check: () => unknown): Promise<void> {
  let given: unknown
  try {
    given = await check()
  } catch (thrown) {
    throw new SimulationFailure(kind, `${what}: ${messageOf(thrown)}`, thrown)
  }
  if (given === false) throw new SimulationFailure(kind, `${what}: it gave false.`)
}
