import { batchesOf } from '../batch-stream.ts'
import type { BrokerRecord } from '../contracts/broker.ts'
import { decodedBy, jsonOf, keyOf, timeOf } from './decode.ts'
import type { Expiry } from './expiry.ts'
import type { Lanes } from './lanes.ts'
import type { OffsetWindow } from './offset-window.ts'
import type { Settings } from './options.ts'
import { RecordCommand } from './record-command.ts'
import type { Stopwatch } from './stopwatch.ts'

/** What an intake needs of its lease. */
export interface IntakeHome {
  readonly settings: Settings
  readonly source: string
  readonly lanes: Lanes
  readonly window: OffsetWindow
  /** Runs while there is no room. */
  readonly paused: Stopwatch
  /** Looks at how old records are. */
  readonly expiry: Expiry
  /** Fires when nothing more may be decided. */
  readonly stopSignal: AbortSignal | undefined
  /** A record that names no run. */
  undecodable(record: BrokerRecord, place: number, thrown: unknown): void
  /** The records cannot be read on. */
  readFailed(thrown: unknown): void
}

/** Hands the records of a lease to their runs: as many as the window has places for, then no more until one is free. */
export class Intake {
  readonly #home: IntakeHome
  #open = true
  #room: (() => void) | undefined

  constructor(home: IntakeHome) {
    this.#home = home
  }

  /** Reads until the records end, or {@link stop}. */
  async read(records: ReadableStream<BrokerRecord>): Promise<void> {
    const { window, expiry, settings } = this.#home
    try {
      for await (const batch of batchesOf(records)) {
        expiry.look(batch)
        // One look at the clock serves all that goes in without a pause.
        let now = settings.environment.now()
        for (const record of batch) {
          if (window.full) {
            await this.#roomFor()
            now = settings.environment.now()
          }
          if (!this.#open) return
          this.#take(record, now)
        }
      }
    } catch (thrown) {
      if (this.#open) this.#home.readFailed(thrown)
    }
  }

  /** There may be room in the window again. */
  makeRoom(): void {
    const room = this.#room
    if (room === undefined) return
    this.#room = undefined
    room()
  }

  /** No further record is handed over. */
  stop(): void {
    this.#open = false
    this.makeRoom()
  }

  async #roomFor(): Promise<void> {
    const { window, paused } = this.#home
    paused.start()
    while (window.full && this.#open) await new Promise<void>(resolve => (this.#room = resolve))
    paused.stop()
  }

  #take(record: BrokerRecord, now: number): void {
    const { settings, lanes, source, window, stopSignal } = this.#home
    const { decode, time, programs, limits } = settings
    const stops = settings.tombstones === 'stop' && record.value === null
    const place = window.begin(record, now)
    try {
      let at = timeOf(record)
      let lane = decode === undefined && record.key !== null ? lanes.find(record.key) : undefined
      let events: unknown
      if (decode !== undefined) {
        const decoded = decodedBy(decode, record)
        lane = lanes.of(decoded.key)
        events = decoded.events
        at = decoded.at ?? at
      }
      lane ??= lanes.of(keyOf(record), record.key!)
      const command = new RecordCommand(
        lane.records,
        record,
        source,
        place,
        time === 'source' ? at : undefined,
        stopSignal,
        stops,
      )
      if (stops) return lane.take(command)
      try {
        const isParsed = decode === undefined
        if (isParsed) events = jsonOf(record)
        // Which machine version's border it is may show only when the run is there.
        const definition = programs.length === 1 ? programs[0].definition : lane.definition
        if (definition === undefined) command.defer(events, isParsed)
        else command.check(definition, limits, events, isParsed)
      } catch (thrown) {
        command.refuse(thrown)
      }
      lane.take(command)
    } catch (thrown) {
      this.#home.undecodable(record, place, thrown)
    }
  }
}
