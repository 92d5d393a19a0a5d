const decoder = new TextDecoder()
const high = 2 ** 32

/** Reads Kafka's wire types, from front to back. 64-bit numbers become doubles: offsets and times stay far below 2^53. */
export class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly end: number
  at: number

  constructor(bytes: Uint8Array, at = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
    this.end = end
  }

  /** How many bytes are left. */
  get left(): number {
    return this.end - this.at
  }

  int8(): number {
    return this.#view.getInt8(this.#step(1))
  }

  int16(): number {
    return this.#view.getInt16(this.#step(2))
  }

  int32(): number {
    return this.#view.getInt32(this.#step(4))
  }

  uint32(): number {
    return this.#view.getUint32(this.#step(4))
  }

  int64(): number {
    const at = this.#step(8)
    return this.#view.getInt32(at) * high + this.#view.getUint32(at + 4)
  }

  /** A zigzag number of up to 32 bits. */
  varint(): number {
    let value = 0
    let shift = 0
    let byte: number
    do {
      byte = this.#bytes[this.#step(1)]!
      value |= (byte & 0x7f) << shift
      shift += 7
    } while (byte >= 0x80)
    return (value >>> 1) ^ -(value & 1)
  }

  /** A zigzag number of up to 64 bits. */
  varlong(): number {
    let value = 0
    let scale = 1
    let byte: number
    do {
      byte = this.#bytes[this.#step(1)]!
      value += (byte & 0x7f) * scale
      scale *= 128
    } while (byte >= 0x80)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** A view of the next `length` bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#step(length)
    return this.#bytes.subarray(at, at + length)
  }

  /** Where the next `length` bytes end. */
  ahead(length: number): number {
    if (length < 0 || length > this.left) throw new RangeError(`Expected ${length} bytes at ${this.at} of ${this.end}.`)
    return this.at + length
  }

  string(): string {
    return decoder.decode(this.bytes(this.int16()))
  }

  nullableString(): string | null {
    const length = this.int16()
    return length < 0 ? null : decoder.decode(this.bytes(length))
  }

  /** The items of an array; none for null. */
  array<Item>(item: (reader: Reader) => Item): Item[] {
    const length = this.int32()
    const items: Item[] = []
    for (let i = 0; i < length; i++) items.push(item(this))
    return items
  }

  #step(length: number): number {
    const { at } = this
    this.at = this.ahead(length)
    return at
  }
}
