import type { JsonObject, RecordedEvent } from '../contracts/json.ts'
import type { Beside, Mail, MailKey } from '../contracts/store.ts'
import type { Origin } from '../contracts/unit.ts'
import { defaultEventLimits } from '../json/event-copy.ts'
import type { MachineDefinition } from '../machine/definition.ts'
import { undelivered } from '../machine/tell.ts'
import { CheckedCommand } from './checked-command.ts'
import type { Command, Pending } from './command.ts'
import type { BesideDraft } from './outbox.ts'

/** What an inbox needs of its run. */
export interface InboxHome {
  readonly definition: MachineDefinition
  /** The run as its senders know it. */
  readonly name: { readonly namespace: string; readonly key: string }
  submit(command: Command): void
  /** The store has more mail than was seen. */
  lookForMore(): void
}

/** Takes the mail of a run: each becomes a unit, or goes back, and leaves the store's inbox in the item that says so. */
export class Inbox {
  readonly #home: InboxHome
  /** What the store has, as far as it is known and not taken, in order. */
  #mail = new Map<string, Mail>()
  /** How much it has besides. */
  #unseen = 0
  /** On their way to become units. */
  readonly #submitted = new Map<string, MailCommand>()
  #closed = false
  #forgone = false

  constructor(home: InboxHome) {
    this.#home = home
  }

  /** Whether the store has mail that is not taken by an item with `slice`. */
  holdsMoreThan(slice: readonly Pending[]): boolean {
    if (this.#unseen > 0) return true
    return this.#mail.size > slice.reduce((count, { command }) => count + (command.mail === undefined ? 0 : 1), 0)
  }

  /** This is what the store has now. Gives whether something came in. */
  follow({ inbox, waiting }: Pick<Beside, 'inbox' | 'waiting'>): boolean {
    if (this.#forgone) return false
    const before = this.#mail
    this.#unseen = waiting - inbox.length
    // Also where nothing is taken any more: the next item must not say that nothing waits.
    this.#mail = new Map()
    let isMore = false
    for (const mail of inbox) {
      const name = nameOf(mail)
      this.#mail.set(name, mail)
      isMore ||= !before.has(name)
    }
    // Another process may have taken some.
    for (const [name, command] of this.#submitted) command.withdrawn = !this.#mail.has(name)
    this.#submitNew()
    return isMore
  }

  /** Takes nothing more: the run goes out of memory. */
  close(): void {
    this.#closed = true
  }

  /** Takes nothing, nor what was submitted: this process may not write. */
  forgo(): void {
    this.close()
    this.#forgone = true
    this.#unseen = 0
    this.#mail.clear()
    for (const command of this.#submitted.values()) command.withdrawn = true
  }

  /** What an item with `slice` says: what it takes, and what of it goes back to its sender. */
  enter(slice: readonly Pending[], beside: BesideDraft): void {
    const taken: MailKey[] = []
    const returns: Mail[] = []
    for (const pending of slice) {
      const { mail } = pending.command
      if (mail === undefined) continue
      taken.push(keyOf(mail))
      // An answer is never answered, nor is anything else that the runtime wrote.
      if (pending.kind !== 'refused' || isWrittenByRuntime(mail)) continue
      const event = undelivered({ to: this.#home.name, event: mail.event as RecordedEvent }, pending.error)
      returns.push({ ...keyOf(mail), receiver: mail.sender, failure: true, event })
    }
    if (taken.length > 0) beside.taken = taken
    if (returns.length > 0) beside.returns = returns
  }

  /** Whatever came with the last look: a long inbox is seen by pages. */
  #submitNew(): void {
    if (this.#closed) return
    for (const [name, mail] of this.#mail) {
      if (this.#submitted.has(name)) continue
      const command = new MailCommand(this, name, mail, this.#home.definition)
      this.#submitted.set(name, command)
      this.#home.submit(command)
    }
  }

  /** It is a unit, or went back, or was withdrawn. */
  settled(name: string): void {
    this.#submitted.delete(name)
    this.#mail.delete(name)
    if (this.#mail.size === 0 && this.#unseen > 0 && !this.#closed) this.#home.lookForMore()
  }
}

/** A mail on its way to become a unit: checked at the border, as an event from outside. */
class MailCommand extends CheckedCommand implements Command {
  readonly origin: Origin
  readonly mail: Mail
  readonly beside: Command['beside']
  withdrawn = false
  readonly #inbox: Inbox
  readonly #name: string

  constructor(inbox: Inbox, name: string, mail: Mail, definition: MachineDefinition) {
    super()
    const { event, trace } = mail
    this.#inbox = inbox
    this.#name = name
    this.mail = mail
    this.beside = trace && { trace }
    this.origin = originOf(mail)
    if (!isWrittenByRuntime(mail)) this.check(definition, defaultEventLimits, event)
    else if (this.origin.kind !== 'stop') this.events = [event as RecordedEvent]
  }

  settle(): void {
    this.#inbox.settled(this.#name)
  }

  /** It stays in the inbox: whoever has the run in memory next takes it. */
  reject(): void {}
}

/** What the machine's policies and schemas do not govern. No author can write it: such types are reserved, also in `tell`. */
function isWrittenByRuntime({ failure, event }: Mail): boolean {
  return failure === true || String(event.type).startsWith('xmachines.')
}

function originOf({ sender, seq, index, failure, event }: Mail): Origin {
  const { type, reason } = event as JsonObject & { readonly reason?: string }
  if (failure === true) return { kind: 'undelivered', run: sender, seq, index }
  if (type === 'xmachines.done.run' || type === 'xmachines.error.run') return { kind: 'child', run: sender }
  if (type === 'xmachines.stop') return { kind: 'stop', reason: String(reason) }
  return { kind: 'mail', run: sender, seq, index }
}

/** The key of a mail, without the mail. */
export function keyOf({ sender, seq, index, failure }: MailKey): MailKey {
  return failure === true ? { sender, seq, index, failure } : { sender, seq, index }
}

/** A mail's key as one string. */
export function nameOf({ sender, seq, index, failure }: MailKey): string {
  return `${sender}/${seq}/${index}${failure === true ? '!' : ''}`
}
