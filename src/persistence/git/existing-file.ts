import { readFileSync } from 'node:fs'
import { errnoOf } from './failures.ts'

/** The bytes of a file; `undefined`: there is none. */
export function bytesIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

/** The text of a file; `undefined`: there is none. */
export function textIfThere(path: string): string | undefined {
  return bytesIfThere(path)?.toString('utf8')
}
