import type { MailKey } from '../actors/contracts/store.ts'
import { mailId, sameMail } from './judge.ts'

/** Mails of an inbox that a head shows at most: the oldest. */
export const inboxPage = 256

/** Places at the beginning of a list that may be taken before it is cut. */
const slack = 1024

/**
 * The mails that wait for a run, the oldest first. A value: a change makes another one, and costs the same however many wait,
 * because versions share their list, of which each sees its own part. Only a change of a version that is not the last copies.
 */
export class Waiting<T extends MailKey> {
  readonly #list: T[]
  readonly #from: number
  readonly #to: number

  constructor(list: T[] = [], from = 0, to = list.length) {
    this.#list = list
    this.#from = from
    this.#to = to
  }

  get size(): number {
    return this.#to - this.#from
  }

  /** With one more. */
  push(mail: T): Waiting<T> {
    if (this.#list.length > this.#to) return new Waiting([...this.first(), mail])
    this.#list.push(mail)
    return new Waiting(this.#list, this.#from, this.#to + 1)
  }

  /** Without these. Mail is taken in its order, but for what another process took. */
  without(keys: readonly MailKey[]): Waiting<T> {
    const from = this.#from + keys.length
    const inOrder = from <= this.#to && keys.every((key, at) => sameMail(this.#list[this.#from + at]!, key))
    if (!inOrder) {
      const gone = new Set(keys.map(mailId))
      return new Waiting(this.first().filter(mail => !gone.has(mailId(mail))))
    }
    const isMostlyGone = from > slack && from > this.#to - from
    return isMostlyGone ? new Waiting(this.#list.slice(from, this.#to)) : new Waiting(this.#list, from, this.#to)
  }

  /** The oldest ones, `limit` at most. @default all */
  first(limit = Number.POSITIVE_INFINITY): T[] {
    return this.#list.slice(this.#from, Math.min(this.#to, this.#from + limit))
  }
}
