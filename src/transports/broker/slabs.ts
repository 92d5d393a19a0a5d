/** Small enough that keeping one record keeps little else alive. */
const slabSize = 16 * 1024
/** What is larger than this gets an array of its own. */
const largest = slabSize / 8

const encoder = new TextEncoder()

/** Copies and encodes into slabs: a view of a slab costs a tenth of a small array. */
export class Slabs {
  #slab = new Uint8Array(0)
  #used = 0

  /** A copy of `bytes`. */
  copy(bytes: Uint8Array): Uint8Array {
    const { length } = bytes
    // A `slice` of a `Buffer` would be a view.
    if (length > largest) return new Uint8Array(bytes)
    this.#makeRoom(length)
    // Half the price of `subarray`.
    const copy = new Uint8Array(this.#slab.buffer, this.#used, length)
    copy.set(bytes)
    this.#used += length
    return copy
  }

  /** `text` in UTF-8. */
  encode(text: string): Uint8Array {
    const most = text.length * 3
    if (most > largest) return encoder.encode(text)
    this.#makeRoom(most)
    const { written } = encoder.encodeInto(text, new Uint8Array(this.#slab.buffer, this.#used))
    const encoded = new Uint8Array(this.#slab.buffer, this.#used, written)
    this.#used += written
    return encoded
  }

  #makeRoom(size: number): void {
    if (this.#slab.length - this.#used >= size) return
    this.#slab = new Uint8Array(slabSize)
    this.#used = 0
  }
}
