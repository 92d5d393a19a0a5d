import { Buffer } from 'node:buffer'

const high = 2 ** 32

/** Writes Kafka's wire types, growing as needed. */
export class Writer {
  #buffer: Buffer
  #length = 0

  constructor(size = 1024) {
    this.#buffer = Buffer.allocUnsafe(size)
  }

  get length(): number {
    return this.#length
  }

  /** What was written. The writer is not to be used after. */
  take(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  int8(value: number): this {
    const at = this.#grow(1)
    this.#buffer.writeInt8(value, at)
    return this
  }

  int16(value: number): this {
    const at = this.#grow(2)
    this.#buffer.writeInt16BE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#grow(4)
    this.#buffer.writeInt32BE(value, at)
    return this
  }

  int64(value: number): this {
    const at = this.#grow(8)
    const upper = Math.floor(value / high)
    this.#buffer.writeInt32BE(upper, at)
    this.#buffer.writeUInt32BE(value - upper * high, at + 4)
    return this
  }

  /** Replaces the 32 bits at `at`. */
  setInt32(at: number, value: number): this {
    this.#buffer.writeInt32BE(value | 0, at)
    return this
  }

  varint(value: number): this {
    let left = ((value << 1) ^ (value >> 31)) >>> 0
    this.#room(5)
    while (left >= 0x80) {
      this.#buffer[this.#length++] = (left & 0x7f) | 0x80
      left >>>= 7
    }
    this.#buffer[this.#length++] = left
    return this
  }

  varlong(value: number): this {
    let left = value < 0 ? -value * 2 - 1 : value * 2
    this.#room(10)
    while (left >= 0x80) {
      this.#buffer[this.#length++] = (left % 128) | 0x80
      left = Math.floor(left / 128)
    }
    this.#buffer[this.#length++] = left
    return this
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length)
    this.#buffer.set(value, at)
    return this
  }

  /** Bytes after their length, as records have them. */
  varBytes(value: Uint8Array | null): this {
    if (value === null) return this.varint(-1)
    return this.varint(value.length).bytes(value)
  }

  string(value: string): this {
    const length = Buffer.byteLength(value)
    this.int16(length)
    const at = this.#grow(length)
    this.#buffer.write(value, at)
    return this
  }

  nullableString(value: string | null): this {
    return value === null ? this.int16(-1) : this.string(value)
  }

  array<Item>(items: readonly Item[], write: (item: Item) => unknown): this {
    this.int32(items.length)
    for (const item of items) write(item)
    return this
  }

  #grow(length: number): number {
    this.#room(length)
    const at = this.#length
    this.#length += length
    return at
  }

  #room(length: number): void {
    const needed = this.#length + length
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** How many bytes a zigzag number takes. */
export function sizeOfVarint(value: number): number {
  let left = ((value << 1) ^ (value >> 31)) >>> 0
  let size = 1
  while (left >= 0x80) {
    left >>>= 7
    size++
  }
  return size
}

/** How many bytes a zigzag number of up to 64 bits takes. */
export function sizeOfVarlong(value: number): number {
  let left = value < 0 ? -value * 2 - 1 : value * 2
  let size = 1
  while (left >= 0x80) {
    left = Math.floor(left / 128)
    size++
  }
  return size
}
