import type { AppendItem, AppendOutcome, Parked, Refusal, RunHead, Store } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import { type Journal, journalOf, type Writer } from '../run/journal.ts'
import type { BesideDraft } from '../run/outbox.ts'
import type { Leased } from '../run/resident-start.ts'
import { leaseLost, standsParked } from '../run/run-errors.ts'
import type { Outbox, OutboxWriter } from './outbox.ts'
import type { RecordCommand } from './record-command.ts'

/** What a parked run tells. */
export interface ParkedRunHome {
  /** It stands parked, durably, because of this supervisor. */
  parked(): void
  /** It is over: the lease, the store, or somebody who unparked it. */
  ended(error: XMachinesError): void
}

/** A record that waits, and what is kept of it; nothing is kept of a duplicate. */
interface Waiting {
  readonly command: RecordCommand
  readonly refusal: Refusal | undefined
}

/**
 * Stands in for a run that cannot be brought into memory: nothing is decided, its records are refused as `RUN_PARKED`, in
 * order, as items without units.
 */
export class ParkedRun implements Writer, OutboxWriter {
  requested = false
  readonly run: string
  readonly #store: Store
  readonly #journal: Journal
  readonly #lease: Leased
  readonly #outbox: Outbox
  readonly #home: ParkedRunHome
  readonly #error: XMachinesError
  readonly #taken = new Map<string, bigint | number>()
  #revision: number
  readonly #seq: number
  /** Still to be written. */
  #toPark: Parked | undefined
  #pending: Waiting[] = []
  #inFlight = 0
  #over: XMachinesError | undefined

  /** @param park why it is parked now; `undefined`: it stands so in the store */
  constructor(
    store: Store,
    head: RunHead,
    lease: Leased,
    outbox: Outbox,
    park: Parked | undefined,
    home: ParkedRunHome,
  ) {
    this.run = head.run
    this.#store = store
    this.#journal = journalOf(store)
    this.#lease = lease
    this.#outbox = outbox
    this.#home = home
    this.#seq = head.seq
    this.#revision = head.revision
    this.#toPark = park
    for (const [id, position] of Object.entries(head.beside.sources)) this.#taken.set(id, position)
    this.#error = standsParked(head.run, (park ?? head.beside.parked)!)
    outbox.attach(this)
    if (park !== undefined) this.touch()
  }

  submit(command: RecordCommand): void {
    if (this.#over !== undefined) return command.reject(this.#over)
    const { id, position } = command.source
    const taken = this.#taken.get(id)
    if (taken !== undefined && position <= taken) return this.#push({ command, refusal: undefined })
    const refusal = command.refusal(this.#error)
    if (refusal === null || refusal === undefined) return command.settleRefused()
    this.#taken.set(id, position)
    this.#push({ command, refusal })
  }

  touch(): void {
    if (this.#over === undefined) this.#journal.request(this)
  }

  /** Looks whether somebody has unparked it, who cannot tell this process. */
  async look(): Promise<void> {
    // A store that does not answer is asked again by whoever asked for this.
    const head = await this.#store.head(this.run).catch(() => undefined)
    if (head !== undefined && head.revision > this.#revision && head.beside.parked === null) this.end(changed(this.run))
  }

  end(error: XMachinesError): void {
    if (this.#over !== undefined) return
    this.#over = error
    this.#outbox.ended()
    for (const { command } of this.#pending.splice(0)) command.reject(error)
    this.#home.ended(error)
  }

  // Writer

  takeItem(): AppendItem | undefined {
    if (this.#over !== undefined || this.#inFlight > 0) return undefined
    const refused = this.#pending.flatMap(({ refusal }) => refusal ?? [])
    if (refused.length === 0 && this.#toPark === undefined && !this.#outbox.dirty) {
      this.#settle(this.#pending.splice(0))
      return undefined
    }
    this.#inFlight = this.#pending.length
    const beside: BesideDraft = {}
    if (refused.length > 0) beside.refused = refused
    if (this.#toPark !== undefined) beside.parked = this.#toPark
    this.#outbox.enter([], refused.length, beside)
    return {
      run: this.run,
      expected: { seq: this.#seq, revision: this.#revision },
      units: [],
      lease: this.#lease,
      beside,
      // Its timers, mail and outcomes wait; what it has to send does not.
      due: this.#outbox.due ?? null,
    }
  }

  settled(outcome: AppendOutcome): void {
    const count = this.#inFlight
    this.#inFlight = 0
    this.#outbox.entered(outcome.status)
    if (this.#over !== undefined) return
    if (outcome.status === 'fenced') return this.end(leaseLost(this.run, this.#lease, outcome))
    // Unparked, or written to by somebody else: it is looked at anew.
    if (outcome.status !== 'appended') return this.end(changed(this.run))
    this.#revision = outcome.revision
    const parks = this.#toPark !== undefined
    this.#toPark = undefined
    if (parks) this.#home.parked()
    this.#settle(this.#pending.splice(0, count))
    if (this.#pending.length > 0) this.touch()
  }

  failed(error: XMachinesError): void {
    this.#inFlight = 0
    this.end(error)
  }

  #push(waiting: Waiting): void {
    this.#pending.push(waiting)
    this.touch()
  }

  #settle(settled: readonly Waiting[]): void {
    for (const { command, refusal } of settled)
      if (refusal === undefined) command.settleDuplicate()
      else command.settleRefused()
  }
}

function changed(run: string): XMachinesError {
  return new XMachinesError('RUN_CLOSED', `Run ${run} changed while it stood parked. It is looked at again.`, {
    details: { run },
  })
}
