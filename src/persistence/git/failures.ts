import { type ErrorCode, type ErrorDetails, messageOf, XMachinesError } from '../../actors/errors.ts'

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EFBIG: 'STORE_FULL',
  QuotaExceededError: 'STORE_FULL',
  EROFS: 'STORE_READ_ONLY',
  EACCES: 'STORE_READ_ONLY',
  EPERM: 'STORE_READ_ONLY',
  // A link where a file of ours would be: nothing is written through it.
  ELOOP: 'STORE_FOREIGN',
}

/** The system's name of what went wrong, like `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  if ('code' in error && typeof error.code === 'string') return error.code
  // A browser's code of it is a number.
  return 'name' in error && error.name === 'QuotaExceededError' ? error.name : undefined
}

/** What the system's refusal to read or write a repository means to a caller. What has a code already goes through. */
export function writeFailure(error: unknown, gitdir: string): XMachinesError {
  if (XMachinesError.is(error)) return error
  const code = codes[errnoOf(error) ?? ''] ?? 'STORE_UNAVAILABLE'
  const text = `The repository ${gitdir} could not be written to: ${messageOf(error)}. Its branches are as they were.`
  return new XMachinesError(code, text, { cause: error, details: { path: gitdir, errno: errnoOf(error) } })
}

/** Somebody else writes to a repository, as the lock says. */
export function writtenTo(gitdir: string, { details }: XMachinesError): XMachinesError {
  const who = details.pid === undefined ? 'another process' : `process ${details.pid} (since ${details.since})`
  const text = `The repository ${gitdir} is written to by ${who}. Stop it; \`openClone\` and Git read it meanwhile.`
  return new XMachinesError('STORE_LOCKED', text, { details: { ...details, path: gitdir } })
}

/** Small packs could not be merged: a matter of tidiness, after all was committed. */
export function untidied(error: unknown, gitdir: string): XMachinesError {
  const code = codes[errnoOf(error) ?? ''] ?? 'STORE_UNAVAILABLE'
  const text = `All is committed, but the packs of ${gitdir} could not be merged: ${messageOf(error)}. Look at that folder; \`git gc\` merges them too.`
  return new XMachinesError(code, text, { cause: error, details: { path: gitdir, errno: errnoOf(error) } })
}

/** What is archived could not be read. What has a code already goes through. */
export function sourceFailure(error: unknown, location: string, gitdir: string): XMachinesError {
  if (XMachinesError.is(error)) return error
  const text = `What the store ${location} holds could not be read, to be committed to ${gitdir}: ${messageOf(error)}. It is tried again.`
  return new XMachinesError('STORE_UNAVAILABLE', text, { cause: error, details: { path: location } })
}

/** The place holds something else. */
export function foreign(path: string, found: string, next: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError('STORE_FOREIGN', `${path} ${found}. ${next}`, { details: { path, ...details } })
}

/** The file of packed refs is not what Git writes. */
export function cutRefs(file: string, offset: number): XMachinesError {
  return new XMachinesError(
    'STORE_DAMAGED',
    `${file} is damaged at byte ${offset}: what Git writes does not end so. Nothing was changed. Restore this file from a copy, or fetch the branches again.`,
    { details: { file, offset } },
  )
}

/** A ref of ours that is a file says nothing, as a crash may leave it. */
export function namelessRef(file: string, ref: string): XMachinesError {
  return new XMachinesError(
    'STORE_DAMAGED',
    `${file} names no commit. Remove this file, and fetch the branch from a clone that has it.`,
    { details: { file, ref } },
  )
}

/**
 * Why objects may not be there that commits name: a partial clone, a push, which a shallow one may have made, a folder that
 * they are borrowed from and that is gone, or a pack whose index cannot be read.
 */
export type Gaps = 'partial' | 'pushed' | { readonly lender: string } | { readonly pack: string } | undefined

/** What is wrong with an object that is not there. */
export function absence({ gaps }: { readonly gaps: Gaps }): string {
  if (gaps === 'partial')
    return 'is not in this clone, which is partial (made with --filter; git fetch --refetch --no-filter brings the rest)'
  if (gaps === 'pushed')
    return 'is neither here nor in what was pushed, as where the clone is shallow (git fetch --unshallow)'
  if (gaps !== undefined && 'pack' in gaps)
    return `is not among what can be read, and the index of ${gaps.pack} is damaged: remove the index, and run git index-pack ${gaps.pack}`
  if (gaps !== undefined)
    return `is not here, and ${gaps.lender} is gone, which objects/info/alternates borrows from: bring it back, or change that file`
  return 'is missing'
}

/** A commit of a run, or what it stands on, is not what its id says. */
export function badCommit(run: string, commit: string, found: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError(
    'COMMIT_DAMAGED',
    `Commit ${commit} of run ${run} is bad: ${found}. Fetch it again from a clone that has it whole.`,
    { details: { run, commit, ...details } },
  )
}

/** The commit of a machine, or what it stands on, is not what its id says. */
export function badMachine(machine: string, found: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError(
    'COMMIT_DAMAGED',
    `Commit ${machine} of a machine is bad: ${found}. Fetch it again from a clone that has it whole.`,
    { details: { commit: machine, ...details } },
  )
}

/** The repository has another history. */
export function differs(run: string, seq: number, why: string): XMachinesError {
  return new XMachinesError(
    'ARCHIVE_DIFFERS',
    `Run ${run} cannot be committed: ${why} (unit ${seq}). Give the branch another name, or archive into another repository.`,
    {
      details: { run, seq },
    },
  )
}
