import type { Refusal } from '../contracts/store.ts'
import type { XMachinesError } from '../errors.ts'
import type { Resident } from '../run/resident.ts'
import { refusalOf } from './dead-letter.ts'
import type { LaneHome, LaneNames } from './lane-home.ts'
import type { Outbox } from './outbox.ts'
import type { ParkedRun } from './parked-run.ts'
import type { RecordCommand, RecordOwner } from './record-command.ts'

/** Who takes the records of a lane: its run, or what stands in for it while it is parked. */
export interface Taker {
  readonly of: Resident | ParkedRun
  /** The run, where it is in memory. */
  readonly resident: Resident | undefined
  readonly outbox: Outbox
}

/** What records need of their lane. */
export interface LaneRecordsHome {
  /** What a lane needs of its lease. */
  readonly lease: LaneHome
  readonly names: LaneNames
  readonly taker: Taker | undefined
  /** One of them is settled: whatever failed before has passed. */
  worked(): void
  /** None of them is with the run any more. */
  rest(): void
}

/** The records of one run, in order: those that wait for it, and those that it has and that are not settled. */
export class LaneRecords implements RecordOwner {
  readonly #home: LaneRecordsHome
  /** Without a taker, in order. */
  #waiting: RecordCommand[] = []
  /** Came back. */
  #returned: RecordCommand[] = []
  /** Refused, kept, and the dead letter not acknowledged. */
  readonly #lettered = new Set<RecordCommand>()
  #inFlight = 0

  constructor(home: LaneRecordsHome) {
    this.#home = home
  }

  /** The first one that waits. */
  get first(): RecordCommand | undefined {
    return this.#waiting[0]
  }
  /** With the run, and not settled. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** It waits for somebody who takes it. */
  wait(command: RecordCommand): void {
    this.#waiting.push(command)
  }

  /** Hands one over. */
  hand(command: RecordCommand): void {
    const { lease, taker } = this.#home
    this.#inFlight++
    if (command.deferred && taker!.resident !== undefined)
      command.checkDeferred(taker!.resident.program.definition, lease.settings.limits)
    taker!.of.submit(command)
  }

  /** Hands over what waits, for as long as it is taken. */
  handAll(): void {
    const { taker } = this.#home
    const waiting = this.#waiting
    this.#waiting = []
    for (let at = 0; at < waiting.length; at++) {
      if (this.#home.taker !== taker) {
        // It ended under the records before: these come after those.
        this.#waiting.push(...waiting.slice(at))
        return
      }
      this.hand(waiting[at]!)
    }
  }

  /** Nobody takes them any more: what was handed over waits again, before what came later. */
  takeBack(): void {
    const back = [...this.#returned, ...this.#lettered]
    this.#returned = []
    this.#lettered.clear()
    this.#inFlight = 0
    this.#waiting = [...back.sort((a, b) => a.place - b.place), ...this.#waiting]
  }

  /** The first one is settled without its run. */
  settleFirst(): void {
    this.#home.lease.records.settled(this.#waiting.shift()!.place)
  }

  /** What waits will not be handed over any more. */
  dropWaiting(): void {
    this.#home.lease.records.dropped(this.#waiting.length)
    this.#waiting = []
  }

  // RecordOwner

  refusal(command: RecordCommand, error: XMachinesError): Refusal | null {
    const { settings, source } = this.#home.lease
    if (settings.deadLetters !== undefined) return refusalOf(command.record, source, settings.environment.now(), error)
    this.#home.lease.stop(error, command.record)
    return null
  }

  applied(command: RecordCommand, fatal: XMachinesError | undefined): void {
    if (fatal !== undefined) this.#home.lease.tell({ type: 'ended', ...this.#home.names, error: fatal })
    this.#done(command)
  }

  unchanged(command: RecordCommand, duplicate: boolean): void {
    if (duplicate) {
      this.#home.lease.duplicate()
      // A refused one: its dead letter may still be on its way.
      if (this.#home.taker?.outbox.await(command.source, () => this.#arrived(command)) === true) {
        this.#lettered.add(command)
        return
      }
    }
    this.#done(command)
  }

  turnedAway(command: RecordCommand): void {
    if (command.kept === null) return this.#drop()
    this.#lettered.add(command)
    this.#home.taker!.outbox.deadLetter(command.kept, () => this.#arrived(command))
  }

  gaveBack(command: RecordCommand, error: XMachinesError): void {
    // The lease stopped before it was decided.
    if (error.code === 'ABORTED') return this.#drop()
    this.#inFlight--
    this.#returned.push(command)
    // What comes after it must not be decided before it; what came before it may become durable.
    this.#home.taker?.resident?.windUp(error)
  }

  #done(command: RecordCommand): void {
    this.#home.worked()
    this.#home.lease.recovered()
    this.#home.lease.records.settled(command.place)
    if (--this.#inFlight === 0) this.#home.rest()
  }

  #arrived(command: RecordCommand): void {
    if (this.#lettered.delete(command)) this.#done(command)
  }

  #drop(): void {
    this.#inFlight--
    this.#home.lease.records.dropped(1)
  }
}
