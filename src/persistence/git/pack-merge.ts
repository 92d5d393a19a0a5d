import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { inTurns, nextTurn } from '../filesystem/turns.ts'
import { IdTable } from './id-table.ts'
import { idDelta, offsetDelta, type PackFile } from './pack-file.ts'
import { packIndex } from './pack-index.ts'

/** Bytes that are written at a time. */
const pieceBytes = 1 << 20
/** Entries that are looked at before others have a turn. */
const turnEvery = 16_384

/**
 * Several packs as one, piece by piece: of a pack as long as a disk, only the index is in memory. Entries are copied as
 * they stand, in their order, and an object that several packs have once.
 */
export class PackMerge {
  readonly #packs: readonly PackFile[]
  readonly #format: ObjectFormat
  /** The pack that each object is taken from. */
  readonly #owners = new IdTable()
  #objects = 0
  #result: { readonly name: string; readonly index: Uint8Array } | undefined

  private constructor(packs: readonly PackFile[], format: ObjectFormat) {
    this.#packs = packs
    this.#format = format
  }

  /** @param packs without deltas */
  static async of(packs: readonly PackFile[], format: ObjectFormat): Promise<PackMerge> {
    const merge = new PackMerge(packs, format)
    for (const [at, pack] of packs.entries()) {
      for (let entry = 0; entry < pack.index.count; entry++) {
        if (entry % turnEvery === turnEvery - 1) await nextTurn()
        const id = pack.index.id(entry)
        if (merge.#ownerOf(id) !== undefined) continue
        merge.#owners.set(id, at)
        merge.#objects++
      }
    }
    return merge
  }

  /** The bytes of the merged pack. Once. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    const width = this.#format === 'sha1' ? 20 : 32
    const hash = createHash(this.#format)
    const ids = Buffer.allocUnsafe(this.#objects * width)
    const offsets: number[] = []
    const sums: number[] = []
    const header = Buffer.alloc(12)
    header.write('PACK', 0, 'latin1')
    header.writeUInt32BE(2, 4)
    header.writeUInt32BE(this.#objects, 8)
    let pieces: Uint8Array[] = [header]
    let [end, gathered] = [header.length, header.length]
    for (const [at, pack] of this.#packs.entries()) {
      const starts = startsOf(pack)
      for (let place = 0; place < starts.length; place++) {
        const { entry, offset } = starts[place]!
        const id = pack.index.id(entry)
        if (this.#ownerOf(id) !== at) continue
        // A copy: what is read stays in windows that are used again.
        const bytes = Buffer.from(pack.bytes(offset, (starts[place + 1]?.offset ?? pack.end) - offset))
        ids.write(id, offsets.length * width, 'hex')
        offsets.push(end)
        sums.push(crc32(bytes))
        pieces.push(bytes)
        end += bytes.length
        gathered += bytes.length
        if (gathered < pieceBytes) continue
        const piece = Buffer.concat(pieces)
        hash.update(piece)
        yield piece
        pieces = []
        gathered = 0
      }
    }
    // What was announced, and what will be removed elsewhere, is all there.
    if (offsets.length !== this.#objects)
      throw new Error(`${offsets.length} of ${this.#objects} objects were found again`)
    const last = Buffer.concat(pieces)
    const name = hash.update(last).digest('hex')
    yield Buffer.concat([last, Buffer.from(name, 'hex')])
    this.#result = { name, index: await inTurns(packIndex(this.#format, ids, offsets, sums, name)) }
  }

  /** What Git calls it, and its index, once all bytes were read. */
  get result(): { readonly name: string; readonly index: Uint8Array } {
    if (this.#result === undefined) throw new Error('The pack is not read to its end.')
    return this.#result
  }

  #ownerOf(id: string): number | undefined {
    const owner = this.#owners.get(id)
    // The table knows an id by its beginning.
    return owner !== undefined && this.#packs[owner]!.index.offsetOf(Buffer.from(id, 'hex')) >= 0 ? owner : undefined
  }
}

/** Whether a pack has entries that stand on others. */
export async function hasDeltas(pack: PackFile): Promise<boolean> {
  // In the order of the file: it is read once.
  for (const [at, { offset }] of startsOf(pack).entries()) {
    const { type } = pack.entry(offset)
    if (type === offsetDelta || type === idDelta) return true
    if (at % turnEvery === turnEvery - 1) await nextTurn()
  }
  return false
}

/** The entries of a pack, as they follow each other. */
function startsOf({ index }: PackFile): readonly { readonly entry: number; readonly offset: number }[] {
  const starts = Array.from({ length: index.count }, (_, entry) => ({ entry, offset: index.offset(entry) }))
  return starts.sort((a, b) => a.offset - b.offset)
}
