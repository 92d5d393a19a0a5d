import type * as Otel from '@opentelemetry/api'
import type { MeasuredLease, MeasuredPartition } from '../actors/contracts/telemetry.ts'

/** As OpenTelemetry recommends for durations in seconds, and three above: a drain may take as long as it is let. */
const seconds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 30, 60]

/** What is observed of a lease; `undefined` where it is not known. */
type Reading = (lease: MeasuredLease) => number | undefined

/** Metrics of leases: how far they are behind, and what became of them. */
export class LeaseMetrics {
  readonly #observed: ReadonlyMap<Otel.Observable, Reading>
  readonly #paused: Otel.Observable
  readonly #drainDuration: Otel.Histogram
  readonly #fenced: Otel.Counter
  readonly #lost: Otel.Counter
  readonly #reads = new Set<() => Promise<readonly MeasuredLease[]>>()
  /** Partitions that were observed, by name. */
  readonly #seen = new Map<string, MeasuredPartition>()

  constructor(meter: Otel.Meter) {
    const gauge = (name: string, unit: string, description: string): Otel.Observable =>
      meter.createObservableGauge(`xmachines.lease.${name}`, { unit, description })
    this.#paused = meter.createObservableCounter('xmachines.lease.paused', {
      unit: 's',
      description: 'How long nothing more was handed over because too many records were unsettled.',
    })
    this.#observed = new Map<Otel.Observable, Reading>([
      [gauge('lag', '{record}', "From the group's commit to the partition's end."), ({ lag }) => lag],
      [gauge('fetch_lag', '{record}', 'What waits in the topic.'), ({ fetchLag }) => fetchLag],
      [gauge('backlog', '{record}', "What is in hand, from the group's commit on."), ({ backlog }) => backlog],
      [
        gauge('oldest_age', 's', 'How long ago the oldest unsettled record was handed over.'),
        ({ oldestAge }) => oldestAge / 1000,
      ],
      [
        gauge('time_lag', 's', 'How long ago the oldest unsettled record was stamped.'),
        ({ timeLag }) => timeLag / 1000,
      ],
      [this.#paused, lease => lease.paused / 1000],
    ])
    this.#drainDuration = meter.createHistogram('xmachines.lease.drain.duration', {
      unit: 's',
      description: 'How long leases that the group wanted back took to settle what was in hand.',
      advice: { explicitBucketBoundaries: seconds },
    })
    this.#fenced = meter.createCounter('xmachines.lease.fenced_appends', {
      unit: '{append}',
      description: 'Appends that the store refused because somebody else had claimed the partition.',
    })
    this.#lost = meter.createCounter('xmachines.lease.losses', {
      unit: '{lease}',
      description: 'Leases that were taken away.',
    })
    // One look at the broker serves all.
    meter.addBatchObservableCallback(result => this.#observe(result), [...this.#observed.keys()])
  }

  leases(read: () => Promise<readonly MeasuredLease[]>): () => void {
    this.#reads.add(read)
    return () => this.#reads.delete(read)
  }

  fenced(lease: MeasuredPartition): void {
    this.#fenced.add(1, attributesOf(lease))
  }

  drained({ topic, group }: MeasuredPartition, ms: number): void {
    // Without the partition: each would have all the buckets.
    this.#drainDuration.record(ms / 1000, {
      'messaging.destination.name': topic,
      'messaging.consumer.group.name': group,
    })
  }

  lost(lease: MeasuredPartition): void {
    this.#lost.add(1, attributesOf(lease))
  }

  async #observe(result: Otel.BatchObservableResult): Promise<void> {
    const leases = (await Promise.all([...this.#reads].map(read => read()))).flat()
    const gone = new Map(this.#seen)
    for (const lease of leases) {
      gone.delete(nameOf(lease))
      this.#seen.set(nameOf(lease), lease)
    }
    for (const [observable, reading] of this.#observed) {
      for (const lease of leases) {
        const value = reading(lease)
        if (value !== undefined) result.observe(observable, value, attributesOf(lease))
      }
      // The SDK goes on with the last value of what is observed no more: a partition that moved away would stay behind here.
      if (observable !== this.#paused)
        for (const lease of gone.values()) result.observe(observable, 0, attributesOf(lease))
    }
  }
}

function nameOf({ topic, partition, group }: MeasuredPartition): string {
  return `${group} ${topic} ${partition}`
}

function attributesOf({ topic, partition, group }: MeasuredPartition): Otel.Attributes {
  return {
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.consumer.group.name': group,
  }
}
