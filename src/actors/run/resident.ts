import type { RecordedEvent } from '../contracts/json.ts'
import type { Beside, ParentLink, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { TimeMode } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import type { Program } from '../machine/program.ts'
import type { RunState } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import { Aftermath, emptyHanded } from './aftermath.ts'
import type { AdoptedUnit, Command, Pending } from './command.ts'
import { Decider } from './decider.ts'
import { Durable } from './durable.ts'
import { journalOf } from './journal.ts'
import { Lookout } from './lookout.ts'
import { mailboxLimit } from './mailbox-limit.ts'
import { Mailroom } from './mailroom.ts'
import { RunTelemetry } from './measured.ts'
import type { Observer } from './observer.ts'
import type { RunOutbox } from './outbox.ts'
import { namesOthers } from './owners.ts'
import type { Leased, ResidentStart } from './resident-start.ts'
import { runClosed } from './run-errors.ts'
import { RunWriter } from './run-writer.ts'
import type { Midwife } from './spawner.ts'
import { Takeover } from './takeover.ts'
import { timeLeft } from './time-left.ts'

/**
 * A run in memory: one for each (store, run), shared by all of its handles.
 *
 * Commands are decided at once, ahead of the append that makes them durable; nothing of them is visible before. What fails
 * to become durable is dropped with everything decided on top of it, and is decided again or rejected.
 */
export class Resident {
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
  readonly #decider: Decider
  readonly #writer: RunWriter
  readonly #takeover: Takeover
  readonly #aftermath: Aftermath
  readonly #durable: Durable
  readonly #mailroom: Mailroom
  readonly #lookout: Lookout | undefined
  /** As the run was kept when it came into memory. */
  #kept: Beside | undefined
  #observers: readonly Observer[] = []
  #over: { readonly error: XMachinesError | undefined } | undefined
  #winding: XMachinesError | undefined
  #whenDrained: (() => void)[] = []
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
    this.telemetry = this.#measuredBy(start.telemetry)
    this.#kept = start.kept
    const durable = (this.#durable = new Durable(start))
    const aftermath = (this.#aftermath = new Aftermath(this, start.kept ?? emptyHanded))
    const mailroom = (this.#mailroom = new Mailroom(this))
    const writer = (this.#writer = new RunWriter(this, durable, aftermath, mailroom))
    const decider = (this.#decider = new Decider(this, writer, start))
    const parts = { decider, writer, durable, aftermath, mailroom }
    this.#takeover = new Takeover(this, parts, start)
    if (start.outbox !== undefined) {
      start.outbox.attach(this)
      this.watch(start.outbox)
    }
    this.system.sender = event => this.#aftermath.sendToSelf(event as RecordedEvent)
    if (start.store.shared === true && start.lease === undefined) this.#lookout = new Lookout(this)
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
  /** The run's revision as this process knows it; `undefined`: it is not created. */
  get revision(): number | undefined {
    return this.#durable.revision
  }
  get over(): { readonly error: XMachinesError | undefined } | undefined {
    return this.#over
  }
  /** Effects and commands in flight: not to be passivated. */
  get busy(): boolean {
    return this.backlog > 0 || this.#aftermath.running > 0 || this.#mailroom.busy
  }
  /** Some of its mail is still to be delivered, which may pass. */
  get owes(): boolean {
    return this.#mailroom.owes
  }
  /** Units that are decided, or wait to be. */
  get backlog(): number {
    return this.#writer.pending.length + this.#decider.waiting
  }

  watch(observer: Observer): void {
    this.#observers = [...this.#observers, observer]
  }
  unwatch(observer: Observer): void {
    this.#observers = this.#observers.filter(other => other !== observer)
  }

  #measuredBy(telemetry: Telemetry | undefined): RunTelemetry | undefined {
    if (telemetry === undefined) return undefined
    journalOf(this.store).telemetry = telemetry
    const { id, version } = this.program.record
    return new RunTelemetry(telemetry, { run: this.run, ...this.name, machine: id, version })
  }

  /** A run that is new is decided already: its creation is to be appended. */
  #begin(start: ResidentStart, first: NonNullable<ResidentStart['first']>): void {
    const nothing = (): void => {}
    const created: Command = {
      origin: { kind: 'outside' },
      events: [],
      source: first.behind,
      settle: nothing,
      reject: nothing,
      beside: first.trace && { trace: first.trace },
      // A child is created while anybody's code runs.
      ambient: start.lease === undefined && start.parent === null,
    }
    this.#writer.push(this.#decider.first(start, first, this.telemetry?.command(created) ?? created))
  }

  /** Takes a command: the one queue that everything goes through which changes the run. */
  submit(sent: Command): void {
    const command = this.telemetry?.command(sent) ?? sent
    if (this.#over !== undefined) return command.reject(this.#over.error ?? runClosed(this.run))
    if (this.#winding !== undefined) return command.reject(this.#winding)
    // What the run itself caused has nowhere else to wait; logic that tells without end is stopped before.
    if (this.backlog >= mailboxLimit && command.origin.kind === 'outside') {
      return command.reject(
        new XMachinesError(
          'MAILBOX_FULL',
          `${mailboxLimit} units wait in run ${this.run}. Await receipts, or write to \`in\`, which holds back.`,
          { details: { run: this.run } },
        ),
      )
    }
    this.#decider.take(command)
  }

  /** Asks for an item soon, also if no unit waits: the outbox has something to be written. */
  touch(): void {
    if (this.#over === undefined) this.#writer.request()
  }

  /**
   * Goes on with effects and timers of a run that was opened, unless they are held. Resolves when what can start at once has.
   *
   * @throws rejects with why the run ended meanwhile
   */
  async resume(): Promise<void> {
    if (this.held) return
    if (this.#kept !== undefined && namesOthers(this.#kept, this.environment))
      await this.#aftermath.share(this.#kept, 'nobody')
    this.goOn()
    if (this.#kept !== undefined) this.#mailroom.follow(this.#kept)
    this.#kept = undefined
    if (this.#aftermath.wanting) await this.#writer.writing()
    if (this.#over?.error !== undefined) throw this.#over.error
  }

  /** Runs what the state holds as pending, and fires what fell due. */
  goOn(): void {
    this.#aftermath.follow(this.state)
    this.#aftermath.catchUp()
  }

  /** The store has something for the run: it is looked for, unless an append is about to find that out. */
  notice(): void {
    if (this.#over !== undefined || this.held) return
    this.#takeover.beBehind()
    this.catchUp()
  }

  /** Lifts the hold of a fork or an import, for good. Resolves as {@link resume}. */
  async release(): Promise<void> {
    if (!this.held || this.#over !== undefined) return
    this.#durable.release()
    // Once that is durable.
    this.#takeover.beBehind()
    this.#writer.request()
    await this.resume()
  }

  /** The run was in memory already when this was made. */
  beGuest(): void {
    this.#takeover.beGuest()
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
    const left = timeLeft(this.environment, timeout)
    this.#mailroom.close()
    await this.#aftermath.close(timeout)
    await this.#checked(left())
    await this.drained()
    await this.#mailroom.delivered(left())
    await this.drained()
    while (this.#over === undefined && this.#aftermath.wanting) await this.#writer.writing()
    if (this.#over !== undefined) return
    this.#end(undefined)
    await this.#durable.saveSnapshot()
  }

  /** Waits no longer than that for the schema of an event: code of the author's, which may never answer. What waits is rejected then. */
  async #checked(timeout: number): Promise<void> {
    if (!this.#decider.checking) return
    const late = this.environment.setTimeout(() => {
      if (!this.#decider.checking) return
      for (const { reject } of this.#decider.clear()) reject(runClosed(this.run))
      this.tellDrained()
    }, timeout)
    await this.drained()
    this.environment.clearTimeout(late)
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

  // What its parts tell.

  /** What is decided must not be appended now. */
  get frozen(): boolean {
    return this.#decider.frozen
  }

  /** What had to be awaited is there. */
  unblocked(): void {
    this.#writer.requestWhatWaits()
    this.catchUp()
    this.tellDrained()
  }

  /** An append made these durable. */
  appended(settled: readonly Pending[], attempted: boolean): void {
    this.#takeover.wasFirst()
    this.tellCreated()
    this.adopt(settled, attempted)
  }

  /** Another writer was first. */
  conflicted(): void {
    this.#takeover.wasSecond()
  }

  /** What is pending is decided again, from what is durable. */
  decideAgain(): void {
    this.#takeover.begin()
  }

  /** Looks for what the store has for the run, unless an append is about to find that out. */
  catchUp(): void {
    this.#takeover.catchUp()
  }

  /** These are durable, or need not be: shows them, answers, starts what they left to be done. */
  adopt(settled: readonly Pending[], attempted = false): void {
    const adopted = this.#durable.adopt(settled)
    this.show(adopted)
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
    this.tellDrained()
  }

  /** Shows units that are durable. */
  show(adopted: readonly AdoptedUnit[]): void {
    if (adopted.length > 0) for (const observer of this.#observers) observer.adopted(adopted)
  }

  #end(error: XMachinesError | undefined): void {
    this.#over = { error }
    this.telemetry?.end()
    this.#lookout?.end()
    const rejected = [...this.#writer.end().map(({ command }) => command), ...this.#decider.clear()]
    this.#aftermath.stop(error)
    this.#mailroom.stop()
    this.#writer.tellWritten()
    for (const command of rejected) command.reject(error ?? runClosed(this.run))
    for (const { reject } of this.#whenCreated.splice(0)) reject(error ?? runClosed(this.run))
    for (const observer of this.#observers) observer.ended(error)
    this.tellDrained()
  }

  /** The creation is durable. */
  tellCreated(): void {
    for (const { resolve } of this.#whenCreated.splice(0)) resolve()
  }

  /** Whoever waits for that is told, if nothing is in flight or waits. */
  tellDrained(): void {
    if (this.#whenDrained.length === 0 || (this.backlog > 0 && this.#over === undefined)) return
    for (const resolve of this.#whenDrained.splice(0)) resolve()
  }

  /** Tells observers of something that failed beside the history. */
  report(seq: number, error: XMachinesError): void {
    for (const observer of this.#observers) observer.refused(seq, [], error)
  }
}
