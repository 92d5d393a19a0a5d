import type { Mail, MailOutcome } from '../../actors/contracts/store.ts'
import { mailId } from '../judge.ts'
import { freeGroup, type Keys, memberOf, named, partitionGroup } from './keys.ts'
import type { Standing } from './row-text.ts'

/** So many mails go in at once, in their order. */
const atOnce = 128

/** A delivery under way: mail goes in one call after the other, as it keeps its order. */
export class Letters {
  readonly answers: MailOutcome[] = []
  readonly #mail: readonly Mail[]
  readonly #keys: Keys
  #begun = 0
  /** Whose receiver was pinned elsewhere meanwhile. */
  #again: number[] = []

  constructor(mail: readonly Mail[], keys: Keys) {
    this.#mail = mail
    this.#keys = keys
  }

  /** The places of the mails that go in next; `undefined`: there are no more. */
  next(): readonly number[] | undefined {
    if (this.#again.length > 0) {
      const again = this.#again
      this.#again = []
      return again
    }
    const first = this.#begun
    this.#begun = Math.min(this.#mail.length, first + atOnce)
    return first === this.#begun ? undefined : Array.from({ length: this.#begun - first }, (_, at) => first + at)
  }

  /** The runs that they go to. */
  receivers(places: readonly number[]): readonly string[] {
    return [...new Set(places.map(place => this.#mail[place]!.receiver))]
  }

  /** The call of the script. @param receivers where those stand that there are */
  call(
    places: readonly number[],
    receivers: ReadonlyMap<string, Standing>,
  ): { keys: string[]; args: (string | number)[] } {
    const keys = [this.#keys.marks]
    const args: (string | number)[] = []
    for (const place of places) {
      const mail = this.#mail[place]!
      const { receiver } = mail
      const standing = receivers.get(receiver)
      const first = keys.push(this.#keys.run(receiver), this.#keys.mail(receiver), this.#keys.inbox(receiver)) - 2
      const name = named(mailId(mail))
      const text = JSON.stringify(mail)
      if (standing === undefined) args.push(first, first + 1, first + 2, first, '', '?', name, text)
      else {
        const { lease, namespace } = standing
        keys.push(this.#keys.due(lease === '' ? freeGroup(namespace) : partitionGroup(lease)))
        args.push(first, first + 1, first + 2, first + 3, memberOf(receiver, namespace), lease, name, text)
      }
    }
    return { keys, args }
  }

  /** Takes what the script says of them. */
  answer(places: readonly number[], answers: readonly string[]): void {
    for (const [at, place] of places.entries()) {
      if (answers[at] === 'moved') this.#again.push(place)
      else this.answers[place] = answers[at] as MailOutcome
    }
  }
}
