import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { textIfThere } from './existing-file.ts'
import type { GitFiles } from './files.ts'
import { Objects } from './objects.ts'
import type { PackFile } from './pack-file.ts'
import { hasDeltas, PackMerge } from './pack-merge.ts'
import { keepMark, nameWritten, temporaryPack } from './publication.ts'

/** With more packs than this, small ones become one: every look for an object asks each of them. */
const mostPacks = 32
/** A pack that is longer stays as it is: of a merged one, the index is in memory. */
const longestMerged = 512 << 20
/** So many bytes are merged at once at most. */
const mostMerged = 1 << 30

/** The folder of a repository's packs, as its writer keeps it. */
export class Packs {
  readonly folder: string
  readonly #objectsDir: string
  readonly #format: ObjectFormat
  readonly #files: GitFiles

  constructor(gitdir: string, format: ObjectFormat, files: GitFiles) {
    this.#objectsDir = join(gitdir, 'objects')
    this.folder = join(this.#objectsDir, 'pack')
    this.#format = format
    this.#files = files
  }

  /** Removes what a process of ours left that ended while it wrote. Only for who knows that no other is there. */
  async removeLeftovers(): Promise<void> {
    for (const name of readdirSync(this.folder)) {
      const path = join(this.folder, name)
      const ours = name.startsWith(temporaryPack) || (name.endsWith('.keep') && textIfThere(path) === keepMark)
      if (ours) await this.#files.remove(path)
    }
  }

  /**
   * Merges small packs, so that there are never many. Their entries are copied as they stand: nothing is inflated. A pack
   * with deltas, or with a file beside it that we do not know, is Git's own matter and stays.
   */
  async merge(): Promise<void> {
    const names = readdirSync(this.folder)
    if (names.filter(name => name.endsWith('.pack')).length <= mostPacks) return
    const objects = new Objects([this.#objectsDir], this.#format)
    try {
      const known = objects.packs().filter(pack => standsAlone(pack, names) && pack.path.startsWith(this.folder))
      const chosen: PackFile[] = []
      for (const pack of smallOnes(known)) if (!(await hasDeltas(pack))) chosen.push(pack)
      if (chosen.length < 2) return
      const merge = await PackMerge.of(chosen, this.#format)
      const temporary = join(this.folder, `${temporaryPack}merged`)
      await this.#files.write(temporary, merge.bytes(), { exclusive: false })
      const { name } = merge.result
      const { release } = await nameWritten(this.#files, this.folder, temporary, merge.result)
      await release()
      for (const { path } of chosen) {
        if (path.endsWith(`pack-${name}.pack`)) continue
        // The index first: a pack without one is not looked into.
        await this.#files.remove(`${path.slice(0, -5)}.idx`)
        await this.#files.remove(path)
      }
    } finally {
      objects.close()
    }
  }
}

/** Whether nothing but an index is beside a pack, which may be merged then if it is not too long. */
function standsAlone(pack: PackFile, names: readonly string[]): boolean {
  if (pack.end > longestMerged) return false
  const base = pack.path.slice(pack.path.lastIndexOf('pack-'), -'pack'.length)
  return !names.some(name => name.startsWith(base) && !name.endsWith('.pack') && !name.endsWith('.idx'))
}

/** The smallest packs: all up to the last one that is less than twice as long as those before it together. */
function smallOnes(packs: readonly PackFile[]): readonly PackFile[] {
  const bySize = [...packs].sort((a, b) => a.end - b.end)
  let [sum, count] = [0, 0]
  for (const [at, pack] of bySize.entries()) {
    if (sum + pack.end > mostMerged) break
    if (pack.end < 2 * sum) count = at + 1
    sum += pack.end
  }
  return bySize.slice(0, count)
}
