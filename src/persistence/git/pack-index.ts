import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { digest } from '../../actors/identity/index.ts'
import { atOnce, type Work } from '../filesystem/turns.ts'

/*
 * An index of version 2: magic, version, 256 counts of ids by first byte, the ids in order, a checksum and an offset of
 * each, offsets beyond 31 bits, the pack's hash, the index's hash.
 */

const magic = 0xff744f63
const fanout = 8
const idsAt = fanout + 256 * 4
/** Where entries begin in version 1, which has no magic. */
const firstAt = 256 * 4
/** An index of a place, behind four bytes of an id, in a number that holds both exactly. */
const places = 2 ** 21

/** After so many entries it may be interrupted. */
const turnEvery = 1024

/** The index of a pack. @param ids as bytes, one behind the other; `sums`: of the entries; `pack`: the pack's hash */
export function* packIndex(
  format: ObjectFormat,
  ids: Buffer,
  offsets: readonly number[],
  sums: readonly number[],
  pack: string,
): Work<Uint8Array> {
  const count = offsets.length
  const width = format === 'sha1' ? 20 : 32
  const far = offsets.reduce((far, offset) => far + (offset >= 2 ** 31 ? 1 : 0), 0)
  const bytes = Buffer.allocUnsafe(idsAt + count * (width + 8) + far * 8 + width * 2)
  bytes.writeUInt32BE(magic, 0)
  bytes.writeUInt32BE(2, 4)
  const order = sorted(ids, width, count)
  yield
  const counts = new Uint32Array(256)
  const sumsAt = idsAt + count * width
  const offsetsAt = sumsAt + count * 4
  let farAt = offsetsAt + count * 4
  for (let at = 0; at < count; at++) {
    if (at % turnEvery === turnEvery - 1) yield
    const place = order[at]!
    const from = place * width
    const to = idsAt + at * width
    for (let byte = 0; byte < width; byte++) bytes[to + byte] = ids[from + byte]!
    counts[ids[from]!]!++
    bytes.writeUInt32BE(sums[place]!, sumsAt + at * 4)
    const offset = offsets[place]!
    if (offset < 2 ** 31) bytes.writeUInt32BE(offset, offsetsAt + at * 4)
    else {
      bytes.writeUInt32BE(0x80000000 + (farAt - offsetsAt - count * 4) / 8, offsetsAt + at * 4)
      bytes.writeBigUInt64BE(BigInt(offset), farAt)
      farAt += 8
    }
  }
  let total = 0
  for (let first = 0; first < 256; first++) {
    total += counts[first]!
    bytes.writeUInt32BE(total, fanout + first * 4)
  }
  bytes.write(pack, farAt, 'hex')
  bytes.write(digest(format, bytes.subarray(0, farAt + width)), farAt + width, 'hex')
  return bytes
}

/** Where each id stands, in the order of the ids. Numbers sort ten times as fast as bytes. */
function sorted(ids: Buffer, width: number, count: number): readonly number[] {
  const compare = (one: number, other: number): number =>
    ids.compare(ids, other * width, other * width + width, one * width, one * width + width)
  if (count > places) return Array.from({ length: count }, (_, at) => at).sort(compare)
  const keys = new Float64Array(count)
  for (let at = 0; at < count; at++) keys[at] = ids.readUInt32BE(at * width) * places + at
  keys.sort()
  const order = Array.from(keys, key => key % places)
  // Ids that begin alike are few, and stand side by side.
  for (let at = 1; at < count; at++) {
    if (Math.floor(keys[at]! / places) !== Math.floor(keys[at - 1]! / places)) continue
    for (let back = at; back > 0 && compare(order[back]!, order[back - 1]!) < 0; back--) {
      const before = order[back - 1]!
      order[back - 1] = order[back]!
      order[back] = before
    }
  }
  return order
}

/** An index that is read: which objects a pack has, and where. */
export class PackIndex {
  readonly #bytes: Buffer
  readonly #width: number
  readonly count: number

  /** @param bytes the whole file. of version 2. `undefined` by {@link PackIndex.read} where it is none */
  private constructor(bytes: Buffer, width: number) {
    this.#bytes = bytes
    this.#width = width
    this.count = bytes.readUInt32BE(idsAt - 4)
  }

  static read(bytes: Buffer, format: ObjectFormat): PackIndex | undefined {
    const width = format === 'sha1' ? 20 : 32
    if (bytes.length > fanout && bytes.readUInt32BE(0) !== magic) return PackIndex.#readFirst(bytes, format)
    if (bytes.length < idsAt + 2 * width || bytes.readUInt32BE(0) !== magic || bytes.readUInt32BE(4) !== 2)
      return undefined
    const index = new PackIndex(bytes, width)
    return bytes.length < idsAt + index.count * (width + 8) + 2 * width ? undefined : index
  }

  /** One of version 1, which Git writes where it is told to: 256 counts, then an offset and an id of each. As one of version 2. */
  static #readFirst(bytes: Buffer, format: ObjectFormat): PackIndex | undefined {
    const width = format === 'sha1' ? 20 : 32
    const count = bytes.length < firstAt ? -1 : bytes.readUInt32BE(firstAt - 4)
    if (bytes.length !== firstAt + count * (4 + width) + 2 * width) return undefined
    const starts = Array.from({ length: count }, (_, at) => firstAt + at * (4 + width))
    const ids = Buffer.concat(starts.map(start => bytes.subarray(start + 4, start + 4 + width)))
    const offsets = starts.map(start => bytes.readUInt32BE(start))
    const pack = bytes.toString('hex', bytes.length - 2 * width, bytes.length - width)
    // It has no sums, which no reader asks for.
    const index = atOnce(packIndex(format, ids, offsets, new Array(count).fill(0), pack))
    return new PackIndex(Buffer.from(index), width)
  }

  /** Where the object stands in the pack; −1: it is not there. @param id as bytes */
  offsetOf(id: Uint8Array): number {
    const at = this.#find(id)
    return at < 0 ? -1 : this.offset(at)
  }

  /** The id of the `at`-th object, in the order of the ids. */
  id(at: number): string {
    const start = idsAt + at * this.#width
    return this.#bytes.toString('hex', start, start + this.#width)
  }

  /** The offset of the `at`-th object. */
  offset(at: number): number {
    const offsetsAt = idsAt + this.count * (this.#width + 4)
    const offset = this.#bytes.readUInt32BE(offsetsAt + at * 4)
    if (offset < 0x80000000) return offset
    return Number(this.#bytes.readBigUInt64BE(offsetsAt + this.count * 4 + (offset - 0x80000000) * 8))
  }

  #find(id: Uint8Array): number {
    const first = id[0]!
    const bytes = this.#bytes
    let low = first === 0 ? 0 : bytes.readUInt32BE(fanout + (first - 1) * 4)
    let high = bytes.readUInt32BE(fanout + first * 4)
    const width = this.#width
    while (low < high) {
      const middle = (low + high) >> 1
      let at = idsAt + middle * width + 1
      let difference = 0
      // The first byte is that of all here. By hand: two more decide nearly always, and a call would cost more than they do.
      for (let place = 1; place < width && difference === 0; place++) difference = id[place]! - bytes[at++]!
      if (difference === 0) return middle
      if (difference < 0) high = middle
      else low = middle + 1
    }
    return -1
  }
}
