/** Lets nobody through until it is opened. */
export class Gate {
  #open!: () => void
  #waiting: Promise<void> | undefined

  constructor() {
    this.close()
  }

  /** What to wait for; `undefined` while it is open. */
  get waiting(): Promise<void> | undefined {
    return this.#waiting
  }

  open(): void {
    this.#waiting = undefined
    this.#open()
  }

  close(): void {
    this.#waiting ??= new Promise(resolve => (this.#open = resolve))
  }
}
