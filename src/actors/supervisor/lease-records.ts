import type { BrokerRecord, PartitionLease } from '../contracts/broker.ts'
import type { Refusal } from '../contracts/store.ts'
import { asError, type XMachinesError } from '../errors.ts'
import type { Pauses } from './backoff.ts'
import { Committer, type CommitterHome } from './committer.ts'
import { refusalOf } from './dead-letter.ts'
import type { LeaseHappening } from './events.ts'
import { Expiry } from './expiry.ts'
import { mayPass } from './failures.ts'
import { Intake, type IntakeHome } from './intake.ts'
import type { Lanes } from './lanes.ts'
import type { LeasePlace } from './lease-errors.ts'
import { OffsetWindow } from './offset-window.ts'
import type { Settings } from './options.ts'
import { Stopwatch } from './stopwatch.ts'

/** Records in hand of one lease, at most and at least, and what the leases share once they are many. */
const most = 4096
const fewest = 1024
const inHand = 32_768

/** What the records of a lease need of it. */
export interface LeaseRecordsHome extends LeasePlace {
  readonly settings: Settings
  /** How many leases there are beside it. */
  readonly leaseCount: number
  /** The source id of the partition. */
  readonly source: string
  readonly lanes: Lanes
  readonly pauses: Pauses
  /** Fires when nothing more may be decided. */
  readonly stopSignal: AbortSignal | undefined
  /** Sends the dead letter of a record that no run can keep. Resolves to whether it has arrived. */
  sendDeadLetter(refusal: Refusal): Promise<boolean>
  stop(error: XMachinesError, record?: BrokerRecord): void
  /** The partition is to be given back. */
  revoke(): void
  tell(happening: LeaseHappening): void
  /** A commit has moved. */
  progressed(): void
}

/** The records of a lease, from the broker and back: read, handed to their runs, settled, committed. */
export class LeaseRecords implements IntakeHome, CommitterHome {
  readonly settings: Settings
  readonly source: string
  readonly lanes: Lanes
  readonly pauses: Pauses
  readonly stopSignal: AbortSignal | undefined
  readonly window: OffsetWindow
  readonly paused: Stopwatch
  readonly expiry: Expiry
  readonly #broker: PartitionLease
  readonly #home: LeaseRecordsHome
  readonly #intake: Intake
  readonly #committer: Committer
  #reading = false

  constructor(broker: PartitionLease, home: LeaseRecordsHome) {
    const { settings } = home
    this.#broker = broker
    this.#home = home
    this.settings = settings
    this.source = home.source
    this.lanes = home.lanes
    this.pauses = home.pauses
    this.stopSignal = home.stopSignal
    this.window = new OffsetWindow(settings.window ?? shareOf(home.leaseCount + 1))
    this.paused = new Stopwatch(settings.environment)
    this.expiry = new Expiry(home, settings, error => home.tell({ type: 'expiring', error }))
    this.#committer = new Committer(broker, this)
    this.#intake = new Intake(this)
  }

  get backoff(): Settings['backoff'] {
    return this.settings.backoff
  }

  /** What is known to be committed. */
  get committedTo(): number | undefined {
    const { committed } = this.#committer
    const moved = this.#broker.committed
    return moved === undefined || moved < 0 ? committed : Math.max(committed ?? moved, moved)
  }

  /** Reads, from the first claim on. */
  read(): void {
    if (this.#reading) return
    this.#reading = true
    void this.expiry.ask()
    void this.#intake.read(this.#broker.records)
  }

  /** No further record is handed over. */
  stop(): void {
    this.#intake.stop()
  }

  /** Resolves when what is settled is committed, or cannot be. */
  flush(): Promise<void> {
    return this.#committer.flush()
  }

  /** Nothing is committed any more. */
  end(): void {
    this.#committer.end()
  }

  /** The record of this place is settled. */
  settled(place: number): void {
    if (this.window.settle(place)) {
      this.#committer.advance(this.window.settledTo!)
      this.#intake.makeRoom()
    }
  }

  /** Records that were handed over will not be settled under this lease. */
  dropped(count: number): void {
    this.window.drop(count)
  }

  // IntakeHome

  undecodable(record: BrokerRecord, place: number, thrown: unknown): void {
    const { settings, source } = this
    const error = asError(thrown, 'RECORD_UNDECODABLE')
    if (settings.deadLetters === undefined) {
      this.dropped(1)
      return this.#home.stop(error, record)
    }
    const refusal = refusalOf(record, source, settings.environment.now(), error)
    void this.#home.sendDeadLetter(refusal).then(sent => (sent ? this.settled(place) : this.dropped(1)))
  }

  readFailed(thrown: unknown): void {
    const error = asError(thrown, 'BROKER_UNAVAILABLE')
    if (!mayPass(error)) return this.#home.stop(error)
    // Given back, the group hands it out anew, from the last commit on.
    this.#home.tell({ type: 'stalled', error })
    void this.pauses.wait(this.backoff(1)).then(() => this.#home.revoke())
  }

  // CommitterHome

  committed(): void {
    this.#home.progressed()
  }

  commitFailed(error: XMachinesError, stalled: boolean): void {
    if (stalled) this.#home.tell({ type: 'stalled', error })
    else if (error.code !== 'LEASE_LOST') this.#home.stop(error)
  }
}

function shareOf(leases: number): number {
  return Math.min(most, Math.max(fewest, Math.floor(inHand / leases)))
}
