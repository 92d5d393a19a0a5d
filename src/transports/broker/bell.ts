/** Lets one waiter sleep until something may have changed. */
export class Bell {
  #wake: (() => void) | undefined

  /** Resolves at the next `ring`. */
  wait(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }

  ring(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}
