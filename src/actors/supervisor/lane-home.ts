import type { BrokerRecord } from '../contracts/broker.ts'
import type { Parked, Refusal } from '../contracts/store.ts'
import type { SentSpawn } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import type { Epoch } from './epoch.ts'
import type { LeaseHappening } from './events.ts'
import type { Lane } from './lane.ts'
import type { LeaseRecords } from './lease-records.ts'
import type { Settings } from './options.ts'
import type { Residents } from './residents.ts'

/** What the run of a lane is called, as far as it is known. */
export interface LaneNames {
  readonly run: string | undefined
  readonly key: string | undefined
}

/** What a lane needs of its lease. */
export interface LaneHome {
  readonly settings: Settings
  readonly namespace: string
  /** The source id of the partition. */
  readonly source: string
  readonly residents: Residents
  /** Is told what becomes of records that were handed over. */
  readonly records: Pick<LeaseRecords, 'settled' | 'dropped'>
  /** The claim that holds now. */
  readonly epoch: Epoch
  /** Resolves when runs may be brought into memory; to whether there is still a lease to do it for. */
  ready(): Promise<boolean>
  /** Nothing is to be done any more: the lease is over or stands stopped. */
  readonly halted: boolean
  duplicate(): void
  /** The store, or the broker, fails; `ready` resolves when it may be tried again. */
  stalled(error: XMachinesError): void
  /** It does not. */
  recovered(): void
  fenced(error: XMachinesError): void
  stop(error: XMachinesError, record?: BrokerRecord): void
  /** Sends the dead letter of a record that no run can keep. Resolves to whether it has arrived. */
  sendDeadLetter(refusal: Refusal): Promise<boolean>
  parked(run: string, key: string | undefined, parked: Parked): void
  /** A key whose run could not be made, again and again. */
  unborn(key: string | undefined, error: XMachinesError): void
  wait(ms: number): Promise<void>
  expect(due: number): void
  /** The run went out of memory before it did what it was to do. */
  lookAgain(run: string): void
  /** A run went out of memory. */
  left(run: string): void
  /** A run has spawned a child. */
  spawned(parent: LaneNames, child: SentSpawn): void
  tell(happening: LeaseHappening): void
  named(lane: Lane, run: string): void
  remove(lane: Lane): void
}
