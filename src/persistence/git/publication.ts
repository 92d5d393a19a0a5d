import { join } from 'node:path'
import type { GitFiles } from './files.ts'
import type { Pack } from './pack-writer.ts'

/** How the names of packs begin that are being written. What begins with `tmp_` is removed by `git gc --prune=now` at any time. */
export const temporaryPack = 'xmachines_tmp_'
/** What is in a `.keep` of ours. */
export const keepMark = 'xmachines\n'

/**
 * Puts a pack where Git finds it, so that a crash at any point leaves a whole repository: both files are on the disk
 * before either has its name, and the pack has its name before the index that points into it.
 *
 * A `.keep` holds off `git gc` until `release` is called: objects that no branch leads to yet would be garbage.
 */
export async function publishPack(
  files: GitFiles,
  folder: string,
  { name, pack, index }: Pack,
): Promise<{ release(): Promise<void> }> {
  const temporary = join(folder, `${temporaryPack}${name}`)
  await files.write(temporary, pack, { exclusive: false })
  return nameWritten(files, folder, temporary, { name, index })
}

/** Puts a pack where Git finds it that was written under a name for the time being, as {@link publishPack} does. */
export async function nameWritten(
  files: GitFiles,
  folder: string,
  temporary: string,
  { name, index }: Pick<Pack, 'name' | 'index'>,
): Promise<{ release(): Promise<void> }> {
  const path = join(folder, `pack-${name}`)
  await files.write(`${temporary}_idx`, index, { exclusive: false })
  // Never there in part: what is not marked as ours is not ours to remove.
  await files.write(`${temporary}_keep`, keepMark, { exclusive: false })
  await files.rename(`${temporary}_keep`, `${path}.keep`)
  await files.rename(temporary, `${path}.pack`)
  await files.rename(`${temporary}_idx`, `${path}.idx`)
  await files.syncFolder(folder)
  return { release: () => files.remove(`${path}.keep`) }
}
