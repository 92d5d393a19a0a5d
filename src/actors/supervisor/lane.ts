import type { BrokerRecord } from '../contracts/broker.ts'
import type { Parked, Refusal } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import type { MachineDefinition } from '../machine/definition.ts'
import { nextTimer } from '../machine/state.ts'
import { hold } from '../run/loading.ts'
import type { Observer } from '../run/observer.ts'
import { closeTimeout, residencyOf } from '../run/residency.ts'
import type { Resident } from '../run/resident.ts'
import { inspectResident } from '../run/run-inspection.ts'
import { refusalOf } from './dead-letter.ts'
import { undecodable } from './decode.ts'
import type { Epoch } from './epoch.ts'
import type { LeaseHappening } from './events.ts'
import { asError, kindOf } from './failures.ts'
import type { Settings } from './options.ts'
import type { Outbox } from './outbox.ts'
import { ParkedRun } from './parked-run.ts'
import type { RecordCommand, RecordOwner } from './record-command.ts'
import type { Residents, Resting } from './residents.ts'

/** What a lane needs of its lease. */
export interface LaneHome {
  readonly settings: Settings
  readonly namespace: string
  /** The source id of the partition. */
  readonly source: string
  readonly residents: Residents
  /** The claim that holds now. */
  readonly epoch: Epoch
  /** Resolves when runs may be brought into memory; to whether there is still a lease to do it for. */
  ready(): Promise<boolean>
  /** Nothing is to be done any more: the lease is over or stands stopped. */
  readonly halted: boolean
  settled(place: number): void
  /** A record that was handed over will not be settled under this lease. */
  dropped(count: number): void
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
  tell(happening: LeaseHappening): void
  named(lane: Lane, run: string): void
  remove(lane: Lane): void
}

/**
 * The records of one run, in order, and the run: brought into memory when a record or its own need wants it, brought back
 * when it ends for a reason that may pass, parked when it does not.
 */
export class Lane implements RecordOwner, Observer, Resting {
  readonly key: string | undefined
  bytes: Uint8Array | undefined
  run: string | undefined
  readonly #home: LaneHome
  /** Who takes the records now. */
  #taker: Resident | ParkedRun | undefined
  #resident: Resident | undefined
  #outbox: Outbox | undefined
  /** Records without a taker, in order. */
  #waiting: RecordCommand[] = []
  /** Records that came back. */
  #returned: RecordCommand[] = []
  /** Refused, kept, and the dead letter not acknowledged. */
  readonly #lettered = new Set<RecordCommand>()
  #inFlight = 0
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
    this.#home = home
    this.key = key
  }

  /** The declarations of its run's machine version, once it is known. */
  get definition(): MachineDefinition | undefined {
    return this.#resident?.program.definition
  }

  /** Takes the next record. */
  take(command: RecordCommand): void {
    if (this.restingSince !== undefined) this.#home.residents.rouse(this)
    if (this.#taker !== undefined) this.#hand(command)
    else {
      this.#waiting.push(command)
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

  /** Nothing more is handed over: what waits is dropped. */
  halt(): void {
    this.#home.dropped(this.#waiting.length)
    this.#waiting = []
    this.#wanted = false
    this.#awaken()
  }

  /** Lets the run go out of memory, once it has nothing to do. */
  async close(): Promise<void> {
    this.halt()
    await this.#coming
    if (this.#resident !== undefined) this.#passivate(this.#resident)
    await this.#leaving
  }

  // Resting

  get busy(): boolean {
    return this.#resident?.busy === true
  }

  passivate(): void {
    if (this.#resident !== undefined) this.#passivate(this.#resident)
  }

  // RecordOwner

  refusal(command: RecordCommand, error: XMachinesError): Refusal | null {
    const { settings, source } = this.#home
    if (settings.deadLetters !== undefined) return refusalOf(command.record, source, settings.environment.now(), error)
    this.#home.stop(error, command.record)
    return null
  }

  applied(command: RecordCommand, fatal: XMachinesError | undefined): void {
    if (fatal !== undefined) this.#home.tell({ type: 'ended', ...this.#names, error: fatal })
    this.#done(command)
  }

  unchanged(command: RecordCommand, duplicate: boolean): void {
    if (duplicate) {
      this.#home.duplicate()
      // A refused one: its dead letter may still be on its way.
      if (this.#outbox?.await(command.source, () => this.#arrived(command)) === true) {
        this.#lettered.add(command)
        return
      }
    }
    this.#done(command)
  }

  turnedAway(command: RecordCommand): void {
    if (command.kept === null) return this.#drop()
    this.#lettered.add(command)
    this.#outbox!.deadLetter(command.kept, () => this.#arrived(command))
  }

  gaveBack(command: RecordCommand, error: XMachinesError): void {
    // The lease stopped before it was decided.
    if (error.code === 'ABORTED') return this.#drop()
    this.#inFlight--
    this.#returned.push(command)
    // What comes after it must not be decided before it; what came before it may become durable.
    this.#resident?.windUp(error)
  }

  // Observer

  adopted(): void {}
  refused(): void {}

  ended(error: XMachinesError | undefined): void {
    const resident = this.#resident
    if (this.#taker === undefined) return // it was let go
    this.#taker = this.#resident = this.#outbox = undefined
    if (resident !== undefined) {
      this.#home.residents.rouse(this)
      this.#home.residents.leave()
      void residencyOf(resident.store).forget(resident)
    }
    const back = [...this.#returned, ...this.#lettered]
    this.#returned = []
    this.#lettered.clear()
    this.#inFlight = 0
    this.#waiting = [...back.sort((a, b) => a.place - b.place), ...this.#waiting]
    if (this.#home.halted) return this.halt()
    this.#broken = error
    this.#come()
  }

  get #names(): { readonly run: string | undefined; readonly key: string | undefined } {
    return { run: this.run, key: this.key }
  }

  // Handing over.

  #hand(command: RecordCommand): void {
    this.#inFlight++
    if (command.deferred && this.#resident !== undefined)
      command.checkDeferred(this.#resident.program.definition, this.#home.settings.limits)
    this.#taker!.submit(command)
  }

  #done(command: RecordCommand): void {
    if (this.#failures > 0) this.#failures = 0
    this.#home.recovered()
    this.#home.settled(command.place)
    if (--this.#inFlight === 0) this.#rest()
  }

  #arrived(command: RecordCommand): void {
    if (this.#lettered.delete(command)) this.#done(command)
  }

  #drop(): void {
    this.#inFlight--
    this.#home.dropped(1)
  }

  #rest(): void {
    const resident = this.#resident
    if (this.#inFlight > 0 || resident === undefined || this.restingSince !== undefined) return
    // What its timers and effects caused comes first.
    if (resident.backlog > 0) void resident.drained().then(() => this.#rest())
    else if (this.#outbox?.quiet !== false) this.#home.residents.rest(this)
  }

  #passivate(resident: Resident): void {
    const { residents } = this.#home
    residents.rouse(this)
    const outbox = this.#outbox
    this.#taker = this.#resident = this.#outbox = undefined
    this.#leaving = this.#leave(resident, outbox).then(() => {
      this.#leaving = undefined
      residents.leave(true)
      if (this.#hasWork) return this.#come()
      this.#home.remove(this)
      // It ended before the store knew all that was done.
      if (resident.over?.error !== undefined) this.#home.lookAgain(resident.run)
      else this.#home.left(resident.run)
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
    if (due !== undefined) this.#home.expect(due)
  }

  // Coming into memory.

  get #hasWork(): boolean {
    return this.#wanted || this.#waiting.length > 0
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
      else if (await this.#home.ready()) await this.#tryToLoad()
      else this.halt()
    }
    this.#coming = undefined
    if (this.#taker !== undefined) return
    this.#home.remove(this)
    // What it was doing goes on from the attention index.
    if (failed && this.run !== undefined) this.#home.lookAgain(this.run)
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
    const { settings, namespace, epoch, residents } = this.#home
    const { store, programs, environment, time, telemetry } = settings
    const first = this.#waiting[0]
    if (first?.checking !== undefined) await first.checking
    await residents.admit()
    let resident: Resident
    try {
      // A record that is refused anyway makes no run.
      const create = first !== undefined && first.refused === undefined && !first.deferred
      const at = time === 'source' && create ? first.at : undefined
      const name = this.key === undefined ? { id: this.run! } : { key: this.key }
      const options = {
        ...name,
        namespace,
        time,
        at,
        create,
        telemetry,
        // Asked for only where a run is made.
        get input(): never {
          return inputOf(settings, first) as never
        },
      }
      resident = (await hold(store, programs, options, environment, epoch)).resident
    } catch (thrown) {
      residents.leave()
      if (!XMachinesError.is(thrown, 'RUN_UNKNOWN')) throw thrown
      this.#wanted = false
      if (first === undefined) return
      // There is no such run: a new one is of the first machine.
      if (first.deferred) return first.checkDeferred(programs[0].definition, settings.limits)
      if (first.refused === undefined) throw thrown
      return this.#refuseUnkept(first.refused)
    }
    if (resident.over !== undefined) {
      // It ended before it was known here: nobody else forgets it.
      void residencyOf(store).forget(resident)
      return residents.leave()
    }
    this.#home.named(this, resident.run)
    this.#resident = resident
    resident.watch(this)
    if (settings.inspect !== undefined) inspectResident(resident, settings.inspect)
    this.#takeOn(resident, resident.outbox as Outbox)
  }

  #takeOn(taker: Resident | ParkedRun, outbox: Outbox): void {
    this.#wanted = false
    this.#taker = taker
    this.#outbox = outbox
    outbox.onQuiet = () => this.#rest()
    const waiting = this.#waiting
    this.#waiting = []
    for (let at = 0; at < waiting.length; at++) {
      if (this.#taker !== taker) {
        // It ended under the records before: these come after those.
        this.#waiting.push(...waiting.slice(at))
        return
      }
      this.#hand(waiting[at]!)
    }
    this.#rest()
  }

  // Failing.

  async #failed(error: XMachinesError): Promise<void> {
    if (this.#home.halted) return
    const { settings } = this.#home
    switch (kindOf(error)) {
      case 'stall':
        return this.#home.stalled(error)
      case 'fenced':
        return this.#home.fenced(error)
      case 'again':
        return
      case 'stop':
        return this.#home.stop(error)
      case 'refuse':
        return this.#refuseUnkept(error)
      case 'parked':
        this.#hopeless = error
        return
      case 'run': {
        this.#failures++
        if (this.#failures >= settings.attempts) this.#hopeless = error
        else {
          this.#home.tell({ type: 'restarted', ...this.#names, attempt: this.#failures, error })
          await this.#home.wait(settings.backoff(this.#failures))
        }
      }
    }
  }

  /** The first record is refused, and no run keeps it: whatever follows waits for its dead letter. */
  async #refuseUnkept(error: XMachinesError): Promise<void> {
    const command = this.#waiting[0]
    if (command === undefined) {
      this.#wanted = false
      return
    }
    const refusal = this.refusal(command, error)
    if (refusal === null) return
    if (!(await this.#home.sendDeadLetter(refusal)) || this.#waiting[0] !== command) return
    this.#waiting.shift()
    this.#home.settled(command.place)
  }

  async #park(error: XMachinesError): Promise<void> {
    const { settings, namespace, epoch } = this.#home
    const { store, environment } = settings
    const run = this.run ?? (await store.find(namespace, this.key!))
    const head = run === undefined ? undefined : await store.head(run)
    this.#hopeless = undefined
    if (head === undefined) {
      this.#failures = 0
      this.#home.unborn(this.key, error)
      return this.#refuseUnkept(error)
    }
    const stands = head.beside.parked
    const parked = stands ?? { at: environment.now(), code: error.code, message: error.message }
    this.#home.named(this, head.run)
    if (stands !== null) this.#home.parked(head.run, this.key, stands)
    const outbox = epoch.outbox(head.run, head.key, head, true)
    const standIn = new ParkedRun(store, head, epoch.lease, outbox, stands === null ? parked : undefined, {
      parked: () => {
        this.#home.tell({ type: 'parked', ...this.#names, error })
        this.#home.parked(head.run, this.key, parked)
      },
      ended: reason => this.ended(reason),
    })
    this.#takeOn(standIn, outbox)
  }

  #awaken(): void {
    for (const resolve of this.#awaited.splice(0)) resolve()
  }
}

/** The input of a new run, from its first record. */
function inputOf({ input }: Settings, first: RecordCommand | undefined): unknown {
  if (input === undefined || first === undefined) return undefined
  try {
    return input(first.record)
  } catch (thrown) {
    throw XMachinesError.is(thrown) ? thrown : undecodable(first.record, '`input` threw for it', thrown)
  }
}
