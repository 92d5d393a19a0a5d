import { type ErrorCode, messageOf, XMachinesError } from '../../actors/errors.ts'

/** The user may not do that with a table, or a schema. */
const missingRight = '42501'

/** What the server's refusals mean to a caller, by SQLSTATE or by its class. */
const codes: Readonly<Record<string, ErrorCode>> = {
  '25006': 'STORE_READ_ONLY',
  [missingRight]: 'STORE_READ_ONLY',
  '53100': 'STORE_FULL',
  // A relation of this name is there already, and no store made it.
  '42P07': 'STORE_FOREIGN',
  // A name that begins with `pg_` is the server's own.
  '42939': 'STORE_FOREIGN',
  // A table, a column or a row is not as the store made it.
  '42P01': 'STORE_DAMAGED',
  '42703': 'STORE_DAMAGED',
  '23': 'STORE_DAMAGED',
  XX: 'STORE_DAMAGED',
}

const advice: Readonly<Partial<Record<ErrorCode, string>>> = {
  STORE_READ_ONLY: 'Give this user the right to write, on a server that takes writes.',
  STORE_REFUSED: 'Check user, password and database, and what the user may read.',
  STORE_FULL: 'Nothing of it was kept. Free space and send it again.',
  STORE_FOREIGN: 'Give a `schema` that is new or empty.',
  STORE_DAMAGED: 'Something else changed the tables. Restore them from a copy.',
  STORE_UNAVAILABLE: 'Nothing of it was kept. Try again when the server answers.',
  STORE_OUTCOME_UNKNOWN: 'It may have been written. Reopen the run and look, or repeat with the same id.',
}

/** The server's name of what went wrong, of five characters. */
export function stateOf(error: unknown): string | undefined {
  return isAnswer(error) ? error.code : undefined
}

/** Other statements stood in the way: the same one works when it is sent again. */
export function isCollision(error: unknown): boolean {
  const state = stateOf(error)
  return state === '40001' || state === '40P01'
}

/** A statement was prepared on another connection than this one: a pooler hands out a new one for each transaction. */
export function isUnprepared(error: unknown): boolean {
  const state = stateOf(error)
  return state === '26000' || state === '42P05'
}

export function isTableMissing(error: unknown): boolean {
  return stateOf(error) === '42P01'
}

/** The server takes no writes, or none over this connection. */
export function isReadOnly(error: unknown): boolean {
  return stateOf(error) === '25006'
}

/** The server refused a statement and undid it; not that its process ended, which may be after a commit. */
export function isRefusal(error: unknown): boolean {
  return isAnswer(error) && error.severity === 'ERROR' && !error.code.startsWith('08')
}

/** The server does not let in whom it was asked to: it would only say the same again. */
function isShutOut(state: string): boolean {
  return state.startsWith('28') || state === '3D000'
}

/** What it was handed is none of its data, or over a limit of its own: it would only say the same again. */
function isMisuse(state: string): boolean {
  return state.startsWith('22') || state.startsWith('54')
}

/**
 * What became of a statement that failed: a TypeError where it was handed what the server can never take.
 *
 * @param mayBeDone whether it was sent and writes
 */
export function failure(error: unknown, location: string, mayBeDone: boolean): Error {
  if (XMachinesError.is(error)) return error
  const state = stateOf(error) ?? ''
  if (isMisuse(state) && isRefusal(error))
    return new TypeError(
      `The store ${location} cannot hold what it was handed: ${textOf(error)}. Nothing of it was kept.`,
      {
        cause: error,
      },
    )
  const lost: ErrorCode = mayBeDone ? 'STORE_OUTCOME_UNKNOWN' : 'STORE_UNAVAILABLE'
  const refused = codes[state] ?? codes[state.slice(0, 2)] ?? 'STORE_UNAVAILABLE'
  // The right that is missing is one to read.
  const isShut = isShutOut(state) || (state === missingRight && !mayBeDone)
  const code = isShut ? 'STORE_REFUSED' : isRefusal(error) ? refused : lost
  return new XMachinesError(code, `The store ${location} failed: ${textOf(error)}. ${advice[code]}`, {
    cause: error,
    details: { state: state || undefined },
  })
}

/** An answer of a server in whose place another one is already. @param mayBeDone whether what was sent writes */
export function replaced(location: string, mayBeDone: boolean): XMachinesError {
  const code = mayBeDone ? 'STORE_OUTCOME_UNKNOWN' : 'STORE_UNAVAILABLE'
  return new XMachinesError(code, `The server of ${location} was replaced while it answered. ${advice[code]}`)
}

/** A connection that leads to a replica, where one led to a primary before. */
export function replicaMet(location: string): XMachinesError {
  const message = `The server of ${location} is a replica now, which answers with what was.`
  return new XMachinesError('STORE_UNAVAILABLE', `${message} ${advice.STORE_UNAVAILABLE}`)
}

/** Rows that are no text would be read as something else, and a write that lost as one that won. */
export function binaryRows(location: string): XMachinesError {
  const message = `The pool of the store ${location} gives rows in binary: they must be text. Make it without \`binary: true\`.`
  return new XMachinesError('STORE_UNSAFE', message, { details: { setting: 'binary', value: true } })
}

/** A pool gives no more connections once its owner has ended it. */
export function poolEnded(cause: unknown, location: string): XMachinesError {
  const message = `The pool of the store ${location} was ended. Make a new one, and a store with it.`
  return new XMachinesError('STORE_CLOSED', message, { cause })
}

/** A refused connection has no message of its own where the host has several addresses. */
function textOf(error: unknown): string {
  return messageOf(error) || (error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : 'no answer')
}

interface Answer {
  readonly code: string
  readonly severity: string
}

function isAnswer(error: unknown): error is Answer {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    'severity' in error &&
    typeof error.code === 'string' &&
    typeof error.severity === 'string'
  )
}
