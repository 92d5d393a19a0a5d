const LF = 0x0a
const CR = 0x0d

/** A line of a byte stream, without its terminator. */
export interface Line {
  /** From 1. */
  readonly number: number
  /** Where in the stream the line starts, from 0. */
  readonly byte: number
  /** What the line holds, valid until the next line is asked for; `undefined`: it is over the limit. */
  readonly bytes: Uint8Array | undefined
}

/** Where the line ends that goes on at `from`: the index of its terminator, or -1. */
export type FindEnd = (chunk: Uint8Array, from: number) => number

/** Lines end with LF. A CR before it belongs to the line. */
export const endsWithLf: FindEnd = (chunk, from) => chunk.indexOf(LF, from)

/** Lines end with CR, LF or CRLF. */
export const endsWithCrOrLf: FindEnd = (chunk, from) => {
  for (let at = from; at < chunk.length; at++) {
    const byte = chunk[at]
    if (byte === LF || byte === CR) return at
  }
  return -1
}

/** Bytes that come in pieces and are needed whole. Copies what it is given: a piece would keep its whole chunk alive. */
export class ByteBuffer {
  readonly #limit: number
  #bytes = new Uint8Array(0)
  #length = 0

  /** @param limit the most bytes it holds @throws RangeError if that is less than 1 */
  constructor(limit: number) {
    if (!(limit >= 1)) throw new RangeError(`A limit of bytes must be 1 or more; got ${limit}.`)
    this.#limit = limit
  }

  get length(): number {
    return this.#length
  }

  /** Adds a piece. `false`, and nothing added, if it does not fit. */
  append(piece: Uint8Array): boolean {
    const length = this.#length + piece.length
    if (length > this.#limit) return false
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.min(this.#limit, Math.max(length, this.#bytes.length * 2, 256)))
      grown.set(this.#bytes.subarray(0, this.#length))
      this.#bytes = grown
    }
    this.#bytes.set(piece, this.#length)
    this.#length = length
    return true
  }

  /** Everything added since the last call: a view, valid until the next `append`. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length)
    this.#length = 0
    return taken
  }
}

/**
 * Cuts chunks into lines, wherever the chunks are split. Holds at most `limit` bytes of a line that is not complete.
 *
 * A line over the limit is given out once, without its bytes, as soon as that is known; the rest of it is passed over.
 */
export class LineSplitter {
  readonly #limit: number
  readonly #findEnd: FindEnd
  readonly #part: ByteBuffer
  #number = 1
  /** Stream offset of the start of the line, and of the next byte to come. */
  #start = 0
  #offset = 0
  #tooLong = false
  #endedByCr = false

  constructor(limit: number, findEnd: FindEnd) {
    this.#limit = limit
    this.#findEnd = findEnd
    this.#part = new ByteBuffer(limit)
  }

  /** The lines that end in this chunk. Lazy: take them all before the next call. */
  *push(chunk: Uint8Array): Generator<Line, void, void> {
    const base = this.#offset
    this.#offset += chunk.length
    let from = 0
    while (from < chunk.length) {
      // The second half of a CRLF, which may have been split between two chunks.
      if (this.#endedByCr) {
        this.#endedByCr = false
        if (chunk[from] === LF) {
          from++
          this.#start++
          continue
        }
      }
      const end = this.#findEnd(chunk, from)
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end)
      if (!this.#tooLong) {
        const line = this.#take(piece, end >= 0)
        if (line) yield line
      }
      if (end < 0) return
      from = end + 1
      this.#endedByCr = chunk[end] === CR
      this.#tooLong = false
      this.#number++
      this.#start = base + from
    }
  }

  /** The last line, if nothing terminated it. */
  *flush(): Generator<Line, void, void> {
    if (this.#part.length > 0) yield this.#line(this.#part.take())
  }

  #take(piece: Uint8Array, complete: boolean): Line | undefined {
    // Most lines lie within one chunk and need no copy.
    if (complete && this.#part.length === 0 && piece.length <= this.#limit) return this.#line(piece)
    if (this.#part.append(piece)) return complete ? this.#line(this.#part.take()) : undefined
    this.#part.take()
    this.#tooLong = true
    return this.#line(undefined)
  }

  #line(bytes: Uint8Array | undefined): Line {
    return { number: this.#number, byte: this.#start, bytes }
  }
}
