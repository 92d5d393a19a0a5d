import type { BesideChange } from '../contracts/store.ts'
import type { Invocation } from '../machine/state.ts'

/** What an invocation is called for ever: the same in every process and after every restart (semantics 16). ASCII. */
export function invocationKey(run: string, { entered, path }: Pick<Invocation, 'entered' | 'path'>): string {
  return `${run}/${entered}/${path.map(encodeName).join('/')}`
}

/** As in a URL. Half a surrogate pair, which has no such form, stands as its number. */
function encodeName(name: string): string {
  return name.replace(/[^A-Za-z0-9._~-]/gu, char =>
    /\p{Surrogate}/u.test(char) ? `%u${char.charCodeAt(0).toString(16)}` : encodeURIComponent(char),
  )
}

/** Which attempts of a run's invocations are durable, and what the item that is on its way says of them. */
export class Attempts {
  #made: Map<string, number>
  #offered: Record<string, number | null> | undefined

  constructor(made: Readonly<Record<string, number>>) {
    this.#made = new Map(Object.entries(made))
  }

  /** Attempts that are durable. */
  made(key: string): number {
    return this.#made.get(key) ?? 0
  }

  /** The next item says that this attempt is made. */
  offer(key: string, attempt: number): void {
    this.#offer(key, attempt)
  }

  /** The next item removes the entries of all other invocations: they are not pending any more. */
  keepOnly(keys: ReadonlySet<string>): void {
    for (const key of this.#made.keys()) if (!keys.has(key)) this.#offer(key, null)
  }

  /** What the item says of attempts, or nothing. */
  get change(): BesideChange['attempts'] {
    return this.#offered
  }

  /** The item is durable, or nothing of it is. Gives whether it said anything of attempts. */
  settled(durable: boolean): boolean {
    const offered = this.#offered
    this.#offered = undefined
    if (offered === undefined) return false
    if (durable) {
      for (const key in offered) {
        const attempt = offered[key]!
        if (attempt === null) this.#made.delete(key)
        else this.#made.set(key, attempt)
      }
    }
    return true
  }

  #offer(key: string, attempt: number | null): void {
    // Keys are never seen twice: as shapes of objects they would cost more than twice of this.
    this.#offered ??= Object.create(null) as Record<string, number | null>
    this.#offered[key] = attempt
  }

  /** Somebody else wrote: what is durable now. */
  reset(made: Readonly<Record<string, number>>): void {
    this.#made = new Map(Object.entries(made))
    this.#offered = undefined
  }
}
