import type { RecordedEvent } from '../contracts/json.ts'
import type { AppendItem, AppendOutcome, Beside, ParentLink, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { NewUnit, TimeMode } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import type { Program } from '../machine/program.ts'
import type { RunState } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import { Aftermath } from './aftermath.ts'
import { Ahead } from './ahead.ts'
import { type Command, needsAppend, type Pending } from './command.ts'
import { Durable } from './durable.ts'
import { asStoreError, type Journal, journalOf, type Writer } from './journal.ts'
import { Mailroom } from './mailroom.ts'
import { RunTelemetry } from './measured.ts'
import type { Observer } from './observer.ts'
import type { RunOutbox } from './outbox.ts'
import type { Leased, ResidentStart } from './resident-start.ts'
import { isReadersError, leaseHeld, leaseLost, misplaced, runClosed, runExists, undecided } from './run-errors.ts'
import type { Midwife } from './spawner.ts'

/** Commands that may wait for one run at a time. */
const mailboxLimit = 65_536
/** Commands of one append item. */
const itemLimit = 1024
/** How many times in a row another writer may be first. */
const conflictLimit = 64

/**
 * A run in memory: one for each (store, run), shared by all of its handles.
 *
 * Commands are decided at once, ahead of the append that makes them durable; nothing of them is visible before. What fails
 * to become durable is dropped with everything decided on top of it, and is decided again or rejected.
 */
export class Resident implements Writer {
  requested = false
  readonly run: string
  readonly program: Program
  readonly store: Store
  readonly system: ActorSystem
  readonly time: TimeMode
  readonly lease: Leased | undefined
  readonly outbox: RunOutbox | undefined
  readonly environment: Environment
  /** What senders of mail call it; `key` is '' where it has none. */
  readonly name: { readonly namespace: string; readonly key: string }
  /** Whose child it is. */
  readonly parent: ParentLink | null
  readonly midwife: Midwife
  readonly telemetry: RunTelemetry | undefined
  readonly #journal: Journal
  readonly #ahead: Ahead
  readonly #aftermath: Aftermath
  readonly #durable: Durable
  readonly #mailroom: Mailroom
  /** As the run was kept when it came into memory. */
  #kept: Beside | undefined
  /** The store has something for the run that is not known here: mail, or what a dead process left behind. */
  #behind = false
  /** A process that had effects of the run in flight, and is no more. */
  #gone: string | undefined
  readonly #exclusive: boolean
  /** Decided, oldest first; the first {@link #inFlight} are with the store. */
  #pending: Pending[] = []
  #inFlight = 0
  /** An item is with the store, with units or without. */
  #appending = false
  /** What is with the store is about attempts and mail only, without a lease: who may not write leaves them alone. */
  #optional = false
  /** The run is in this process twice: what is pending is the other one's. */
  #guest = false
  /** Not decided yet: something has to be awaited first. */
  #waiting: Command[] = []
  /** How many things have to be awaited, and how many of them while what is decided must stay pending. */
  #blocked = 0
  #frozen = 0
  #conflicts = 0
  #observers: readonly Observer[] = []
  #over: { readonly error: XMachinesError | undefined } | undefined
  #winding: XMachinesError | undefined
  #whenDrained: (() => void)[] = []
  /** Wait for the next item to be written, or not. */
  #whenWritten: (() => void)[] = []
  #whenCreated: { resolve(): void; reject(error: XMachinesError): void }[] = []

  constructor(start: ResidentStart) {
    this.run = start.run
    this.program = start.program
    this.store = start.store
    this.system = start.system
    this.time = start.time
    this.lease = start.lease
    this.outbox = start.outbox
    this.environment = start.environment
    this.name = { namespace: start.name.namespace, key: start.name.key ?? '' }
    this.parent = start.parent
    this.midwife = start.midwife
    this.#journal = journalOf(start.store)
    this.telemetry = this.#measuredBy(start.telemetry)
    this.#exclusive = start.first?.exclusive === true
    this.#durable = new Durable(start)
    this.#ahead = new Ahead(start)
    this.#aftermath = new Aftermath(this, start.kept ?? { attempts: {}, process: null })
    this.#kept = start.kept
    this.#mailroom = new Mailroom(this)
    if (start.outbox !== undefined) {
      start.outbox.attach(this)
      this.watch(start.outbox)
    }
    this.system.sender = event => this.#aftermath.sendToSelf(event as RecordedEvent)
    if (start.first !== undefined) this.#begin(start, start.first)
  }

  /** Units so far that are durable. */
  get seq(): number {
    return this.#durable.seq
  }
  /** Time of the last durable unit, ms. */
  get at(): number {
    return this.#durable.at
  }
  /** The last durable state. */
  get state(): RunState {
    return this.#durable.state
  }
  /** Whether effects are shown instead of started. */
  get held(): boolean {
    return this.#durable.held
  }
  /** Whether the creation is durable. */
  get created(): boolean {
    return this.#durable.created
  }
  get over(): { readonly error: XMachinesError | undefined } | undefined {
    return this.#over
  }
  /** Effects and commands in flight: not to be passivated. */
  get busy(): boolean {
    return this.#pending.length + this.#waiting.length > 0 || this.#aftermath.running > 0 || this.#mailroom.busy
  }
  /** Units that are decided, or wait to be. */
  get backlog(): number {
    return this.#pending.length + this.#waiting.length
  }

  watch(observer: Observer): void {
    this.#observers = [...this.#observers, observer]
  }
  unwatch(observer: Observer): void {
    this.#observers = this.#observers.filter(other => other !== observer)
  }

  #measuredBy(telemetry: Telemetry | undefined): RunTelemetry | undefined {
    if (telemetry === undefined) return undefined
    this.#journal.telemetry = telemetry
    const { id, version } = this.program.record
    return new RunTelemetry(telemetry, { run: this.run, ...this.name, machine: id, version })
  }

  /** Takes a command: the one queue that everything goes through which changes the run. */
  submit(sent: Command): void {
    const command = this.telemetry?.command(sent) ?? sent
    if (this.#over !== undefined) return command.reject(this.#over.error ?? runClosed(this.run))
    if (this.#winding !== undefined) return command.reject(this.#winding)
    // What the run itself caused has nowhere else to wait.
    if (this.backlog >= mailboxLimit && command.origin.kind === 'outside') {
      return command.reject(
        new XMachinesError(
          'MAILBOX_FULL',
          `${mailboxLimit} units wait in run ${this.run}. Await receipts, or write to \`in\`, which holds back.`,
          { details: { run: this.run } },
        ),
      )
    }
    if (this.#blocked > 0) this.#waiting.push(command)
    else if (command.checking !== undefined) this.#block([command], () => command.checking!, false)
    else if (command.requestId !== undefined && !this.#ahead.remembersRequests)
      this.#block([command], () => this.#ahead.rememberRequests(this.store, this.created, this.#pending))
    else this.#decide(command)
  }

  /** Asks for an item soon, also if no unit waits: the outbox has something to be written. */
  touch(): void {
    if (this.#over === undefined) this.#journal.request(this)
  }

  /**
   * Goes on with effects and timers of a run that was opened, unless they are held. Resolves when what can start at once has.
   *
   * @throws rejects with why the run ended meanwhile
   */
  async resume(): Promise<void> {
    if (this.held) return
    this.#goOn()
    if (this.#kept !== undefined) this.#mailroom.follow(this.#kept)
    this.#kept = undefined
    if (this.#aftermath.wanting) await this.#writing()
    if (this.#over?.error !== undefined) throw this.#over.error
  }

  #goOn(): void {
    this.#aftermath.follow(this.state)
    this.#aftermath.catchUp()
  }

  /** The store has something for the run: it is looked for, unless an append is about to find that out. */
  notice(): void {
    if (this.#over !== undefined || this.held) return
    this.#behind = true
    this.#catchUp()
  }

  /** That process is gone: what it has left behind is taken over. */
  succeed(process: string): void {
    this.#gone = process
    this.notice()
  }

  #catchUp(): void {
    if (!this.#behind || this.#over !== undefined) return
    if (this.#appending || this.#pending.length > 0 || this.#blocked > 0) return
    this.#takeOver(false)
  }

  /** Lifts the hold of a fork or an import, for good. Resolves as {@link resume}. */
  async release(): Promise<void> {
    if (!this.held || this.#over !== undefined) return
    this.#durable.release()
    // Once that is durable.
    this.#behind = true
    this.#journal.request(this)
    await this.resume()
  }

  /** The run was in memory already when this was made. */
  beGuest(): void {
    this.#guest = true
  }

  /** Resolves when the creation is durable; rejects with why it will not be. */
  whenCreated(): Promise<void> {
    if (this.created) return Promise.resolve()
    if (this.#over !== undefined) return Promise.reject(this.#over.error ?? runClosed(this.run))
    return new Promise((resolve, reject) => this.#whenCreated.push({ resolve, reject }))
  }

  /** Resolves when nothing is in flight or waits. */
  drained(): Promise<void> {
    if (this.backlog === 0 || this.#over !== undefined) return Promise.resolve()
    return new Promise(resolve => this.#whenDrained.push(resolve))
  }

  /** Drains, ends the effects, keeps a snapshot. Commands that come meanwhile are taken; the caller stops them. */
  async passivate(timeout: number): Promise<void> {
    this.#mailroom.close()
    await this.#aftermath.close(timeout)
    await this.drained()
    await this.#mailroom.delivered(timeout)
    await this.drained()
    if (this.#over === undefined && this.#aftermath.wanting) await this.#writing()
    if (this.#over !== undefined) return
    this.#end(undefined)
    await this.#durable.saveSnapshot()
  }

  /** Takes nothing more, and ends once what is decided is durable. */
  windUp(error: XMachinesError): void {
    if (this.#over !== undefined || this.#winding !== undefined) return
    this.#winding = error
    void this.drained().then(() => this.end(error))
  }

  /** Ends at once: the lease is lost, or the store failed. What is not durable is rejected. */
  end(error: XMachinesError): void {
    if (this.#over === undefined) this.#end(error)
  }

  // Writer: what the journal asks for, and its answers.

  takeItem(): AppendItem | undefined {
    if (this.#over !== undefined || this.#inFlight > 0 || this.#frozen > 0) return undefined
    const slice = this.#pending.length > itemLimit ? this.#pending.slice(0, itemLimit) : this.#pending
    const item = this.#durable.item(slice, this.#aftermath, this.#mailroom)
    if (item !== undefined) {
      this.#inFlight = slice.length
      this.#appending = true
      this.#optional =
        slice.every(({ command }) => command.mail !== undefined) &&
        this.lease === undefined &&
        this.outbox === undefined &&
        item.beside?.held === undefined
      return item
    }
    this.#settle(this.#take(slice.length))
    if (this.#pending.length > 0) this.#journal.request(this)
    return undefined
  }

  settled(outcome: AppendOutcome): void {
    const count = this.#inFlight
    this.#inFlight = 0
    this.#appending = false
    this.outbox?.entered(outcome.status === 'appended')
    const attempted = this.#aftermath.settled(outcome.status === 'appended')
    this.#mailroom.entered(outcome.status === 'appended')
    if (this.#over !== undefined) return
    switch (outcome.status) {
      case 'appended':
        this.#conflicts = 0
        this.#durable.written(outcome.revision)
        this.#created()
        this.#settle(this.#take(count), attempted)
        this.#written()
        if (this.#pending.length > 0) this.#journal.request(this)
        return this.#catchUp()
      case 'conflict':
        return this.#takeOver()
      case 'fenced':
        if (this.#optional) return this.#forgo()
        return this.#end(
          this.lease === undefined ? leaseHeld(this.run, outcome) : leaseLost(this.run, this.lease, outcome),
        )
      case 'pinned':
        return this.#end(runExists(this.run, outcome.run))
      case 'misplaced':
        return this.#end(misplaced(this.run, this.lease, outcome.partition))
    }
  }

  failed(error: XMachinesError): void {
    this.#inFlight = 0
    this.#appending = false
    this.#aftermath.settled(false)
    this.#mailroom.entered(false)
    if (this.#over !== undefined) return
    if (this.#optional && isReadersError(error)) this.#forgo()
    else this.#end(error)
  }

  /** Whoever only reads a run starts nothing of it. */
  #forgo(): void {
    this.#aftermath.forgo()
    this.#mailroom.forgo()
    this.#written()
    // What was decided on top of mail is decided without it.
    if (this.#pending.length > 0) this.#takeOver(false)
  }

  /** Resolves when the next item is written, or is known not to be. */
  #writing(): Promise<void> {
    this.#journal.request(this)
    return new Promise(resolve => this.#whenWritten.push(resolve))
  }

  #written(): void {
    for (const resolve of this.#whenWritten.splice(0)) resolve()
  }

  // Deciding ahead.

  #begin(start: ResidentStart, first: NonNullable<ResidentStart['first']>): void {
    const mail = this.#ahead.sentBy(first.effects, start.state, { kind: 'outside' })
    const created: Command = {
      origin: { kind: 'outside' },
      events: [],
      settle: () => {},
      reject: () => {},
      ambient: start.lease === undefined,
    }
    const command = this.telemetry?.command(created) ?? created
    const unit: NewUnit = {
      seq: start.seq,
      at: start.at,
      events: [],
      origin: command.origin,
      outputs: first.outputs,
      ...(mail && { mail }),
      ...command.beside,
      state: this.#ahead.hashOf(start.state, first.effects),
      creation: first.creation,
    }
    const { state } = start
    const { effects } = first
    this.#push({ kind: 'applied', command, unit, state, effects, fatal: undefined, refusal: undefined })
  }

  #decide(command: Command): void {
    try {
      this.#tryToDecide(command)
    } catch (thrown) {
      // A policy of the machine, strict mode, or a defect: the unit is neither applied nor refused.
      const error = XMachinesError.is(thrown) ? thrown : undecided(this.run, thrown)
      command.reject(error)
      // What the run caused itself cannot be refused, and nobody would send it again: it stays pending in the store.
      if (command.origin.kind !== 'outside') this.end(error)
    }
  }

  #tryToDecide(command: Command): void {
    if (command.signal?.aborted)
      return command.reject(
        new XMachinesError('ABORTED', 'The caller aborted before the unit was decided.', {
          cause: command.signal.reason,
        }),
      )
    if (command.mail !== undefined && !this.#mailroom.holds(command.mail)) return this.#drop(command)
    for (let due = this.#ahead.dueBefore(command); due !== undefined; due = this.#ahead.dueBefore(command)) {
      const timer = this.#ahead.decide(due)
      if (timer === 'starved') return this.#starve(command)
      if (timer !== undefined) this.#push(timer)
    }
    const pending = this.#ahead.decide(command)
    if (pending === 'starved') return this.#starve(command)
    if (pending === undefined) return this.#drop(command)
    command.decided?.()
    this.#push(pending)
  }

  #push(pending: Pending): void {
    if (this.#pending.length === 0 && !needsAppend(pending)) return this.#settle([pending])
    // Most runs have one at a time, and an array that grows has room for many.
    if (this.#pending.length === 0) this.#pending = [pending]
    else this.#pending.push(pending)
    if (this.#inFlight === 0) this.#journal.request(this)
  }

  /** An outcome or a timer that is gone: no unit, and nobody to tell. */
  #drop(command: Command): void {
    command.settle({ kind: 'unchanged', seq: this.seq, at: this.at, outputs: [], state: this.state, duplicate: true })
    this.#notifyDrained()
  }

  /** The step draws randomness and the id of the head is not known: it is computed from the history, once. */
  #starve(command: Command): void {
    this.#block([command], async () => {
      await this.#ahead.identify(this.store, this.created ? this.seq : undefined, this.#pending)
    })
  }

  /**
   * Holds deciding back until `work` is done; `again` is decided first then.
   * @param frozen whether what is decided already must stay pending meanwhile
   */
  #block(again: readonly Command[], work: () => Promise<void>, frozen = true): void {
    this.#blocked++
    if (frozen) this.#frozen++
    this.#waiting = [...again, ...this.#waiting]
    work().then(
      () => {
        this.#blocked--
        if (frozen) this.#frozen--
        if (this.#over !== undefined || this.#blocked > 0) return
        const waiting = this.#waiting
        this.#waiting = []
        for (const command of waiting) this.submit(command)
        if (
          this.#pending.length > 0 ||
          this.outbox?.dirty === true ||
          this.#aftermath.wanting ||
          this.#mailroom.dirty ||
          this.#durable.released
        )
          this.#journal.request(this)
        this.#catchUp()
        this.#notifyDrained()
      },
      thrown => this.end(asStoreError(thrown)),
    )
  }

  // Becoming durable.

  /** Takes the first ones out of what is pending. */
  #take(count: number): readonly Pending[] {
    if (count < this.#pending.length) return this.#pending.splice(0, count)
    const all = this.#pending
    this.#pending = []
    return all
  }

  /** These are durable, or need not be: shows them, answers, starts what they left to be done. */
  #settle(settled: readonly Pending[], attempted = false): void {
    const adopted = this.#durable.adopt(settled)
    if (adopted.length > 0) for (const observer of this.#observers) observer.adopted(adopted)
    for (const pending of settled) {
      const { command } = pending
      if (pending.kind === 'refused')
        for (const observer of this.#observers) observer.refused(pending.seq, command.events, pending.error)
      command.settle(pending)
    }
    if ((adopted.length > 0 || attempted) && !this.held) {
      for (const { unit, effects } of settled)
        if (unit !== undefined && effects.length > 0) this.#aftermath.perform(unit, effects)
      this.#mailroom.send(adopted)
      this.#aftermath.follow(this.state)
      this.#durable.snapshotNowAndThen()
    }
    this.#notifyDrained()
  }

  /**
   * Goes to where the run stands in the store: the units of whoever appended first are taken over, and ours are decided
   * again on top of them.
   *
   * @param conflict an append met it
   */
  #takeOver(conflict = true): void {
    this.#behind = false
    if (!this.created && this.#exclusive) return this.#end(runExists(this.run, this.run))
    // A creation that found the run there: it is the same one, made by somebody else.
    const creation = this.created ? undefined : this.#pending.shift()
    if (conflict && ++this.#conflicts > conflictLimit) {
      return this.#end(
        new XMachinesError(
          'RUN_CONFLICT',
          `Another writer of run ${this.run} was first ${conflictLimit} times. Send the event again.`,
          { details: { run: this.run } },
        ),
      )
    }
    const again = this.#pending.map(pending => pending.command)
    this.#pending = []
    this.#block(again, async () => {
      const { adopted, kept } = await this.#durable.takeOver(creation)
      this.#created()
      this.#ahead.reset({ state: this.state, seq: this.seq, at: this.at }, kept)
      const mine = !this.#guest && !this.held && (!kept.held || this.#durable.released)
      // Who sends mail is not in the way, however much.
      if (mine && this.#mailroom.follow(kept) && adopted.length === 0) this.#conflicts = 0
      // A run that was there already is gone on with, as if it had been opened.
      // So is what nobody has in flight (any more).
      const left = kept.process === null || kept.process === this.#gone
      if ((creation !== undefined || (left && this.state.table.invocations.size > 0)) && mine) {
        this.#aftermath.inherit(kept)
        this.#goOn()
      } else this.#aftermath.foreign(this.state, kept)
      this.#written()
      if (adopted.length > 0) for (const observer of this.#observers) observer.adopted(adopted)
    })
  }

  #end(error: XMachinesError | undefined): void {
    this.#over = { error }
    this.telemetry?.end()
    const rejected = [...this.#pending.map(pending => pending.command), ...this.#waiting]
    this.#pending = []
    this.#waiting = []
    this.#aftermath.stop(error)
    this.#mailroom.stop()
    this.#written()
    for (const command of rejected) command.reject(error ?? runClosed(this.run))
    for (const { reject } of this.#whenCreated.splice(0)) reject(error ?? runClosed(this.run))
    for (const observer of this.#observers) observer.ended(error)
    this.#notifyDrained()
  }

  #created(): void {
    for (const { resolve } of this.#whenCreated.splice(0)) resolve()
  }

  #notifyDrained(): void {
    if (this.#whenDrained.length === 0 || (this.backlog > 0 && this.#over === undefined)) return
    for (const resolve of this.#whenDrained.splice(0)) resolve()
  }

  /** Tells observers of something that failed beside the history. */
  report(seq: number, error: XMachinesError): void {
    for (const observer of this.#observers) observer.refused(seq, [], error)
  }
}
