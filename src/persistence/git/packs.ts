import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { textIfThere } from './existing-file.ts'
import type { GitFiles } from './files.ts'
import { Objects } from './objects.ts'
import { idDelta, offsetDelta, type PackFile } from './pack-file.ts'
import { PackWriter } from './pack-writer.ts'
import { keepMark, publishPack, temporaryPack } from './publication.ts'

/** With more packs than this, small ones become one: every look for an object asks each of them. */
const mostPacks = 32
/** A pack that is longer stays as it is. */
const longestMerged = 128 << 20

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
      const plain = objects.packs().filter(pack => isMergeable(pack, names) && pack.path.startsWith(this.folder))
      const chosen = smallOnes(plain)
      if (chosen.length < 2) return
      const merged = new PackWriter(this.#format)
      for (const pack of chosen) {
        const ends = [...entriesOf(pack), { id: '', offset: pack.end }]
        for (let at = 0; at < ends.length - 1; at++) {
          const { id, offset } = ends[at]!
          merged.copy(id, pack.bytes(offset, ends[at + 1]!.offset - offset))
        }
      }
      const pack = merged.finish()
      const { release } = await publishPack(this.#files, this.folder, pack)
      await release()
      for (const { path } of chosen) {
        if (path.endsWith(`pack-${pack.name}.pack`)) continue
        // The index first: a pack without one is not looked into.
        await this.#files.remove(`${path.slice(0, -5)}.idx`)
        await this.#files.remove(path)
      }
    } finally {
      objects.close()
    }
  }
}

/** The entries of a pack, as they follow each other. */
function entriesOf({ index }: PackFile): readonly { readonly id: string; readonly offset: number }[] {
  const entries = Array.from({ length: index.count }, (_, at) => ({ id: index.id(at), offset: index.offset(at) }))
  return entries.sort((a, b) => a.offset - b.offset)
}

function isMergeable(pack: PackFile, names: readonly string[]): boolean {
  if (pack.end > longestMerged) return false
  const base = pack.path.slice(pack.path.lastIndexOf('pack-'), -'pack'.length)
  if (names.some(name => name.startsWith(base) && !name.endsWith('.pack') && !name.endsWith('.idx'))) return false
  for (let at = 0; at < pack.index.count; at++) {
    const { type } = pack.entry(pack.index.offset(at))
    if (type === offsetDelta || type === idDelta) return false
  }
  return true
}

/** The smallest packs: all up to the last one that is less than twice as long as those before it together. */
function smallOnes(packs: readonly PackFile[]): readonly PackFile[] {
  const bySize = [...packs].sort((a, b) => a.end - b.end)
  let [sum, count] = [0, 0]
  for (const [at, pack] of bySize.entries()) {
    if (pack.end < 2 * sum) count = at + 1
    sum += pack.end
  }
  return bySize.slice(0, count)
}
