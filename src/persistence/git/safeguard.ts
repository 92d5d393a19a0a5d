import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { XMachinesError } from '../../actors/errors.ts'
import { textIfThere } from './existing-file.ts'
import { errnoOf, writeFailure } from './failures.ts'
import type { GitFiles } from './files.ts'
import { safeguards, withSettings } from './repository-config.ts'

/**
 * Sets what a repository needs that we write to, where it was made by somebody else. What is set stays as it is. The
 * configuration is changed as Git does it: what is to replace it is its lock.
 *
 * @throws STORE_LOCKED while somebody else changes it; what a write throws
 */
export async function safeguard(gitdir: string, files: GitFiles): Promise<void> {
  const config = join(gitdir, 'config')
  const lock = `${config}.lock`
  const text = withSettings(textIfThere(config) ?? '', safeguards)
  if (text === undefined) return
  try {
    await files.write(lock, text)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw writeFailure(error, gitdir)
    // Of ours, a process that ended between both steps left just this.
    if (textIfThere(lock) !== text) throw locked(lock)
  }
  const mode = statSync(config, { throwIfNoEntry: false })?.mode
  if (mode !== undefined) chmodSync(lock, mode & 0o777)
  await files.rename(lock, config)
  await files.syncFolder(gitdir)
}

function locked(path: string): XMachinesError {
  return new XMachinesError('STORE_LOCKED', `${path} is held by another process. Remove it if no \`git\` runs there.`, {
    details: { path },
  })
}
