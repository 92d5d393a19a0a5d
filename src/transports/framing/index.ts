/** Framing: NDJSON, server-sent events and single JSON values as TransformStreams. No protocol, no I/O. */
export { type JsonDecodeOptions, json, jsonEncode } from './json.ts'
export {
  type BadLine,
  type NdjsonDecodeOptions,
  NdjsonDecoder,
  ndjsonDecode,
  ndjsonEncode,
} from './ndjson.ts'
export { type SseDecodeOptions, type SseEvent, type SseMessage, sseDecode, sseEncode } from './sse.ts'
