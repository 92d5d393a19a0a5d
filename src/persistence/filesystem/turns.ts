/** How long others wait at most, ms. */
const most = 4

/** Long work that gives others a turn now and then: by the time it took, so that a busy process does not stretch it. */
export class Turns {
  #since = performance.now()

  /** Waits for the others' turn if this one was long enough; undefined: it was not. */
  next(): Promise<void> | undefined {
    return performance.now() - this.#since < most ? undefined : this.#wait()
  }

  async #wait(): Promise<void> {
    await nextTurn()
    this.#since = performance.now()
  }
}

/** Resolves when others had their turn. */
export function nextTurn(): Promise<void> {
  return new Promise(resolve => (typeof setImmediate === 'function' ? setImmediate(resolve) : setTimeout(resolve, 0)))
}
