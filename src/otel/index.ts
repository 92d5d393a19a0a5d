/** Runs in OpenTelemetry: spans and metrics. Nothing of it is loaded unless it is asked for. */
import type { MeterProvider, TracerProvider } from '@opentelemetry/api'
import type { Telemetry } from '../actors/contracts/telemetry.ts'
import { missingLibrary } from '../actors/missing-library.ts'
import { LeaseMetrics } from './lease-metrics.ts'
import { Metrics } from './metrics.ts'
import { quietlyBy } from './quietly.ts'
import { Spans } from './spans.ts'
import type { OtelApi } from './trace-context.ts'

export type * from '../actors/contracts/telemetry.ts'

/** Options of {@link createTelemetry}. */
export interface TelemetryOptions {
  /** @default the one that is registered globally */
  readonly tracerProvider?: TracerProvider | undefined
  /** @default the one that is registered globally */
  readonly meterProvider?: MeterProvider | undefined
}

/** What the spans and metrics name as their instrumentation. */
const scope = 'xmachines'

/**
 * Measures runs with OpenTelemetry: a span for each unit, attempt of an invocation and delivery of mail; counts, durations and lags.
 * Make one for a process and pass it wherever runs are opened. The trace of a unit is kept beside it, so that what it causes is
 * linked to it, also in other processes. Names: docs/guides/observe.md.
 *
 * @example
 * const telemetry = await createTelemetry()
 * const host = createHost({ machine: order, store, telemetry })
 *
 * @throws rejects with `LIBRARY_MISSING` when `@opentelemetry/api` is not installed
 */
export async function createTelemetry(options: TelemetryOptions = {}): Promise<Telemetry> {
  const api = await load()
  const quietly = quietlyBy(api)
  const spans = new Spans(api, (options.tracerProvider ?? api.trace).getTracer(scope), quietly)
  const meter = (options.meterProvider ?? api.metrics).getMeter(scope)
  const metrics = new Metrics(meter)
  const leases = new LeaseMetrics(meter)
  return {
    unit(unit) {
      const span = spans.unit(unit)
      return {
        trace: span.trace,
        decided: () => span.decided(),
        durable(seq) {
          span.durable(seq)
          quietly(() => metrics.unit(unit))
        },
        end(error) {
          if (span.end(error) && error !== undefined) quietly(() => metrics.refusal(unit, error))
        },
      }
    },
    attempt(attempt) {
      const span = spans.attempt(attempt)
      return {
        trace: span.trace,
        within: work => span.within(work),
        end(error) {
          if (span.end(error)) quietly(() => metrics.attempt(attempt, error))
        },
      }
    },
    delivery(delivery) {
      const span = spans.delivery(delivery)
      return {
        trace: span.trace,
        end(error) {
          if (span.end(error)) quietly(() => metrics.sent(delivery, error))
        },
      }
    },
    within: (trace, work) => spans.within(trace, work),
    append(runs) {
      const ended = metrics.append(runs)
      return failed => quietly(() => ended(failed))
    },
    residents: (of, change) => quietly(() => metrics.residents(of, change)),
    leases: read => leases.leases(read),
    fenced: lease => quietly(() => leases.fenced(lease)),
    drained: (lease, ms) => quietly(() => leases.drained(lease, ms)),
    lost: lease => quietly(() => leases.lost(lease)),
  }
}

async function load(): Promise<OtelApi> {
  try {
    return await import('@opentelemetry/api')
  } catch (cause) {
    const name = '@opentelemetry/api'
    throw missingLibrary(`\`createTelemetry\` needs the package ${name}`, name, name, cause)
  }
}
