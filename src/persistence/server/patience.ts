import { aborted, XMachinesError } from '../../actors/errors.ts'

/** The first wait between two tries, ms; each next one is twice as long. */
const firstWait = 25
const longestWait = 1000

/** Whether the server may answer if it is asked again. */
export function isPassing(error: unknown): error is XMachinesError {
  return XMachinesError.is(error, 'STORE_UNAVAILABLE') || XMachinesError.is(error, 'STORE_OUTCOME_UNKNOWN')
}

/** Goes on asking a server that does not answer, for a time. */
export class Patience {
  readonly #time: number
  #isOver = false
  /** Ends each pause. Not listeners of one signal: of more than ten of these, Node warns. */
  readonly #pauses = new Set<() => void>()

  /** @param time how long, ms */
  constructor(time: number) {
    this.#time = time
  }

  /** Whoever waits goes on at once, with the error that made it wait. */
  end(): void {
    this.#isOver = true
    for (const end of this.#pauses) end()
  }

  /**
   * Tries until it works, fails for good, or the time is over.
   *
   * @param work is told whether a try before may have been done
   * @throws STORE_OUTCOME_UNKNOWN where some try may have been done and none told, ABORTED where the signal fires in a pause
   */
  async run<T>(work: (mayBeDone: boolean) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const began = performance.now()
    let unknown: XMachinesError | undefined
    for (let wait = firstWait; ; wait = Math.min(longestWait, wait * 2)) {
      try {
        return await work(unknown !== undefined)
      } catch (error) {
        if (!isPassing(error)) throw error
        if (error.code === 'STORE_OUTCOME_UNKNOWN') unknown = error
        if (this.#isOver || performance.now() - began + wait > this.#time) throw unknown ?? error
      }
      await this.#pause(wait, unknown === undefined ? signal : undefined)
    }
  }

  #pause(time: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer)
        this.#pauses.delete(end)
        signal?.removeEventListener('abort', end)
        if (signal?.aborted) reject(aborted(signal))
        else resolve()
      }
      const timer = setTimeout(end, time)
      this.#pauses.add(end)
      signal?.addEventListener('abort', end, { once: true })
    })
  }
}
