import { type ErrorCode, type ErrorDetails, messageOf, XMachinesError } from '../../actors/errors.ts'

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EFBIG: 'STORE_FULL',
  EROFS: 'STORE_READ_ONLY',
  EACCES: 'STORE_READ_ONLY',
  EPERM: 'STORE_READ_ONLY',
}

/** The system's name of what went wrong, like `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/** What the system's refusal to write to a repository means to a caller. What has a code already goes through. */
export function writeFailure(error: unknown, gitdir: string): XMachinesError {
  if (XMachinesError.is(error)) return error
  const code = codes[errnoOf(error) ?? ''] ?? 'STORE_UNAVAILABLE'
  const text = `The repository ${gitdir} could not be written to: ${messageOf(error)}. Its branches are as they were.`
  return new XMachinesError(code, text, { cause: error, details: { path: gitdir, errno: errnoOf(error) } })
}

/** The place holds something else. */
export function foreign(path: string, found: string, next: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError('STORE_FOREIGN', `${path} ${found}. ${next}`, { details: { path, ...details } })
}

/** A commit of a run, or what it stands on, is not what its id says. */
export function badCommit(run: string, commit: string, found: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError(
    'COMMIT_DAMAGED',
    `Commit ${commit} of run ${run} is bad: ${found}. Fetch it again from a clone that has it whole.`,
    { details: { run, commit, ...details } },
  )
}
