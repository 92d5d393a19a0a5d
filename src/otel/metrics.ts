import type * as Otel from '@opentelemetry/api'
import type { MeasuredAttempt, MeasuredDelivery, MeasuredRun, MeasuredUnit } from '../actors/contracts/telemetry.ts'

/** As OpenTelemetry recommends for durations in seconds, and two below: a memory store is fast. */
const seconds = [0.000_1, 0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/** Metrics of runs. Attributes have few values: no run's id or key is among them. */
export class Metrics {
  readonly #units: Otel.Counter
  readonly #refusals: Otel.Counter
  readonly #attempts: Otel.Counter
  readonly #sent: Otel.Counter
  readonly #appendDuration: Otel.Histogram
  readonly #residents: Otel.UpDownCounter

  constructor(meter: Otel.Meter) {
    this.#units = meter.createCounter('xmachines.units', { unit: '{unit}', description: 'Units that became durable.' })
    this.#refusals = meter.createCounter('xmachines.refusals', {
      unit: '{unit}',
      description: 'Units that were refused, ended their run, or could not be made durable.',
    })
    this.#attempts = meter.createCounter('xmachines.invocation.attempts', {
      unit: '{attempt}',
      description: 'Attempts of invocations that ended.',
    })
    this.#sent = meter.createCounter('messaging.client.sent.messages', {
      unit: '{message}',
      description: 'Mail that was put into inboxes.',
    })
    this.#appendDuration = meter.createHistogram('xmachines.append.duration', {
      unit: 's',
      description: 'How long an append to a store takes, for all runs that it serves.',
      advice: { explicitBucketBoundaries: seconds },
    })
    this.#residents = meter.createUpDownCounter('xmachines.residents', {
      unit: '{run}',
      description: 'Runs in memory.',
    })
  }

  unit({ of, origin }: MeasuredUnit): void {
    this.#units.add(1, { ...attributesOf(of), 'xmachines.unit.origin': origin.kind })
  }

  refusal({ of, origin }: MeasuredUnit, { code }: { readonly code?: string }): void {
    const attributes = { ...attributesOf(of), 'xmachines.unit.origin': origin.kind, 'error.type': code ?? '_OTHER' }
    this.#refusals.add(1, attributes)
  }

  attempt({ of, src }: MeasuredAttempt, error: { readonly code?: string } | undefined): void {
    this.#attempts.add(1, {
      ...attributesOf(of),
      'xmachines.invocation.src': src,
      ...(error && { 'error.type': error.code ?? '_OTHER' }),
    })
  }

  sent({ of, count }: MeasuredDelivery, error: { readonly code?: string } | undefined): void {
    this.#sent.add(count, {
      ...attributesOf(of),
      'messaging.system': 'xmachines',
      'messaging.operation.name': 'deliver',
      ...(error && { 'error.type': error.code ?? '_OTHER' }),
    })
  }

  append(runs: number): (failed: boolean) => void {
    const began = performance.now()
    return failed => {
      const attributes = { 'xmachines.append.shared': runs > 1, ...(failed && { 'error.type': '_OTHER' }) }
      this.#appendDuration.record((performance.now() - began) / 1000, attributes)
    }
  }

  residents(of: MeasuredRun, change: 1 | -1): void {
    this.#residents.add(change, attributesOf(of))
  }
}

function attributesOf({ namespace, machine, version }: MeasuredRun): Otel.Attributes {
  return {
    'xmachines.run.namespace': namespace,
    'xmachines.machine.id': machine,
    'xmachines.machine.version': version,
  }
}
