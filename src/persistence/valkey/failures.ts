import { type ErrorCode, messageOf, XMachinesError } from '../../actors/errors.ts'

const advice: Readonly<Partial<Record<ErrorCode, string>>> = {
  STORE_UNAVAILABLE: 'Nothing was written. Try again when the server answers.',
  STORE_OUTCOME_UNKNOWN: 'It may have been written: reopen the run and look, or repeat with the same `source` or `id`.',
  STORE_READ_ONLY: 'Connect to the primary, as a user who may write.',
  STORE_REFUSED: 'Check user, password and the number of the database, and what the user may read.',
  STORE_FULL: 'Nothing was written. Free memory or disk of the server, or raise `maxmemory`, and send it again.',
  STORE_FOREIGN: 'Something else wrote to the keys of this prefix. Give another `prefix`.',
  STORE_MISSING: 'Check the prefix, and the number of the database.',
  STORE_ROLLED_BACK:
    'It failed over, or was restored from a copy. Nothing was written. Decide which history holds, and then make a new store.',
}

/** What the server says it cannot do, by the first word of its answer. */
const refusals: Readonly<Record<string, ErrorCode>> = {
  READONLY: 'STORE_READ_ONLY',
  OOM: 'STORE_FULL',
  WRONGTYPE: 'STORE_FOREIGN',
  ROLLEDBACK: 'STORE_ROLLED_BACK',
  LOADING: 'STORE_UNAVAILABLE',
  BUSY: 'STORE_UNAVAILABLE',
  MASTERDOWN: 'STORE_UNAVAILABLE',
  NOREPLICAS: 'STORE_UNAVAILABLE',
  MISCONF: 'STORE_UNAVAILABLE',
  CLUSTERDOWN: 'STORE_UNAVAILABLE',
  TRYAGAIN: 'STORE_UNAVAILABLE',
  MOVED: 'STORE_UNAVAILABLE',
  ASK: 'STORE_UNAVAILABLE',
  NOAUTH: 'STORE_REFUSED',
  WRONGPASS: 'STORE_REFUSED',
}

/** What it means that a connection was not made. @param found what its client met */
export function connectFailure(location: string, found: string): XMachinesError {
  const isShutOut = /^(WRONGPASS|NOAUTH)\b/.test(found)
  return storeError(
    isShutOut ? 'STORE_REFUSED' : 'STORE_UNAVAILABLE',
    location,
    `the server cannot be reached: ${found}`,
  )
}

/** What it means that a database was not to be had: a server that does not answer, or one that has no such. */
export function selectFailure(error: unknown, location: string, database: number): XMachinesError {
  if (!isReply(error) || /^(LOADING|BUSY|NOAUTH)\b/.test(error.message)) return failure(error, location, false)
  const found = `it lets nobody into its database ${database}: ${error.message.replace(/^ERR /, '')}`
  return storeError('STORE_REFUSED', location, found)
}

/** What Redis and Valkey say of a command of a script that its user may not call. */
const missingRight = /^ERR (?:The user executing the script can't|ACL failure in script)/

/** Whether the server has not got the script yet. */
export function isUnknownScript(error: unknown): boolean {
  return isReply(error) && error.message.startsWith('NOSCRIPT')
}

function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError'
}

/**
 * What it means to a caller that a command failed. What it has a code for already goes through.
 *
 * @param writes whether the command may have written something before it failed
 */
export function failure(error: unknown, location: string, writes: boolean): XMachinesError {
  if (XMachinesError.is(error)) return error
  const message = messageOf(error)
  if (!isReply(error)) {
    // Said by the client before it sends anything.
    const wasSent = !message.startsWith("Stream isn't writeable")
    return storeError(writes && wasSent ? 'STORE_OUTCOME_UNKNOWN' : 'STORE_UNAVAILABLE', location, message)
  }
  // The answer of a script begins with the answer of the command that it called.
  const word = /^(?:ERR )?(?:Error running script.*?: )?-?([A-Z]+)/.exec(message)?.[1] ?? ''
  const isShut = word === 'NOPERM' || missingRight.test(message)
  const shut = writes ? 'STORE_READ_ONLY' : 'STORE_REFUSED'
  const isDiskFull = word === 'MISCONF' && message.includes('No space left')
  const code = isDiskFull ? 'STORE_FULL' : isShut ? shut : refusals[word]
  return storeError(code ?? (writes ? 'STORE_OUTCOME_UNKNOWN' : 'STORE_UNAVAILABLE'), location, message)
}

/** The cause is only the text: the client's own error carries the command, with whatever was in it. */
export function storeError(
  code: ErrorCode,
  location: string,
  found: string,
  details: Record<string, string | number> = {},
): XMachinesError {
  return new XMachinesError(
    code,
    `The store ${location}: ${found.replace(/(?<![.\s])[.\s]+$/, '')}. ${advice[code] ?? ''}`.trimEnd(),
    {
      cause: new Error(found),
      details: { location, ...details },
    },
  )
}
