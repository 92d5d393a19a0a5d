import type { AppendItem, AppendOutcome } from '../contracts/store.ts'
import type { NewUnit } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import type { Aftermath } from './aftermath.ts'
import { needsAppend, type Pending } from './command.ts'
import type { Durable } from './durable.ts'
import { type Journal, journalOf, type Writer } from './journal.ts'
import type { Mailroom } from './mailroom.ts'
import type { Resident } from './resident.ts'
import { isReadersError, leaseHeld, leaseLost, misplaced, runExists } from './run-errors.ts'

/** Commands of one append item. */
const itemLimit = 1024

/** Makes durable what a run has decided: one item at a time, through the journal of its store. */
export class RunWriter implements Writer {
  requested = false
  readonly run: string
  readonly #resident: Resident
  readonly #journal: Journal
  readonly #durable: Durable
  readonly #aftermath: Aftermath
  readonly #mailroom: Mailroom
  /** Decided, oldest first; the first {@link #inFlight} are with the store. */
  #pending: Pending[] = []
  #inFlight = 0
  /** An item is with the store, with units or without: there is never a second one. */
  #appending = false
  /** Another one was asked for meanwhile. */
  #asked = false
  /** What is with the store is about attempts and mail only, without a lease: who may not write leaves them alone. */
  #optional = false
  /** Wait for the next item to be written, or not. */
  #whenWritten: (() => void)[] = []

  constructor(resident: Resident, durable: Durable, aftermath: Aftermath, mailroom: Mailroom) {
    this.run = resident.run
    this.#resident = resident
    this.#journal = journalOf(resident.store)
    this.#durable = durable
    this.#aftermath = aftermath
    this.#mailroom = mailroom
  }

  /** Decided, and not durable. */
  get pending(): readonly Pending[] {
    return this.#pending
  }
  /** Nothing is with the store, or is to be. */
  get idle(): boolean {
    return !this.#appending && this.#pending.length === 0
  }

  /** It is decided: it is appended next, unless there is nothing to append. */
  push(pending: Pending): void {
    if (this.#pending.length === 0 && !needsAppend(pending)) return this.#resident.adopt([pending])
    // Most runs have one at a time, and an array that grows has room for many.
    if (this.#pending.length === 0) this.#pending = [pending]
    else this.#pending.push(pending)
    if (this.#inFlight === 0) this.request()
  }

  /** Asks for an item soon, also if no unit waits. */
  request(): void {
    this.#journal.request(this)
  }

  /** Asks for an item if something is to be written. */
  requestWhatWaits(): void {
    if (
      this.#pending.length > 0 ||
      this.#resident.outbox?.dirty === true ||
      this.#aftermath.wanting ||
      this.#mailroom.dirty ||
      this.#durable.released
    )
      this.request()
  }

  /** Resolves when the next item is written, or is known not to be. */
  writing(): Promise<void> {
    this.request()
    return new Promise(resolve => this.#whenWritten.push(resolve))
  }

  /** Resolves when all that is decided is durable, or will not be. */
  async caughtUp(): Promise<void> {
    while (this.#pending.length > 0) await this.writing()
  }

  /** Nobody waits for the next item any more. */
  tellWritten(): void {
    for (const resolve of this.#whenWritten.splice(0)) resolve()
  }

  /** The run ends here. Gives what was pending. */
  end(): readonly Pending[] {
    if (this.#appending) this.#journal.leaves(this.run)
    return this.clear()
  }

  /** Nothing is pending any more. Gives what was. */
  clear(): readonly Pending[] {
    return this.#take(this.#pending.length)
  }

  // Writer: what the journal asks for, and its answers.

  takeItem(): AppendItem | undefined {
    const resident = this.#resident
    if (this.#appending) this.#asked = true
    if (resident.over !== undefined || this.#appending || resident.frozen) return undefined
    const slice = this.#pending.length > itemLimit ? this.#pending.slice(0, itemLimit) : this.#pending
    const item = this.#durable.item(slice, this.#aftermath, this.#mailroom)
    if (item !== undefined) {
      this.#inFlight = slice.length
      this.#appending = true
      this.#optional =
        slice.every(({ command }) => command.mail !== undefined) &&
        resident.lease === undefined &&
        resident.outbox === undefined &&
        item.beside?.held === undefined
      return item
    }
    resident.adopt(this.#take(slice.length))
    if (this.#pending.length > 0) this.request()
    return undefined
  }

  settled(outcome: AppendOutcome): void {
    const resident = this.#resident
    const { run, lease } = resident
    const count = this.#inFlight
    this.#inFlight = 0
    this.#appending = false
    resident.outbox?.entered(outcome.status)
    const attempted = this.#aftermath.settled(outcome.status === 'appended')
    this.#mailroom.entered(outcome.status === 'appended')
    const { feed } = this.#journal
    if (resident.over !== undefined) {
      if (outcome.status === 'appended' && count > 0) feed.lose(run)
      return
    }
    switch (outcome.status) {
      case 'appended': {
        this.#durable.written(outcome.revision)
        const settled = this.#take(count)
        // Before anybody is answered.
        if (feed.isRead) feed.tell(run, resident.name, unitsOf(settled))
        resident.appended(settled, attempted)
        this.tellWritten()
        this.#goOn()
        return resident.catchUp()
      }
      case 'conflict':
        return resident.conflicted()
      case 'fenced':
        if (this.#optional) return this.#forgo()
        return resident.end(lease === undefined ? leaseHeld(run, outcome) : leaseLost(run, lease, outcome))
      case 'pinned':
        return resident.end(runExists(run, outcome.run))
      case 'misplaced':
        return resident.end(misplaced(run, lease, outcome.partition))
    }
  }

  failed(error: XMachinesError): void {
    if (error.code === 'STORE_OUTCOME_UNKNOWN') this.#journal.doubts(this.run)
    this.#inFlight = 0
    this.#appending = false
    this.#aftermath.settled(false)
    this.#mailroom.entered(false)
    if (this.#resident.over !== undefined) return
    if (this.#optional && isReadersError(error)) this.#forgo()
    else this.#resident.end(error)
  }

  /** Whoever only reads a run starts nothing of it. */
  #forgo(): void {
    this.#aftermath.forgo()
    this.#mailroom.forgo()
    this.tellWritten()
    // What was decided on top of mail is decided without it.
    if (this.#pending.length > 0) this.#resident.decideAgain()
    else this.#goOn()
  }

  #goOn(): void {
    if (this.#pending.length > 0 || this.#asked) this.request()
    this.#asked = false
  }

  /** Takes the first ones out of what is pending. */
  #take(count: number): readonly Pending[] {
    if (count < this.#pending.length) return this.#pending.splice(0, count)
    const all = this.#pending
    this.#pending = []
    return all
  }
}

function unitsOf(settled: readonly Pending[]): readonly NewUnit[] {
  return settled.flatMap(({ unit }) => unit ?? [])
}
