import { type ErrorCode, XMachinesError } from '../errors.ts'

/**
 * What a failure to load or decide a run means.
 *
 * - `stall`: the store or the broker is out of order; it is tried again for ever, with backoff.
 * - `fenced`: somebody else has claimed the partition.
 * - `again`: the run went out of memory meanwhile, for nobody's fault.
 * - `refuse`: the record cannot be this run's: it is refused.
 * - `stop`: nothing but a person can mend it, and every run may have it: the lease stops.
 * - `parked`: it stands parked already.
 * - `run`: the run's own; it is restarted, then parked.
 */
export type FailureKind = 'stall' | 'fenced' | 'again' | 'refuse' | 'stop' | 'parked' | 'run'

const kinds: Partial<Record<ErrorCode, FailureKind>> = {
  LEASE_LOST: 'fenced',
  LEASE_HELD: 'again',
  RUN_CLOSED: 'again',
  RUN_CONFLICT: 'stall',
  MAILBOX_FULL: 'stall',
  LEASE_MISPLACED: 'refuse',
  RECORD_UNDECODABLE: 'refuse',
  INPUT_INVALID: 'refuse',
  RUN_PARKED: 'parked',
  MACHINE_MISMATCH: 'stop',
  MACHINE_UNSUPPORTED: 'stop',
  REPLAY_DIVERGED: 'stop',
  TIME_MODE_MISMATCH: 'stop',
  OBJECT_FORMAT_MISMATCH: 'stop',
}

/** What `error` means for the run that it came from. */
export function kindOf(error: XMachinesError): FailureKind {
  if (/^(STORE|BROKER)_/.test(error.code)) return error.retryable ? 'stall' : 'stop'
  return kinds[error.code] ?? 'run'
}

/** Whether the same call to a store or a broker may succeed later. What is not one of our errors is a driver's own. */
export function mayPass(thrown: unknown): boolean {
  return XMachinesError.is(thrown) ? thrown.retryable : !(thrown instanceof TypeError)
}
