import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { GitObject, GitObjectType } from '../../actors/identity/index.ts'
import type { Work } from '../filesystem/turns.ts'
import { putHex } from './hex.ts'
import { packIndex } from './pack-index.ts'
import { putStored, storedRoom } from './stored-zlib.ts'

/** A pack with its index, as bytes of files. */
export interface Pack {
  /** What Git calls it: `pack-<name>.pack`. */
  readonly name: string
  readonly pack: Uint8Array
  readonly index: Uint8Array
  readonly objects: number
}

/** A pack in the making, as it goes over to another thread. */
export interface PackDraft {
  readonly format: ObjectFormat
  readonly bytes: Uint8Array
  readonly end: number
  readonly idBytes: Uint8Array
  readonly offsets: number[]
  readonly sums: number[]
}

const types: Readonly<Record<GitObjectType, number>> = { commit: 1, tree: 2, blob: 3 }
const firstRoom = 1 << 20
const headerLength = 12
/** So many bytes are hashed before it may be interrupted. */
const hashedAtOnce = 1 << 20

/**
 * Makes a pack. Objects are stored and not compressed: events are small, and deflating them takes six times as long as all
 * the rest. Git reads it all the same, and its next `gc` compresses what it repacks.
 */
export class PackWriter {
  readonly #format: ObjectFormat
  readonly #idLength: number
  #bytes: Buffer = Buffer.allocUnsafe(firstRoom)
  #end = headerLength
  readonly #ids = new Set<string>()
  /** The same as bytes, one behind the other. */
  #idBytes: Buffer = Buffer.allocUnsafe(firstRoom >> 4)
  #offsets: number[] = []
  #sums: number[] = []

  constructor(format: ObjectFormat) {
    this.#format = format
    this.#idLength = format === 'sha1' ? 20 : 32
  }

  /** Goes on with a pack that another thread began. */
  static resume({ format, bytes, end, idBytes, offsets, sums }: PackDraft): PackWriter {
    const writer = new PackWriter(format)
    writer.#bytes = bufferOver(bytes)
    writer.#end = end
    writer.#idBytes = bufferOver(idBytes)
    writer.#offsets = offsets
    writer.#sums = sums
    for (const at of offsets.keys())
      writer.#ids.add(writer.#idBytes.toString('hex', at * writer.#idLength, (at + 1) * writer.#idLength))
    return writer
  }

  /** What it has so far, for `resume`. Its bytes are its own no more. */
  draft(): PackDraft {
    const [offsets, sums] = [this.#offsets, this.#sums]
    return { format: this.#format, bytes: this.#bytes, end: this.#end, idBytes: this.#idBytes, offsets, sums }
  }

  /** How many objects it has. */
  get objects(): number {
    return this.#offsets.length
  }

  /** How many bytes it has so far. */
  get size(): number {
    return this.#end
  }

  /** Adds an object, once. */
  add({ oid, type, bytes }: GitObject): void {
    if (this.#ids.has(oid)) return
    this.#reserve(storedRoom(bytes.length) + 32)
    const start = this.#end
    this.#end = putStored(this.#bytes, entryHeader(this.#bytes, start, types[type], bytes.length), bytes)
    this.#keep(oid, start)
  }

  /** The pack. Nothing can be added afterwards. */
  *finish(): Work<Pack> {
    const bytes = this.#bytes
    bytes.write('PACK', 0, 'latin1')
    bytes.writeUInt32BE(2, 4)
    bytes.writeUInt32BE(this.objects, 8)
    this.#reserve(this.#idLength)
    const hash = createHash(this.#format)
    for (let from = 0; from < this.#end; from += hashedAtOnce) {
      hash.update(this.#bytes.subarray(from, Math.min(this.#end, from + hashedAtOnce)))
      yield
    }
    const name = hash.digest('hex')
    this.#end += this.#bytes.write(name, this.#end, 'hex')
    const index = yield* packIndex(this.#format, this.#idBytes, this.#offsets, this.#sums, name)
    return { name, pack: this.#bytes.subarray(0, this.#end), index, objects: this.objects }
  }

  #keep(oid: string, start: number): void {
    this.#ids.add(oid)
    const at = this.objects * this.#idLength
    if (at + this.#idLength > this.#idBytes.length) this.#idBytes = grown(this.#idBytes, this.#idBytes.length * 2)
    putHex(this.#idBytes, at, oid)
    this.#offsets.push(start)
    this.#sums.push(crc32(this.#bytes.subarray(start, this.#end)))
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#bytes.length) return
    this.#bytes = grown(this.#bytes, Math.max(this.#bytes.length * 2, this.#end + more))
  }
}

function bufferOver({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength)
}

function grown(bytes: Buffer, length: number): Buffer {
  const longer = Buffer.allocUnsafe(length)
  bytes.copy(longer)
  return longer
}

/** Writes type and length of an entry and returns where they end: four bits of the length, then seven a byte. */
function entryHeader(bytes: Buffer, start: number, type: number, length: number): number {
  let at = start
  let rest = Math.floor(length / 16)
  bytes[at++] = (rest > 0 ? 0x80 : 0) | (type << 4) | (length & 15)
  while (rest > 0) {
    const next = Math.floor(rest / 128)
    bytes[at++] = (next > 0 ? 0x80 : 0) | (rest & 127)
    rest = next
  }
  return at
}
