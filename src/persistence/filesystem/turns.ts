/** How long others wait at most, ms. */
const most = 4

/** Long work that yields where others may have a turn. */
export type Work<T> = Generator<void, T>

/** The turns that long work gives to others: by the time it took, so that a busy process does not stretch it. */
export class Turns {
  #since = performance.now()

  /** Whether others have waited as long as they should. */
  get areDue(): boolean {
    return performance.now() - this.#since >= most
  }

  /** Resolves when others had their turn. */
  async give(): Promise<void> {
    await nextTurn()
    this.#since = performance.now()
  }
}

/** Does long work, with a turn for others now and then. */
export async function inTurns<T>(work: Work<T>): Promise<T> {
  const turns = new Turns()
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
    if (turns.areDue) await turns.give()
  }
}

/** Does long work in one go, for who cannot wait. */
export function atOnce<T>(work: Work<T>): T {
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
  }
}

// As it was when this was loaded: who fakes the timers of a test means those of machines, and the disk has to go on meanwhile.
const immediate: typeof setImmediate | undefined = globalThis.setImmediate

/** Does `work` once others had their turn. */
export function inNextTurn(work: () => void): void {
  if (typeof immediate === 'function') immediate(work)
  else setTimeout(work, 0)
}

/** Resolves when others had their turn. */
export function nextTurn(): Promise<void> {
  return new Promise(inNextTurn)
}
