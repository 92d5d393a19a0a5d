import { asError, XMachinesError } from '../errors.ts'
import type { MachineDefinition } from '../machine/definition.ts'
import { nextTimer } from '../machine/state.ts'
import type { AdoptedUnit } from '../run/command.ts'
import type { Observer } from '../run/observer.ts'
import { closeTimeout, residencyOf } from '../run/residency.ts'
import type { Resident } from '../run/resident.ts'
import { inspectResident } from '../run/run-inspection.ts'
import { kindOf } from './failures.ts'
import type { LaneHome, LaneNames } from './lane-home.ts'
import { LaneRecords, type LaneRecordsHome, type Taker } from './lane-records.ts'
import { bringRun } from './lane-run.ts'
import type { Outbox } from './outbox.ts'
import { ParkedRun } from './parked-run.ts'
import type { RecordCommand } from './record-command.ts'
import type { Resting } from './residents.ts'

/**
 * The records of one run, in order, and the run: brought into memory when a record or its own need wants it, brought back
 * when it ends for a reason that may pass, parked when it does not.
 */
export class Lane implements LaneRecordsHome, Observer, Resting {
  readonly key: string | undefined
  bytes: Uint8Array | undefined
  run: string | undefined
  readonly lease: LaneHome
  readonly records: LaneRecords
  /** Who takes the records now. */
  #taker: Taker | undefined
  #failures = 0
  /** Why it is not in memory any more, or did not come there: not dealt with yet. */
  #broken: XMachinesError | undefined
  /** It is to be parked for this. */
  #hopeless: XMachinesError | undefined
  #coming: Promise<void> | undefined
  #leaving: Promise<void> | undefined
  /** The run is needed without a record, and who waits for the first try. */
  #wanted = false
  #awaited: (() => void)[] = []
  restingSince: number | undefined = undefined
  previous: Resting | undefined = undefined
  next: Resting | undefined = undefined

  constructor(home: LaneHome, key: string | undefined) {
    this.lease = home
    this.key = key
    this.records = new LaneRecords(this)
  }

  /** The declarations of its run's machine version, once it is known. */
  get definition(): MachineDefinition | undefined {
    return this.#taker?.resident?.program.definition
  }

  /** Takes the next record. */
  take(command: RecordCommand): void {
    if (this.restingSince !== undefined) this.lease.residents.rouse(this)
    if (this.#taker !== undefined) this.records.hand(command)
    else {
      this.records.wait(command)
      this.#come()
    }
  }

  /** Brings the run into memory, so that it does what is due. Resolves after the first try. */
  wake(): Promise<void> {
    if (this.#taker !== undefined) return Promise.resolve()
    return new Promise(resolve => {
      this.#wanted = true
      this.#awaited.push(resolve)
      this.#come()
    })
  }

  /** The store says that the run needs something: it may stand parked no longer. */
  notice(): void {
    const standIn = this.#taker?.of
    if (standIn instanceof ParkedRun) void standIn.look()
  }

  /** Nothing more is handed over: what waits is dropped. */
  halt(): void {
    this.records.dropWaiting()
    this.#wanted = false
    this.#awaken()
  }

  /** Lets the run go out of memory, once it has nothing to do. */
  async close(): Promise<void> {
    this.halt()
    await this.#coming
    this.passivate()
    await this.#leaving
  }

  // Resting

  get busy(): boolean {
    return this.#taker?.resident?.busy === true
  }

  passivate(): void {
    const { resident, outbox } = this.#taker ?? {}
    if (resident !== undefined) this.#passivate(resident, outbox)
  }

  // LaneRecordsHome

  get taker(): Taker | undefined {
    return this.#taker
  }

  get names(): LaneNames {
    return { run: this.run, key: this.key }
  }

  worked(): void {
    if (this.#failures > 0) this.#failures = 0
  }

  rest(): void {
    const { resident, outbox } = this.#taker ?? {}
    if (this.records.inFlight > 0 || resident === undefined || this.restingSince !== undefined) return
    // What its timers and effects caused comes first.
    if (resident.backlog > 0) void resident.drained().then(() => this.rest())
    else if (outbox!.quiet) this.lease.residents.rest(this)
  }

  // Observer

  adopted(units: readonly AdoptedUnit[]): void {
    for (const { unit } of units)
      for (const sent of unit.mail ?? []) if ('policy' in sent) this.lease.spawned(this.names, sent)
  }

  refused(): void {}

  ended(error: XMachinesError | undefined): void {
    if (this.#taker === undefined) return // it was let go
    const { resident } = this.#taker
    this.#taker = undefined
    if (resident !== undefined) {
      this.lease.residents.rouse(this)
      this.lease.residents.leave()
      void residencyOf(resident.store).forget(resident)
    }
    this.records.takeBack()
    if (this.lease.halted) return this.halt()
    this.#broken = error
    this.#come()
  }

  // Going out of memory.

  #passivate(resident: Resident, outbox: Outbox | undefined): void {
    const { residents } = this.lease
    residents.rouse(this)
    this.#taker = undefined
    this.#leaving = this.#leave(resident, outbox).then(() => {
      this.#leaving = undefined
      residents.leave(true)
      // It ended before the store knew all that was done: that counts as it would have before, or it would come back at once, for ever.
      this.#broken = resident.over?.error
      if (this.#broken !== undefined || this.#hasWork) return this.#come()
      this.lease.remove(this)
      this.lease.left(resident.run)
    })
  }

  async #leave(resident: Resident, outbox: Outbox | undefined): Promise<void> {
    try {
      await outbox?.flush()
      resident.unwatch(this)
      await residencyOf(resident.store).release(resident, closeTimeout)
    } catch {
      // It ends one way or the other; what is durable stays.
    }
    const due = resident.time === 'arrival' ? nextTimer(resident.state)?.due : undefined
    if (due !== undefined) this.lease.expect(due)
  }

  // Coming into memory.

  get #hasWork(): boolean {
    return this.#wanted || this.records.first !== undefined
  }

  #come(): void {
    this.#coming ??= this.#bring()
  }

  async #bring(): Promise<void> {
    // From here on `#coming` is set, until there is nothing left to do.
    await undefined
    let failed = false
    for (;;) {
      const error = this.#broken
      this.#broken = undefined
      if (error !== undefined) {
        failed = true
        await this.#failed(error)
      } else if (this.#leaving !== undefined) await this.#leaving
      else if (this.#taker !== undefined || !this.#hasWork) break
      else if (await this.lease.ready()) await this.#tryToLoad()
      else this.halt()
    }
    this.#coming = undefined
    if (this.#taker !== undefined) return
    this.lease.remove(this)
    // What it was doing goes on from the attention index.
    if (failed && this.run !== undefined) this.lease.lookAgain(this.run)
  }

  async #tryToLoad(): Promise<void> {
    try {
      if (this.#hopeless === undefined) await this.#load()
      else await this.#park(this.#hopeless)
    } catch (thrown) {
      this.#broken = asError(thrown, 'RUN_DAMAGED')
    }
    this.#awaken()
  }

  async #load(): Promise<void> {
    const { settings, residents } = this.lease
    const { first } = this.records
    if (first?.checking !== undefined) await first.checking
    await residents.admit()
    let resident: Resident
    try {
      resident = await bringRun(this.lease, this.names, first)
    } catch (thrown) {
      residents.leave()
      if (!XMachinesError.is(thrown, 'RUN_UNKNOWN')) throw thrown
      this.#wanted = false
      if (first === undefined) return
      // There is nothing to end.
      if (first.stops) return this.records.settleFirst()
      // There is no such run: a new one is of the first machine.
      if (first.deferred) return first.checkDeferred(settings.programs[0].definition, settings.limits)
      if (first.refused === undefined) throw thrown
      return this.#refuseUnkept(first.refused)
    }
    if (resident.over !== undefined) {
      // It ended before it was known here: nobody else forgets it.
      void residencyOf(settings.store).forget(resident)
      return residents.leave()
    }
    this.lease.named(this, resident.run)
    resident.watch(this)
    if (settings.inspect !== undefined) inspectResident(resident, settings.inspect)
    this.#takeOn({ of: resident, resident, outbox: resident.outbox as Outbox })
  }

  #takeOn(taker: Taker): void {
    this.#wanted = false
    this.#taker = taker
    taker.outbox.onQuiet = () => this.rest()
    this.records.handAll()
    if (this.#taker === taker) this.rest()
  }

  // Failing.

  async #failed(error: XMachinesError): Promise<void> {
    if (this.lease.halted) return
    const { settings } = this.lease
    switch (kindOf(error)) {
      case 'stall':
        return this.lease.stalled(error)
      case 'fenced':
        return this.lease.fenced(error)
      case 'again':
        return
      case 'stop':
        return this.lease.stop(error)
      case 'refuse':
        return this.#refuseUnkept(error)
      case 'parked':
        this.#hopeless = error
        return
      case 'run': {
        this.#failures++
        if (this.#failures >= settings.attempts) this.#hopeless = error
        else {
          this.lease.tell({ type: 'restarted', ...this.names, attempt: this.#failures, error })
          await this.lease.wait(settings.backoff(this.#failures))
        }
      }
    }
  }

  /** The first record is refused, and no run keeps it: whatever follows waits for its dead letter. */
  async #refuseUnkept(error: XMachinesError): Promise<void> {
    const command = this.records.first
    if (command === undefined) {
      this.#wanted = false
      return
    }
    const refusal = this.records.refusal(command, error)
    if (refusal === null) return
    if (!(await this.lease.sendDeadLetter(refusal)) || this.records.first !== command) return
    this.records.settleFirst()
  }

  async #park(error: XMachinesError): Promise<void> {
    const { settings, namespace, epoch } = this.lease
    const { store, environment } = settings
    const run = this.run ?? (await store.find(namespace, this.key!))
    const head = run === undefined ? undefined : await store.head(run)
    this.#hopeless = undefined
    if (head === undefined) {
      this.#failures = 0
      this.lease.unborn(this.key, error)
      return this.#refuseUnkept(error)
    }
    const stands = head.beside.parked
    const parked = stands ?? { at: environment.now(), code: error.code, message: error.message }
    this.lease.named(this, head.run)
    if (stands !== null) this.lease.parked(head.run, this.key, stands)
    const outbox = epoch.outbox(head.run, head.key, head, true)
    const standIn = new ParkedRun(store, head, epoch.lease, outbox, stands === null ? parked : undefined, {
      parked: () => {
        this.lease.tell({ type: 'parked', ...this.names, error })
        this.lease.parked(head.run, this.key, parked)
      },
      ended: reason => this.ended(reason),
    })
    this.#takeOn({ of: standIn, resident: undefined, outbox })
  }

  #awaken(): void {
    for (const resolve of this.#awaited.splice(0)) resolve()
  }
}
