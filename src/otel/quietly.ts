import type { OtelApi } from './trace-context.ts'

/** Calls what may run code of the application's providers. */
export type Quietly = <T>(work: () => T) => T | undefined

/**
 * What a processor or a meter of the application throws is no failure of a run: it is told to the log of OpenTelemetry
 * itself (`diag.setLogger`).
 */
export function quietlyBy({ diag }: OtelApi): Quietly {
  return work => {
    try {
      return work()
    } catch (error) {
      diag.error('xmachines: a telemetry provider threw', error)
      return undefined
    }
  }
}
