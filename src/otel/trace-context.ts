import type * as Otel from '@opentelemetry/api'
import type { TraceContext } from '../actors/contracts/unit.ts'

/** The library, as far as it is loaded. */
export type OtelApi = Omit<typeof Otel, 'default'>

/** A span's context, as it is kept beside a unit; `undefined` of one that nobody records. */
export function toKept(api: OtelApi, context: Otel.SpanContext): TraceContext | undefined {
  if (!api.isSpanContextValid(context)) return undefined
  const { traceId, spanId, traceFlags } = context
  const traceparent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, '0')}`
  const tracestate = context.traceState?.serialize()
  return Object.freeze(tracestate === undefined || tracestate === '' ? { traceparent } : { traceparent, tracestate })
}

/** What was kept, as a span's context. */
export function fromKept(api: OtelApi, { traceparent, tracestate }: TraceContext): Otel.SpanContext {
  const [, traceId, spanId, flags] = traceparent.split('-') as [string, string, string, string]
  return {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
    ...(tracestate !== undefined && { traceState: api.createTraceState(tracestate) }),
  }
}
