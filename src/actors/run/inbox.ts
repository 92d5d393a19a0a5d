import type { RecordedEvent } from '../contracts/json.ts'
import type { Mail, MailKey } from '../contracts/store.ts'
import type { Origin } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import { defaultEventLimits } from '../json/event-copy.ts'
import type { MachineDefinition } from '../machine/definition.ts'
import { undelivered } from '../machine/tell.ts'
import { checkEvents, refusalOf } from './border.ts'
import type { Command, Pending } from './command.ts'
import type { BesideDraft } from './outbox.ts'

/** What an inbox needs of its run. */
export interface InboxHome {
  readonly definition: MachineDefinition
  /** The run as its senders know it. */
  readonly name: { readonly namespace: string; readonly key: string }
  submit(command: Command): void
}

/** Mails that are decided, or wait to be, at a time: an inbox may be long. */
const atOnce = 256

/** Takes the mail of a run: each becomes a unit, or goes back, and leaves the store's inbox in the item that says so. */
export class Inbox {
  readonly #home: InboxHome
  /** What the store has, as far as it is known and not taken, in order. */
  #mail = new Map<string, Mail>()
  readonly #submitted = new Set<string>()
  #closed = false
  #forgone = false

  constructor(home: InboxHome) {
    this.#home = home
  }

  /** Whether the store has mail that is not taken by an item with `slice`. */
  holdsMoreThan(slice: readonly Pending[]): boolean {
    return this.#mail.size > slice.reduce((count, { command }) => count + (command.mail === undefined ? 0 : 1), 0)
  }

  /** Whether the mail still waits: another process may have taken it. */
  holds(mail: Mail): boolean {
    return this.#mail.has(nameOf(mail))
  }

  /** This is what the store has now. Gives whether something came in. */
  follow(inbox: readonly Mail[]): boolean {
    if (this.#forgone) return false
    const before = this.#mail
    const found = inbox.map(mail => [nameOf(mail), mail] as const)
    // Also where nothing is taken any more: the next item must not say that nothing waits.
    this.#mail = new Map(found)
    this.#submitMore()
    return found.some(([name]) => !before.has(name))
  }

  /** Takes nothing more: the run goes out of memory. */
  close(): void {
    this.#closed = true
  }

  /** Takes nothing, nor what was submitted: this process may not write. */
  forgo(): void {
    this.close()
    this.#forgone = true
    this.#mail.clear()
  }

  /** What an item with `slice` says: what it takes, and what of it goes back to its sender. */
  enter(slice: readonly Pending[], beside: BesideDraft): void {
    const taken: MailKey[] = []
    const returns: Mail[] = []
    for (const { command, settlement } of slice) {
      const { mail } = command
      if (mail === undefined) continue
      taken.push(keyOf(mail))
      // An answer is never answered.
      if (settlement.kind !== 'refused' || mail.failure === true) continue
      const event = undelivered({ to: this.#home.name, event: mail.event as RecordedEvent }, settlement.error)
      returns.push({ ...keyOf(mail), receiver: mail.sender, failure: true, event })
    }
    if (taken.length > 0) beside.taken = taken
    if (returns.length > 0) beside.returns = returns
  }

  #submitMore(): void {
    if (this.#closed || this.#submitted.size >= atOnce) return
    for (const [name, mail] of this.#mail) {
      if (this.#submitted.size >= atOnce) return
      if (this.#submitted.has(name)) continue
      this.#submitted.add(name)
      this.#home.submit(
        new MailCommand(mail, this.#home.definition, () => {
          this.#submitted.delete(name)
          this.#mail.delete(name)
          this.#submitMore()
        }),
      )
    }
  }
}

/** A mail on its way to become a unit: checked at the border, as an event from outside. */
class MailCommand implements Command {
  readonly origin: Origin
  readonly mail: Mail
  readonly settle: () => void
  events: readonly RecordedEvent[]
  checking: Promise<void> | undefined
  refused: XMachinesError | undefined

  constructor(mail: Mail, definition: MachineDefinition, settle: () => void) {
    const { sender, seq, index, failure, event } = mail
    this.mail = mail
    this.settle = settle
    this.origin = { kind: failure === true ? 'undelivered' : 'mail', run: sender, seq, index }
    this.events = [event as RecordedEvent]
    if (failure === true) return
    try {
      const checked = checkEvents(definition, defaultEventLimits, event)
      if (checked instanceof Promise) this.checking = this.#check(checked)
      else this.events = checked
    } catch (thrown) {
      this.refused = refusalOf(thrown)
    }
  }

  /** It stays in the inbox: whoever has the run in memory next takes it. */
  reject(): void {}

  async #check(checked: Promise<readonly RecordedEvent[]>): Promise<void> {
    try {
      this.events = await checked
    } catch (thrown) {
      this.refused = refusalOf(thrown)
    }
    this.checking = undefined
  }
}

/** The key of a mail, without the mail. */
export function keyOf({ sender, seq, index, failure }: MailKey): MailKey {
  return failure === true ? { sender, seq, index, failure } : { sender, seq, index }
}

/** A mail's key as one string. */
export function nameOf({ sender, seq, index, failure }: MailKey): string {
  return `${sender}/${seq}/${index}${failure === true ? '!' : ''}`
}
