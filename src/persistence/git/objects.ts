import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { constants, inflateSync } from 'node:zlib'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { applyDelta } from './delta.ts'
import { bytesIfThere, textIfThere } from './existing-file.ts'
import { errnoOf, type Gaps } from './failures.ts'
import { putHex } from './hex.ts'
import { listedPaths } from './listed-paths.ts'
import { entryTypes, type FoundObject, looseHead } from './object-types.ts'
import { idDelta, offsetDelta, PackFile } from './pack-file.ts'
import { PackIndex } from './pack-index.ts'

/** So many bytes of what was built from deltas are kept, since the next delta mostly stands on them. */
const keptBytes = 32 << 20

/**
 * The objects of a repository: loose ones, packs (with deltas), and those of the repositories it borrows from. What other
 * processes add or repack meanwhile is found: a look that fails is repeated after the folders were read again.
 */
export class Objects {
  readonly format: ObjectFormat
  readonly #width: number
  readonly #dirs: readonly string[]
  readonly #gaps: Gaps
  /** One whose index cannot be read. */
  #damaged: string | undefined
  #packs: PackFile[] = []
  #looked = false
  /** The id that is looked for, as bytes. */
  readonly #id: Uint8Array
  /** By pack and offset; the oldest first. */
  readonly #kept = new Map<PackFile, Map<number, FoundObject>>()
  #keptBytes = 0

  /** @param dirs folders of objects, such as `.git/objects`; what they borrow from is found by itself */
  constructor(dirs: readonly string[], format: ObjectFormat, gaps?: Gaps) {
    this.format = format
    this.#width = format === 'sha1' ? 20 : 32
    const { found, lender } = withAlternates(dirs)
    this.#dirs = found
    this.#gaps = gaps ?? (lender === undefined ? undefined : { lender })
    this.#id = new Uint8Array(this.#width)
  }

  /** Why an object may not be there. */
  get gaps(): Gaps {
    return this.#damaged === undefined ? this.#gaps : { pack: this.#damaged }
  }

  /** The object, as it is kept: its id is not checked. `undefined`: it is not there. @throws for damage */
  read(oid: string): FoundObject | undefined {
    const found = this.#find(oid)
    if (found !== undefined) return found
    this.#look()
    return this.#find(oid)
  }

  /** The packs that are there now. */
  packs(): readonly PackFile[] {
    this.#look()
    return this.#packs
  }

  close(): void {
    for (const pack of this.#packs) pack.close()
    this.#packs = []
    this.#looked = false
    this.#kept.clear()
    this.#keptBytes = 0
  }

  #find(oid: string): FoundObject | undefined {
    if (!this.#looked) this.#look()
    const id = this.#id
    putHex(id, 0, oid)
    for (let at = 0; at < this.#packs.length; at++) {
      const pack = this.#packs[at]!
      const offset = pack.index.offsetOf(id)
      if (offset < 0) continue
      if (at > 0) {
        // The next object is most likely in the same pack.
        this.#packs[at] = this.#packs[0]!
        this.#packs[0] = pack
      }
      return this.#entry(pack, offset)
    }
    return this.#loose(oid)
  }

  #entry(pack: PackFile, offset: number): FoundObject {
    const chain: Uint8Array[] = []
    const places: number[] = []
    const kept = this.#kept.get(pack)
    let found: FoundObject | undefined
    for (let at = offset; found === undefined; ) {
      found = kept?.get(at)
      if (found !== undefined) break
      const entry = pack.entry(at)
      const content = pack.content(entry)
      if (entry.type === offsetDelta || entry.type === idDelta) {
        chain.push(content)
        places.push(at)
        if (places.length > pack.index.count) throw new RangeError('a delta stands on itself')
        if (entry.base !== undefined) {
          if (entry.base >= at) throw new RangeError('a delta stands on what follows it')
          at = entry.base
          continue
        }
        const base = pack.index.offsetOf(Buffer.from(entry.baseId!, 'hex'))
        if (base >= 0) at = base
        else found = this.read(entry.baseId!)
        if (base < 0 && found === undefined)
          throw new RangeError(`object ${entry.baseId} is missing, which a delta stands on`)
        continue
      }
      const type = entryTypes[entry.type]
      if (type === undefined) throw new RangeError(`an entry has type ${entry.type}`)
      found = { type, bytes: content }
      if (at !== offset) this.#keep(pack, at, { type, bytes: Buffer.from(content) })
    }
    for (let at = chain.length - 1; at >= 0; at--) {
      const bytes = applyDelta(found.bytes, chain[at]!)
      if (bytes === undefined) throw new RangeError('a delta does not fit what it stands on')
      found = { type: found.type, bytes }
      this.#keep(pack, places[at]!, found)
    }
    return found
  }

  #keep(pack: PackFile, offset: number, object: FoundObject): void {
    if (this.#keptBytes > keptBytes) {
      // The next ones stand on what comes now.
      this.#kept.clear()
      this.#keptBytes = 0
    }
    let kept = this.#kept.get(pack)
    if (kept === undefined) {
      kept = new Map()
      this.#kept.set(pack, kept)
    }
    kept.set(offset, object)
    this.#keptBytes += object.bytes.length + 64
  }

  #loose(oid: string): FoundObject | undefined {
    for (const dir of this.#dirs) {
      const bytes = bytesIfThere(join(dir, oid.slice(0, 2), oid.slice(2)))
      if (bytes === undefined) continue
      // The codes of its first block come first, which can be some hundred bytes.
      const begin = inflateSync(bytes.subarray(0, 1024), { finishFlush: constants.Z_SYNC_FLUSH })
      const said = looseHead(begin)
      if (said === undefined) throw new RangeError('its file is damaged')
      const whole = inflateSync(bytes, { maxOutputLength: said.start + said.length })
      if (whole.length !== said.start + said.length) throw new RangeError('its file is damaged')
      return { type: said.type, bytes: whole.subarray(said.start) }
    }
    return undefined
  }

  /** Learns which packs there are. Packs that are gone are closed: what they held is in others now. */
  #look(): void {
    this.#looked = true
    this.#damaged = undefined
    const known = new Map(this.#packs.map(pack => [pack.path, pack]))
    const packs: PackFile[] = []
    for (const dir of this.#dirs) {
      for (const name of namesIn(join(dir, 'pack'))) {
        if (!/^pack-[0-9a-f]+\.idx$/.test(name)) continue
        const path = join(dir, 'pack', `${name.slice(0, -4)}.pack`)
        const pack = known.get(path) ?? this.#open(path)
        known.delete(path)
        if (pack !== undefined) packs.push(pack)
      }
    }
    for (const gone of known.values()) {
      this.#kept.delete(gone)
      gone.close()
    }
    this.#packs = packs
  }

  #open(path: string): PackFile | undefined {
    try {
      const bytes = bytesIfThere(`${path.slice(0, -5)}.idx`)
      if (bytes === undefined) return undefined
      const index = PackIndex.read(bytes, this.format)
      if (index === undefined) this.#damaged = path
      return index && new PackFile(path, index, this.#width)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined // repacked this very moment
      throw error
    }
  }
}

/** All folders to look into. @returns `lender`: one that others borrow from, and that is not there */
function withAlternates(dirs: readonly string[]): { readonly found: readonly string[]; readonly lender?: string } {
  const all = new Set<string>()
  let lender: string | undefined
  const add = (dir: string, isLent: boolean): void => {
    if (all.has(dir)) return
    if (!existsSync(dir)) {
      if (isLent) lender ??= dir
      return
    }
    all.add(dir)
    const text = textIfThere(join(dir, 'info', 'alternates')) ?? ''
    for (const path of listedPaths(text, '\n')) add(resolve(dir, path), true)
  }
  for (const dir of dirs) add(dir, false)
  return { found: [...all], ...(lender !== undefined && { lender }) }
}

function namesIn(dir: string): readonly string[] {
  return statSync(dir, { throwIfNoEntry: false })?.isDirectory() ? readdirSync(dir) : []
}
