import type { AppendItem, Mail, Store, StoredSnapshot, Unit } from 'xmachines'

/** Where a process may die. */
export const crashPoints = [
  'beforeAppend',
  'afterAppend',
  'beforeEffect',
  'afterEffect',
  'outcomeBeforeAppend',
  'outcomeAfterAppend',
  'midSnapshot',
  'beforeTell',
  'afterTell',
  'beforeTimer',
  'afterTimer',
] as const

export type CrashPoint = (typeof crashPoints)[number]

/** A life that ends at the n-th time that it comes to a point. Whatever it asks for after its death is never answered. */
export class Doom {
  readonly #point: CrashPoint | undefined
  readonly #die: () => void
  #left: number
  #dead = false
  /** It is not the first time that counts. */
  readonly isLate: boolean

  /** @param die ends the process, or what stands for one */
  constructor(point: CrashPoint | undefined, hit: number, die: () => void) {
    this.#point = point
    this.#left = hit
    this.isLate = hit > 1
    this.#die = die
  }

  get dead(): boolean {
    return this.#dead
  }

  /** Comes to a point. Gives whether it was the end. */
  meet(point: CrashPoint): boolean {
    if (!this.#dead && point === this.#point && --this.#left === 0) {
      this.#dead = true
      this.#die()
    }
    return this.#dead
  }

  /** The store as this life has it. */
  store(store: Store): Store {
    const own: Partial<Store> = {
      append: async (items: readonly AppendItem[]) => {
        const holds = (kind: Unit['origin']['kind']) =>
          items.some(({ units }) => units.some(({ origin }) => origin.kind === kind))
        const [outcome, timer] = [holds('effect'), holds('timer')]
        await this.#go('beforeAppend', outcome && 'outcomeBeforeAppend', timer && 'beforeTimer')
        const answer = await store.append(items)
        await this.#go('afterAppend', outcome && 'outcomeAfterAppend', timer && 'afterTimer')
        return answer
      },
      deliver: async (mail: readonly Mail[]) => {
        await this.#go('beforeTell')
        const answer = await store.deliver(mail)
        await this.#go('afterTell')
        return answer
      },
      saveSnapshot: async (run: string, snapshot: StoredSnapshot) => {
        await this.#go()
        const saving = store.saveSnapshot(run, snapshot)
        await this.#go('midSnapshot')
        return saving
      },
    }
    return new Proxy(store, {
      get: (target, key) => {
        const member = own[key as keyof Store] ?? target[key as keyof Store]
        return typeof member === 'function' ? (member as (...args: unknown[]) => unknown).bind(target) : member
      },
    })
  }

  /** Resolves unless one of these is the end: then never. */
  async #go(...points: readonly (CrashPoint | false)[]): Promise<void> {
    for (const point of points) if (point !== false && this.meet(point)) await new Promise(() => {})
    if (this.#dead) await new Promise(() => {})
  }
}
