import type { Beside } from '../contracts/store.ts'
import type { AdoptedUnit, Pending } from './command.ts'
import { Inbox } from './inbox.ts'
import type { BesideDraft } from './outbox.ts'
import { Postman } from './postman.ts'
import type { Resident } from './resident.ts'
import { isReadersError } from './run-errors.ts'

/** What an item says of mail: nothing, something, or that some is left to be delivered or taken at once. */
export type MailSaid = 'nothing' | 'something' | 'due'

/** The mail of a run, both ways. Most runs never have any: what handles it is made with the first one. */
export class Mailroom {
  readonly #resident: Resident
  #inbox: Inbox | undefined
  #postman: Postman | undefined
  #closed = false
  #forgone = false
  #over = false

  constructor(resident: Resident) {
    this.#resident = resident
  }

  /** Something is to be written. */
  get dirty(): boolean {
    return this.#postman?.dirty === true
  }

  /** Something is on its way: not to be passivated. */
  get busy(): boolean {
    return this.#postman?.busy === true
  }

  /** Some is still to be delivered, which may pass. */
  get owes(): boolean {
    return !this.#forgone && this.#postman?.owes === true
  }

  /** This is what the store has now. Gives whether something came in. */
  follow(kept: Beside): boolean {
    const { mailing, mailed, returns, waiting } = kept
    if (this.#postman !== undefined || mailing.length + returns.length > 0 || mailed !== null) this.#post().follow(kept)
    if (this.#forgone || (this.#inbox === undefined && waiting === 0)) return false
    return this.#box().follow(kept)
  }

  /** These units became durable. */
  send(adopted: readonly AdoptedUnit[]): void {
    if (this.#postman === undefined && !adopted.some(({ unit }) => unit.mail !== undefined)) return
    this.#post().send(adopted.map(({ unit }) => unit))
  }

  /** Adds to an item with `slice` what it is to say. */
  enter(slice: readonly Pending[], held: boolean, beside: BesideDraft): MailSaid {
    const sends = !held && slice.some(({ unit }) => unit?.mail !== undefined)
    if (!sends && this.#inbox === undefined && this.#postman === undefined) return 'nothing'
    this.#inbox?.enter(slice, beside)
    const posts = sends || beside.returns !== undefined || this.#postman !== undefined
    const left = posts && this.#post().enter(sends ? slice.flatMap(({ unit }) => unit ?? []) : [], beside)
    if (!held && (left || this.#inbox?.holdsMoreThan(slice) === true)) return 'due'
    const { taken, mailed, returned } = beside
    return left || taken !== undefined || mailed !== undefined || returned !== undefined ? 'something' : 'nothing'
  }

  /** The item is durable, or nothing of it is. */
  entered(durable: boolean): void {
    this.#postman?.entered(durable)
  }

  /** Takes nothing more: the run goes out of memory. */
  close(): void {
    this.#closed = true
    this.#inbox?.close()
  }

  /** Resolves when everything is delivered and written, or after `timeout`: what is left is in the store. */
  async delivered(timeout: number): Promise<void> {
    await this.#postman?.close(timeout)
    this.#over = true
  }

  /** Takes and delivers nothing, nor what was submitted: this process may not write. */
  forgo(): void {
    this.close()
    this.#forgone = true
    this.#inbox?.forgo()
    this.stop()
  }

  stop(): void {
    this.#over = true
    this.#postman?.stop()
  }

  #box(): Inbox {
    const resident = this.#resident
    if (this.#inbox !== undefined) return this.#inbox
    this.#inbox = new Inbox({
      definition: resident.program.definition,
      name: resident.name,
      submit: command => resident.submit(command),
      lookForMore: () => resident.notice(),
    })
    if (this.#closed) this.#inbox.close()
    return this.#inbox
  }

  #post(): Postman {
    if (this.#postman !== undefined) return this.#postman
    const resident = this.#resident
    this.#postman = new Postman({
      run: resident.run,
      store: resident.store,
      environment: resident.environment,
      program: resident.program,
      time: resident.time,
      parent: resident.parent,
      midwife: resident.midwife,
      telemetry: resident.telemetry,
      touch: () => resident.touch(),
      failed: error => isReadersError(error) || resident.report(resident.seq, error),
    })
    if (this.#over) this.#postman.stop()
    return this.#postman
  }
}
