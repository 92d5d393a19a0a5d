import type { BrokerRecord } from '../contracts/broker.ts'
import { XMachinesError } from '../errors.ts'
import type { LeasePlace } from './lease-errors.ts'
import type { Settings } from './options.ts'

/** A record that was older than those before it when it came. */
interface Aged {
  readonly offset: number
  readonly timestamp: number
  readonly age: number
}

/**
 * Notices records that are stamped longer ago than their topic keeps records: it deletes by that time, whether they were read or not.
 * Whoever sends with old times of their own loses what is not read at once.
 */
export class Expiry {
  readonly #place: LeasePlace
  readonly #settings: Pick<Settings, 'consumer' | 'environment'>
  readonly #warn: (error: XMachinesError) => void
  #retention: number | undefined
  #oldest: Aged | undefined
  /** Nothing is looked at: nobody has asked, nothing expires, or it is told. */
  #over = true

  constructor(
    place: LeasePlace,
    settings: Pick<Settings, 'consumer' | 'environment'>,
    warn: (error: XMachinesError) => void,
  ) {
    this.#place = place
    this.#settings = settings
    this.#warn = warn
  }

  /** Asks how long the topic keeps records. A user that may not know is not warned. */
  async ask(): Promise<void> {
    const { consumer } = this.#settings
    if (consumer.retention === undefined) return
    this.#over = false
    try {
      this.#retention = await consumer.retention(this.#place.topic)
    } catch {
      // It is as if nothing expired.
    }
    if (this.#retention === undefined) this.#over = true
    else this.#judge()
  }

  /** Looks at records that came. */
  look(records: readonly BrokerRecord[]): void {
    if (this.#over) return
    const now = this.#settings.environment.now()
    for (const { offset, timestamp } of records) {
      const age = now - timestamp
      // Below 0 it has none.
      if (timestamp >= 0 && age > (this.#oldest?.age ?? 0)) this.#oldest = { offset, timestamp, age }
    }
    this.#judge()
  }

  #judge(): void {
    const retention = this.#retention
    const oldest = this.#oldest
    if (this.#over || retention === undefined || oldest === undefined || oldest.age <= retention) return
    this.#over = true
    this.#warn(expiring(this.#place, oldest, retention))
  }
}

function expiring({ topic, partition }: LeasePlace, { offset, timestamp }: Aged, retention: number): XMachinesError {
  return new XMachinesError(
    'RECORDS_EXPIRING',
    `Record ${offset} of ${topic}/${partition} is stamped ${textOf(timestamp)}, and the topic keeps records for ${daysOf(retention)} ` +
      'after that time: it may delete those that follow before they are read. Keep them longer (retention.ms), or stamp records ' +
      'when they are sent and put the time that they are of into their value, for `decode`.',
    { details: { topic, partition, offset, timestamp, retention } },
  )
}

function textOf(timestamp: number): string {
  const date = new Date(timestamp)
  return Number.isNaN(date.getTime()) ? String(timestamp) : date.toISOString()
}

function daysOf(ms: number): string {
  const days = ms / 86_400_000
  return days >= 1 ? `${Number(days.toFixed(1))} days` : `${ms} ms`
}
