import type { JsonValue } from '../../actors/contracts/json.ts'
import { messageOf, XMachinesError } from '../../actors/errors.ts'
import { decodeStream } from './decode-stream.ts'
import { ByteBuffer } from './lines.ts'

/** Bytes as a TextEncoder gives them. Named so, since typed arrays have parameters from TypeScript 5.7 on only. */
export type Utf8 = ReturnType<InstanceType<typeof TextEncoder>['encode']>

/** How a single JSON value is read. */
export interface JsonDecodeOptions {
  /** The most bytes of the value. No more than this is ever held. @default 1_048_576 (1 MiB) */
  readonly maxBytes?: number | undefined
}

/**
 * Bytes in, the one JSON value that they are out, at their end: a snapshot, an acknowledgement. Strict UTF-8; a
 * byte-order mark at the start is passed over. The other way is {@link jsonEncode}.
 *
 * Errors: `LINE_INVALID` if the bytes are not exactly one value, `LINE_TOO_LONG` as soon as they are over `maxBytes`.
 */
export function json<T = JsonValue>({ maxBytes = 1_048_576 }: JsonDecodeOptions = {}): TransformStream<Uint8Array, T> {
  const bytes = new ByteBuffer(maxBytes)
  const details = { line: 1, byte: 0 }
  return decodeStream<T>({
    push(chunk) {
      if (bytes.append(chunk)) return [].values()
      throw new XMachinesError('LINE_TOO_LONG', `The JSON value is over ${maxBytes} bytes. Raise \`maxBytes\`.`, {
        details,
      })
    },
    *flush() {
      try {
        yield JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.take())) as T
      } catch (cause) {
        const message = `The bytes are not one JSON value in UTF-8: ${messageOf(cause)}`
        throw new XMachinesError('LINE_INVALID', message, { details, cause })
      }
    },
  })
}

/**
 * One value in, its JSON out as one chunk. The other way is {@link json}.
 *
 * Errors: `FRAME_INVALID` for what `JSON.stringify` makes nothing of, for a second value, and for none at all.
 */
export function jsonEncode<T = JsonValue>(): TransformStream<T, Utf8> {
  let values = 0
  return new TransformStream({
    transform(value, controller) {
      if (++values > 1) throw new XMachinesError('FRAME_INVALID', 'A JSON body is one value, and a second came.')
      controller.enqueue(encodeJson(value))
    },
    flush() {
      if (values === 0) throw new XMachinesError('FRAME_INVALID', 'A JSON body is one value, and none came.')
    },
  })
}

const encoder = new TextEncoder()

/** The JSON of a value in UTF-8, with `end` after it. Errors: `FRAME_INVALID`. */
export function encodeJson(value: unknown, end = ''): Utf8 {
  let text: string | undefined
  let cause: unknown
  try {
    text = JSON.stringify(value)
  } catch (error) {
    cause = error
  }
  if (text !== undefined) return encoder.encode(text + end)
  const why = cause === undefined ? `it is ${typeof value}` : messageOf(cause)
  throw new XMachinesError('FRAME_INVALID', `The value has no JSON: ${why}. Pass JSON values.`, { cause })
}
