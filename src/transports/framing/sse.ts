import { XMachinesError } from '../../actors/errors.ts'
import { decodeStream } from './decode-stream.ts'
import type { Utf8 } from './json.ts'
import { endsWithCrOrLf, type Line, LineSplitter } from './lines.ts'

/** A server-sent event to send. Without `data` nobody is told of it: a heartbeat, a new `retry`, a new `id`. */
export interface SseMessage {
  /** Text of any number of lines. CRLF and CR become LF, which is all that this format can carry. */
  readonly data?: string | undefined
  /** What the receiver listens for. One line. @default 'message' at the receiver */
  readonly event?: string | undefined
  /** What the receiver sends back as `Last-Event-ID`. One line, without NUL; `''` clears it. */
  readonly id?: string | undefined
  /** After how many milliseconds the receiver connects again. */
  readonly retry?: number | undefined
  /** Text that receivers ignore, of any number of lines. */
  readonly comment?: string | undefined
}

/** A server-sent event as received. */
export interface SseEvent {
  /** Its lines, joined with LF. */
  readonly data: string
  /** `'message'` if the sender named none. */
  readonly event: string
  /** The last id that was sent, with this event or before it; `''` if none was. */
  readonly id: string
  /** The reconnection time in milliseconds, if one was sent since the event before. */
  readonly retry?: number
}

/** How server-sent events are read. */
export interface SseDecodeOptions {
  /** The most bytes of an event: its lines together, comments apart, and each comment. @default 1_048_576 (1 MiB) */
  readonly maxEventBytes?: number | undefined
}

/**
 * Server-sent events in, `text/event-stream` out: one chunk an event.
 *
 * Errors: `FRAME_INVALID` for what would break the framing: a line break in `event` or `id`, NUL in `id`, a `retry` that
 * is not a whole number, `data` that is not a string.
 */
export function sseEncode(): TransformStream<SseMessage, Utf8> {
  const encoder = new TextEncoder()
  return new TransformStream({
    transform: (message, controller) => controller.enqueue(encoder.encode(write(message))),
  })
}

function write({ comment, event, id, retry, data }: SseMessage): string {
  let text = ''
  if (comment !== undefined) text += fieldOfLines('', comment)
  if (event !== undefined) text += fieldOfLine('event', event, /[\r\n]/)
  if (id !== undefined) text += fieldOfLine('id', id, /[\r\n\0]/)
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) throw unframeable('retry', `is not a whole number: ${retry}`)
    text += `retry: ${retry}\n`
  }
  if (data !== undefined) text += fieldOfLines('data', data)
  return `${text}\n`
}

function fieldOfLine(name: string, value: string, refused: RegExp): string {
  if (typeof value !== 'string' || refused.test(value)) {
    throw unframeable(name, name === 'id' ? 'must be a string of one line without NUL' : 'must be a string of one line')
  }
  return `${name}: ${value}\n`
}

function fieldOfLines(name: string, value: string): string {
  if (typeof value !== 'string') throw unframeable(name || 'comment', `is not a string but ${typeof value}`)
  return value
    .split(/\r\n|\r|\n/)
    .map(line => `${name}: ${line}\n`)
    .join('')
}

function unframeable(name: string, why: string): XMachinesError {
  return new XMachinesError('FRAME_INVALID', `The \`${name}\` of a server-sent event ${why}.`, {
    details: { field: name },
  })
}

/**
 * `text/event-stream` in, its events out, by the algorithm of the WHATWG HTML standard, wherever the bytes are split:
 * CR, LF or CRLF, lossy UTF-8, a byte-order mark at the start, an incomplete last event discarded.
 *
 * Errors: `LINE_TOO_LONG` if an event is over `maxEventBytes`, with `details` `{ line, byte }`; events before it are
 * delivered.
 */
export function sseDecode(options?: SseDecodeOptions): TransformStream<Uint8Array, SseEvent> {
  return decodeStream(new SseDecoder(options))
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const utf8AfterMark = new TextDecoder('utf-8')

class SseDecoder {
  readonly #lines: LineSplitter
  readonly #maxEventBytes: number
  // The standard's buffers, by its names: data, event type, last event ID, reconnection time.
  #data = ''
  #type = ''
  #lastEventId = ''
  #retry: number | undefined
  /** Bytes of the event so far. */
  #size = 0

  constructor({ maxEventBytes = 1_048_576 }: SseDecodeOptions = {}) {
    this.#lines = new LineSplitter(maxEventBytes, endsWithCrOrLf)
    this.#maxEventBytes = maxEventBytes
  }

  *push(chunk: Uint8Array): Generator<SseEvent, void, void> {
    for (const line of this.#lines.push(chunk)) {
      if (!line.bytes) throw this.#tooLong(line)
      const text = (line.number === 1 ? utf8AfterMark : utf8).decode(line.bytes)
      if (text === '') {
        const event = this.#dispatch()
        if (event) yield event
      } else if (!text.startsWith(':')) {
        this.#size += line.bytes.length
        if (this.#size > this.#maxEventBytes) throw this.#tooLong(line)
        this.#field(text)
      }
    }
  }

  /** An event that no blank line ended is no event. */
  *flush(): Generator<SseEvent, void, void> {}

  #field(text: string): void {
    const colon = text.indexOf(':')
    const name = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'data') this.#data += `${value}\n`
    else if (name === 'event') this.#type = value
    else if (name === 'id' && !value.includes('\0')) this.#lastEventId = value
    else if (name === 'retry' && /^[0-9]+$/.test(value) && Number.isSafeInteger(Number(value))) {
      this.#retry = Number(value)
    }
  }

  #dispatch(): SseEvent | undefined {
    const data = this.#data
    const event = this.#type || 'message'
    this.#data = this.#type = ''
    this.#size = 0
    if (data === '') return undefined
    const retry = this.#retry
    this.#retry = undefined
    return { data: data.slice(0, -1), event, id: this.#lastEventId, ...(retry === undefined ? {} : { retry }) }
  }

  #tooLong(line: Line): XMachinesError {
    const place = { line: line.number, byte: line.byte }
    const message = `An event is over ${this.#maxEventBytes} bytes at line ${place.line} (byte ${place.byte}). Raise \`maxEventBytes\`.`
    return new XMachinesError('LINE_TOO_LONG', message, { details: place })
  }
}
