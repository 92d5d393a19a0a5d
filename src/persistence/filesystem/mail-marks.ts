import type { Mail, MailKey, OutputMark } from '../../actors/contracts/store.ts'

/** The highest (seq, index) of a sender. */
type Mark = readonly [seq: number, index: number]

/** How far a sender knows its mail to be delivered; `undefined`: the store has it not. */
export type MailedOf = (sender: string) => OutputMark | null | undefined

/** What is kept of {@link MailMarks} in a checkpoint. */
export interface WrittenMarks {
  readonly last: number
  readonly marks: Readonly<Record<string, Mark>>
  readonly forgets?: boolean
}

/** Senders that are remembered before those are forgotten that will not send again what they sent. */
const fewest = 256

/**
 * Which mails a run was ever given. Mails of one sender come in order, so the last of each sender answers almost always. A sender
 * that knows its mail to be delivered is forgotten, so that a run that hears once of each of a million is no burden.
 *
 * A value, but for whoever made it: one flush gives a run many mails, and copies once.
 */
export class MailMarks {
  /** Place of the run's last mail line; each names the one before. */
  readonly last: number
  readonly #marks: Map<string, Mark>
  readonly #forgets: boolean
  readonly #limit: number
  readonly #owner: object

  private constructor(last: number, marks: Map<string, Mark>, forgets: boolean, limit: number, owner: object) {
    this.last = last
    this.#marks = marks
    this.#forgets = forgets
    this.#limit = limit
    this.#owner = owner
  }

  /** Of a run that was never given any. */
  static readonly none = new MailMarks(0, new Map(), false, fewest, {})

  static of({ last, marks, forgets = false }: WrittenMarks): MailMarks {
    const entries = new Map(Object.entries(marks))
    return new MailMarks(last, entries, forgets, Math.max(fewest, 2 * entries.size), {})
  }

  /** The marks after a mail, whose line stands at `last`. @param owner may change in place what it made: nobody else has it */
  after(mail: Mail, last: number, mailedOf: MailedOf, owner: object): MailMarks {
    const entries = this.#owner === owner ? this.#marks : new Map(this.#marks)
    const name = markName(mail)
    if (isAfter(mail, entries.get(name))) entries.set(name, [mail.seq, mail.index])
    if (entries.size <= this.#limit) return new MailMarks(last, entries, this.#forgets, this.#limit, owner)
    for (const [sender, [seq, index]] of entries) {
      const mailed = mailedOf(sender)
      if (mailed && isBefore({ seq, index }, mailed)) entries.delete(sender)
    }
    return new MailMarks(last, entries, true, Math.max(fewest, 2 * entries.size), owner)
  }

  /** Whether a mail comes after all that the run was ever given by its sender: then it is not known. */
  isNew(mail: MailKey, mailedOf: MailedOf): boolean {
    const mark = this.#marks.get(markName(mail))
    if (mark !== undefined || !this.#forgets || mail.failure === true) return isAfter(mail, mark)
    const mailed = mailedOf(mail.sender)
    return !mailed || !isBefore(mail, mailed)
  }

  toJSON(): WrittenMarks {
    const marks = Object.fromEntries(this.#marks)
    return { last: this.last, marks, ...(this.#forgets && { forgets: true }) }
  }
}

function isAfter({ seq, index }: OutputMark, mark: Mark | undefined): boolean {
  return mark === undefined || seq > mark[0] || (seq === mark[0] && index > mark[1])
}

function isBefore(a: OutputMark, b: OutputMark): boolean {
  return a.seq < b.seq || (a.seq === b.seq && a.index < b.index)
}

/** Answers have an order of their own, and are not forgotten: their marks are no run's. */
function markName({ sender, failure }: MailKey): string {
  return failure === true ? `${sender}!` : sender
}
