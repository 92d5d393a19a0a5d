/** What makes the impostor of a global, or of a member of one, from what stands there. */
export type Impostor = (original: unknown) => unknown

/** A property that is replaced while a step is watched, and put back afterwards as it was. */
export class Place {
  readonly #owner: object
  readonly #key: string
  readonly #impostor: Impostor
  /** What was found the last time: the impostor is made anew only for something else, a faked clock say. */
  #found: PropertyDescriptor | undefined
  #made: unknown
  #taken = false

  constructor(owner: object, key: string, impostor: Impostor) {
    this.#owner = owner
    this.#key = key
    this.#impostor = impostor
  }

  take(): void {
    const found = Object.getOwnPropertyDescriptor(this.#owner, this.#key)
    // Not there on this platform, or frozen by whoever has tamed it already.
    if (found === undefined || found.configurable === false) return
    if (found.value !== this.#found?.value || found.get !== this.#found?.get) {
      const original: unknown = found.get === undefined ? found.value : Reflect.get(this.#owner, this.#key)
      this.#made = isMade(original) ? this.#impostor(original) : undefined
    }
    this.#found = found
    if (this.#made === undefined) return
    this.#taken = true
    if (found.writable === true) (this.#owner as Record<string, unknown>)[this.#key] = this.#made
    else {
      const { enumerable = false } = found
      Object.defineProperty(this.#owner, this.#key, {
        value: this.#made,
        writable: true,
        enumerable,
        configurable: true,
      })
    }
  }

  giveBack(): void {
    if (!this.#taken) return
    this.#taken = false
    const found = this.#found!
    // An assignment keeps the attributes, and costs a fraction.
    if (found.writable === true) (this.#owner as Record<string, unknown>)[this.#key] = found.value
    else Object.defineProperty(this.#owner, this.#key, found)
  }
}

/** Whether something stands there that an impostor can be made of. */
function isMade(value: unknown): boolean {
  return typeof value === 'function' || (typeof value === 'object' && value !== null)
}
