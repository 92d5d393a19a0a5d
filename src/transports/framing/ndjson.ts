import type { JsonValue } from '../../actors/contracts/json.ts'
import { messageOf, XMachinesError } from '../../actors/errors.ts'
import { type ChunkDecoder, decodeStream } from './decode-stream.ts'
import { encodeJson, type Utf8 } from './json.ts'
import { endsWithLf, type Line, LineSplitter } from './lines.ts'

/** A line that could not be read. */
export interface BadLine {
  /** From 1. */
  readonly line: number
  /** Where in the stream the line starts, from 0. */
  readonly byte: number
  /** `LINE_INVALID` or `LINE_TOO_LONG`. */
  readonly error: XMachinesError
}

/** How NDJSON is read. */
export interface NdjsonDecodeOptions {
  /** The most bytes of a line, without its LF. No more than this of a line is ever held. @default 1_048_576 (1 MiB) */
  readonly maxLineBytes?: number | undefined
  /**
   * What a bad line does: `'fail'` ends the stream with its error, `'skip'` leaves it out, a function leaves it out and
   * is told. What the function throws ends the stream. @default 'fail'
   */
  readonly onBadLine?: 'fail' | 'skip' | ((bad: BadLine) => void) | undefined
}

/**
 * Values in, NDJSON out: one chunk a value, each a line with its LF.
 *
 * Values become what `JSON.stringify` makes of them. Errors: `FRAME_INVALID` for what it makes nothing of (`undefined`,
 * a function, a bigint, a cycle).
 */
export function ndjsonEncode<T = JsonValue>(): TransformStream<T, Utf8> {
  return new TransformStream({
    transform: (value, controller) => controller.enqueue(encodeJson(value, '\n')),
  })
}

/**
 * NDJSON in, values out, wherever the bytes are split. Reads strict UTF-8, LF and CRLF, a byte-order mark at the start,
 * a last line without LF; ignores blank lines.
 *
 * Every value before a bad line is delivered. Errors, with `details` `{ line, byte }`: `LINE_INVALID`, `LINE_TOO_LONG`.
 */
export function ndjsonDecode<T = JsonValue>(options?: NdjsonDecodeOptions): TransformStream<Uint8Array, T> {
  return decodeStream(new NdjsonDecoder<T>(options))
}

// Without a mark to look for, TextDecoder leaves a U+FEFF in place, which is then not JSON.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const utf8AfterMark = new TextDecoder('utf-8', { fatal: true })

/**
 * What {@link ndjsonDecode} does, without streams: for loops that count every microsecond.
 *
 * Errors are thrown while values are taken, and end the decoder.
 */
export class NdjsonDecoder<T = JsonValue> implements ChunkDecoder<T> {
  readonly #lines: LineSplitter
  readonly #maxLineBytes: number
  readonly #onBadLine: 'fail' | 'skip' | ((bad: BadLine) => void)

  constructor({ maxLineBytes = 1_048_576, onBadLine = 'fail' }: NdjsonDecodeOptions = {}) {
    this.#lines = new LineSplitter(maxLineBytes, endsWithLf)
    this.#maxLineBytes = maxLineBytes
    this.#onBadLine = onBadLine
  }

  /** The values of the lines that end in this chunk. Lazy: take them all before the next call. */
  push(chunk: Uint8Array): Generator<T, void, void> {
    return this.#values(this.#lines.push(chunk))
  }

  /** The value of the last line, if no LF ended it. */
  flush(): Generator<T, void, void> {
    return this.#values(this.#lines.flush())
  }

  *#values(lines: Iterable<Line>): Generator<T, void, void> {
    for (const line of lines) {
      const value = this.#parse(line)
      if (value !== undefined) yield value
    }
  }

  /** `undefined`, which no JSON is, for a line that holds no value. */
  #parse(line: Line): T | undefined {
    if (!line.bytes) {
      return this.#bad(line, 'LINE_TOO_LONG', `is over ${this.#maxLineBytes} bytes. Raise \`maxLineBytes\`.`)
    }
    let text: string
    try {
      text = (line.number === 1 ? utf8AfterMark : utf8).decode(line.bytes)
    } catch (cause) {
      return this.#bad(line, 'LINE_INVALID', 'is not UTF-8.', cause)
    }
    if (isBlank(text)) return undefined
    try {
      return JSON.parse(text) as T
    } catch (cause) {
      return this.#bad(line, 'LINE_INVALID', `is not one JSON value: ${messageOf(cause)}`, cause)
    }
  }

  #bad(line: Line, code: 'LINE_INVALID' | 'LINE_TOO_LONG', what: string, cause?: unknown): undefined {
    if (this.#onBadLine === 'skip') return
    const place = { line: line.number, byte: line.byte }
    const error = new XMachinesError(code, `Line ${place.line} (byte ${place.byte}) ${what}`, { details: place, cause })
    if (this.#onBadLine === 'fail') throw error
    this.#onBadLine({ ...place, error })
  }
}

/** Whether there is nothing but what JSON counts as white space; the CR of a CRLF is. */
function isBlank(text: string): boolean {
  return !(text.charCodeAt(0) > 0x20) && /^[ \t\r]*$/.test(text)
}
