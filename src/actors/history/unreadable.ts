import { type ErrorCode, XMachinesError } from '../errors.ts'

const codes: ReadonlySet<ErrorCode> = new Set(['RUN_DAMAGED', 'COMMIT_DAMAGED', 'HISTORY_SHALLOW'])

/** Whether the history of one run cannot be read to its end: those of the store's others can. */
export function isUnreadable(thrown: unknown): thrown is XMachinesError {
  return XMachinesError.is(thrown) && codes.has(thrown.code)
}
