import { existsSync } from 'node:fs'
import { type ErrorCode, type ErrorDetails, messageOf, XMachinesError } from '../../actors/errors.ts'

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EFBIG: 'STORE_FULL',
  EROFS: 'STORE_READ_ONLY',
  EACCES: 'STORE_READ_ONLY',
  EPERM: 'STORE_READ_ONLY',
  ENOTDIR: 'STORE_FOREIGN',
  ELOOP: 'STORE_FOREIGN',
}

const advice: Readonly<Partial<Record<ErrorCode, string>>> = {
  STORE_FULL: 'Nothing of it was kept. Free space and send it again.',
  STORE_READ_ONLY: 'Give this process the right to write there.',
  STORE_FOREIGN: 'Give a directory, or a path where one can be made.',
  STORE_UNAVAILABLE: 'Nothing of it was kept. Try again when the disk answers.',
}

/** The system's name of what went wrong, like `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined
}

/**
 * What the system's refusal to write means to a caller. What it has a code for already goes through.
 *
 * @param doing what was tried, as in `could not <doing>`
 */
export function writeFailure(error: unknown, doing: string, path: string): XMachinesError {
  if (XMachinesError.is(error)) return error
  const code = codes[errnoOf(error) ?? ''] ?? 'STORE_UNAVAILABLE'
  return failure(code, `The store ${path} could not ${doing}: ${messageOf(error)}. ${advice[code]}`, path, error)
}

/** What the system's refusal to read means to a caller. */
export function readFailure(error: unknown, path: string): XMachinesError {
  if (XMachinesError.is(error)) return error
  const code = errnoOf(error) === 'ENOTDIR' ? 'STORE_FOREIGN' : 'STORE_UNAVAILABLE'
  return failure(code, `The store could not read ${path}: ${messageOf(error)}.`, path, error)
}

function failure(code: ErrorCode, message: string, path: string, cause: unknown): XMachinesError {
  return new XMachinesError(code, message, { cause, details: { path, errno: errnoOf(cause) } })
}

/** A file of an open store that is not there any more: by itself, or with the whole directory. */
export function missing(dir: string, file: string): XMachinesError {
  if (existsSync(dir)) return damaged(file, 0, 'the file is missing')
  const message = `The store ${dir} is gone: its directory was moved or removed while it was open. Put it back, or open the store where it is now.`
  return new XMachinesError('STORE_MISSING', message, { details: { path: dir } })
}

/** Bytes that the store cannot have written. */
export function damaged(file: string, offset: number, found: string, details: ErrorDetails = {}): XMachinesError {
  return new XMachinesError(
    'STORE_DAMAGED',
    `${file} is damaged at byte ${offset}: ${found}. Nothing was changed. Restore this file from a copy.`,
    { details: { file, offset, ...details } },
  )
}
