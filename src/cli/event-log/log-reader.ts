import { XMachinesError } from '../../actors/errors.ts'
import { endsWithLf, LineSplitter } from '../../transports/framing/lines.ts'
import type { ConsumedFile } from './consumed.ts'
import { type Fingerprint, Trail } from './fingerprint.ts'

/** A line of a log. */
export interface LogLine {
  /** From 1. */
  readonly number: number
  /** Without its LF; `undefined`: it is too long to be an event. */
  readonly bytes: Uint8Array | undefined
}

/** The most bytes of a line: a batch of many events may be long. */
export const maxLineBytes = 64 << 20

const LF = 0x0a

/**
 * Reads a log that may have been consumed in part: passes over the lines that are settled, and gives out no other before
 * it is known that the log is the one that was consumed.
 *
 * A last line that no LF ends counts as if one did: a log that goes on in the middle of it later is another log.
 */
export class LogReader {
  readonly #chunks: AsyncIterable<Uint8Array>
  readonly #file: ConsumedFile
  readonly #splitter = new LineSplitter(maxLineBytes, endsWithLf)
  /** What is still to be compared, in order. */
  readonly #checks: Fingerprint[]
  /** Of all that was read. */
  readonly #read = new Trail()
  /** Of all that is settled; made when that is known to be what it was. */
  #settled: Trail | undefined
  #settledLines: number
  #bytes = 0
  /** Where the lines begin that were given out and are not settled: as many at a time as were given out. */
  #starts: { readonly first: number; readonly bytes: readonly number[] }[] = []
  /** Where the line begins of which the end was not read yet. */
  #nextStart = 0

  /** @param chunks the log, from its start */
  constructor(chunks: AsyncIterable<Uint8Array>, file: ConsumedFile) {
    const consumed = file.load()
    this.#chunks = chunks
    this.#file = file
    this.#settledLines = consumed?.settled.lines ?? 0
    this.#checks = [consumed?.settled ?? this.#read.fingerprint]
    if (consumed?.read !== undefined) this.#checks.push(consumed.read)
  }

  /** How many lines from the start are settled. */
  get settledLines(): number {
    return this.#settledLines
  }

  /** How many bytes those are. */
  get settledBytes(): number {
    return this.#settled?.bytes ?? 0
  }

  /**
   * The lines that are not settled, as many at a time as were read at once.
   *
   * @throws LOG_CHANGED
   */
  async *lines(): AsyncGenerator<readonly LogLine[], void, void> {
    const first = this.#settledLines + 1
    let lines: LogLine[] = []
    let starts: number[] = []
    for await (const chunk of this.#whole()) {
      const base = this.#bytes
      this.#take(chunk)
      for (const { number, byte, bytes } of this.#splitter.push(chunk)) {
        if (number < first) continue
        starts.push(byte)
        lines.push({ number, bytes: bytes?.buffer === chunk.buffer ? bytes : bytes?.slice() })
      }
      const end = chunk.lastIndexOf(LF)
      if (end >= 0) this.#nextStart = base + end + 1
      if (this.#checks.length > 0 || lines.length === 0) continue
      this.#starts.push({ first: lines[0]!.number, bytes: starts })
      // What may be consumed now is written down before it can be.
      this.save(false)
      yield lines
      lines = []
      starts = []
    }
    this.#check()
    const [missing] = this.#checks
    if (missing !== undefined)
      throw this.#changed(`it ends after ${this.#bytes} bytes, and ${missing.bytes} were read then`)
  }

  /** All lines before `number` are settled. */
  settle(number: number): void {
    for (let window = this.#starts[0]; window !== undefined; window = this.#starts[0]) {
      if (number - window.first < window.bytes.length) break
      this.#starts.shift()
    }
    const window = this.#starts[0]
    this.#settledLines = number - 1
    this.#settled!.advance(window === undefined ? this.#nextStart : window.bytes[number - window.first]!)
  }

  /** Writes down what was consumed. @param orderly whether nothing is under way beyond what is settled */
  save(orderly: boolean): void {
    if (this.#settled === undefined || this.#checks.length > 0) return // nothing was given out
    const settled = { lines: this.#settledLines, ...this.#settled.fingerprint }
    this.#file.save(orderly ? { settled } : { settled, read: this.#read.fingerprint })
  }

  /** The chunks, and a last LF where there is none. */
  async *#whole(): AsyncGenerator<Uint8Array, void, void> {
    let last = LF
    for await (const chunk of this.#chunks) {
      if (chunk.length === 0) continue
      yield chunk
      last = chunk[chunk.length - 1]!
    }
    if (last !== LF) yield Uint8Array.of(LF)
  }

  #take(chunk: Uint8Array): void {
    this.#bytes += chunk.length
    this.#read.push(chunk)
    this.#settled?.push(chunk)
    this.#check()
    if (this.#checks.length === 0) this.#read.advance(this.#bytes)
  }

  #check(): void {
    for (let check = this.#checks[0]; check !== undefined && check.bytes <= this.#bytes; check = this.#checks[0]) {
      this.#read.advance(check.bytes)
      if (this.#read.fingerprint.sha256 !== check.sha256)
        throw this.#changed(`its first ${check.bytes} bytes are others`)
      this.#settled ??= new Trail(this.#read)
      this.#checks.shift()
    }
  }

  #changed(why: string): XMachinesError {
    const { topic } = this.#file
    return new XMachinesError(
      'LOG_CHANGED',
      `The log is not the one that was consumed as '${topic}' before: ${why}. Give another log another --topic.`,
      { details: { topic } },
    )
  }
}
