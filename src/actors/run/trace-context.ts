import type { TraceContext } from '../contracts/unit.ts'

/** Version, trace id, span id and flags; later versions may add parts. Ids of zeros are none, and `ff` is no version. */
const traceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/
/** More is not carried: the W3C asks for 512 characters at least. */
const longest = 1024

/** A caller's trace context, copied. @throws TypeError when it is none */
export function toTraceContext(given: TraceContext): TraceContext {
  const trace = traceContextOf(given)
  if (trace !== undefined) return trace
  throw new TypeError(
    `Expected \`trace\` to be { traceparent, tracestate? } as W3C Trace Context has them, got \`${JSON.stringify(given)}\`.`,
  )
}

/** What headers say of a trace; `undefined` where it is nothing, or no sense. */
export function traceContextOf(given: {
  readonly traceparent?: unknown
  readonly tracestate?: unknown
}): TraceContext | undefined {
  const { traceparent: parent, tracestate } = given
  if (!isText(parent) || !traceparent.test(parent)) return undefined
  if (tracestate === undefined) return Object.freeze({ traceparent: parent })
  return isText(tracestate) ? Object.freeze({ traceparent: parent, tracestate }) : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longest
}
