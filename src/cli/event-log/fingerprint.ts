import { createHash, type Hash } from 'node:crypto'

/** The digest of the first bytes of a log. */
export interface Fingerprint {
  readonly bytes: number
  readonly sha256: string
}

/**
 * The digest of a log's first bytes, up to a place that follows the reading: what was read is given to `push`, and kept
 * until `advance` has passed it.
 */
export class Trail {
  readonly #hash: Hash
  readonly #chunks: Uint8Array[]
  #bytes: number

  constructor(from?: Trail) {
    this.#hash = from === undefined ? createHash('sha256') : from.#hash.copy()
    this.#chunks = from === undefined ? [] : [...from.#chunks]
    this.#bytes = from === undefined ? 0 : from.#bytes
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk)
  }

  /** Takes the bytes before `byte` in. Never back, and not beyond what was pushed. */
  advance(byte: number): void {
    while (this.#bytes < byte) {
      const chunk = this.#chunks[0]!
      const taken = chunk.subarray(0, byte - this.#bytes)
      if (taken.length === chunk.length) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(taken.length)
      this.#hash.update(taken)
      this.#bytes += taken.length
    }
  }

  /** How much was taken in so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Of what was taken in so far. */
  get fingerprint(): Fingerprint {
    return { bytes: this.#bytes, sha256: this.#hash.copy().digest('hex') }
  }
}
