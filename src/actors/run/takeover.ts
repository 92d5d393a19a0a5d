import type { Beside } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import type { Aftermath } from './aftermath.ts'
import type { Decider } from './decider.ts'
import type { Durable } from './durable.ts'
import { journalOf } from './journal.ts'
import type { Mailroom } from './mailroom.ts'
import type { Resident } from './resident.ts'
import type { ResidentStart } from './resident-start.ts'
import { runExists, standsParked } from './run-errors.ts'
import type { RunWriter } from './run-writer.ts'

/** How many times in a row another writer may be first. */
const conflictLimit = 64

/** What a takeover goes through. */
export interface TakeoverParts {
  readonly decider: Decider
  readonly writer: RunWriter
  readonly durable: Durable
  readonly aftermath: Aftermath
  readonly mailroom: Mailroom
}

/**
 * Goes to where a run stands in the store, when somebody else may have written to it: their units are taken over, and ours are
 * decided again on top of them.
 */
export class Takeover {
  readonly #resident: Resident
  readonly #parts: TakeoverParts
  /** The store has something for the run that is not known here: mail, or what a dead process left behind. */
  #behind = false
  /** The run is in this process twice: what is pending is the other one's. */
  #guest = false
  /** A run that is there already ends this one. */
  readonly #exclusive: boolean
  /** What this process left when the run was in memory before is nobody's, until an append shows that nothing is to come of it. */
  #returns: boolean
  #conflicts = 0

  constructor(resident: Resident, parts: TakeoverParts, { first, returns = false }: ResidentStart) {
    this.#resident = resident
    this.#exclusive = first?.exclusive === true
    this.#returns = returns
    this.#parts = parts
  }

  /** The run was in memory already when this was made. */
  beGuest(): void {
    this.#guest = true
  }

  /** The store has something new: an append finds that out, or {@link catchUp}. */
  beBehind(): void {
    this.#behind = true
  }

  /** Looks for what the store has, unless an append is about to find that out. */
  catchUp(): void {
    const { decider, writer } = this.#parts
    if (this.#behind && this.#resident.over === undefined && writer.idle && !decider.blocked) this.begin()
  }

  /** An append was the first. */
  wasFirst(): void {
    this.#conflicts = 0
    this.#returns = false
  }

  /** An append found that another writer was. */
  wasSecond(): void {
    if (++this.#conflicts <= conflictLimit) return this.begin()
    const { run } = this.#resident
    this.#resident.end(
      new XMachinesError(
        'RUN_CONFLICT',
        `Another writer of run ${run} was first ${conflictLimit} times. Send the event again.`,
        { details: { run } },
      ),
    )
  }

  /** Goes there. */
  begin(): void {
    const { decider, writer } = this.#parts
    this.#behind = false
    const { created, run } = this.#resident
    if (!created && this.#exclusive) return this.#resident.end(runExists(run, run))
    const pending = writer.clear()
    // A creation that found the run there: it is the same one, made by somebody else.
    const creation = created ? undefined : pending[0]
    const again = (creation === undefined ? pending : pending.slice(1)).map(({ command }) => command)
    decider.block(again, async () => {
      const { adopted, received, kept } = await this.#parts.durable.takeOver(creation)
      if (kept.parked !== null) return this.#resident.end(standsParked(run, kept.parked))
      this.#resident.tellCreated()
      decider.reset(kept)
      this.#parts.aftermath.overhear(received)
      await this.#goOn(kept, creation !== undefined, adopted.length > 0)
      writer.tellWritten()
      if (adopted.length > 0) journalOf(this.#resident.store).feed.lose(run)
      this.#resident.show(adopted)
    })
  }

  /** @param found the run was there already @param foreign somebody else wrote units */
  async #goOn(kept: Beside, found: boolean, foreign: boolean): Promise<void> {
    const { aftermath, mailroom, durable } = this.#parts
    const { held } = this.#resident
    const mine = !this.#guest && !held && (!kept.held || durable.released)
    // Who sends mail is not in the way, however much.
    if (mine && mailroom.follow(kept) && !foreign) this.#conflicts = 0
    // A run that was there already is gone on with, as if it had been opened.
    // So is what nobody has in flight (any more).
    const own = mine && (found || this.#returns) ? 'nobody' : 'ours'
    const goesOn = await aftermath.share(kept, own, mine)
    if (mine && (found || goesOn)) this.#resident.goOn()
  }
}
