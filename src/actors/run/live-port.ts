/**
 * A port that keeps only the newest of what was not read: the last value for snapshots, the last `keep` for errors. It never
 * holds anybody back.
 */
export class LivePort<T> {
  readonly stream: ReadableStream<T>
  readonly #keep: number
  readonly #lost: ((value: T, lost: number) => T) | undefined
  readonly #values: T[] = []
  #dropped = 0
  #controller!: ReadableStreamDefaultController<T>
  #waiting: (() => void) | undefined
  #closing = false

  /**
   * @param lost marks the first value after a gap with how many were dropped
   * @param gone called when its reader went away for good
   */
  constructor(keep: number, first: readonly T[], lost?: (value: T, lost: number) => T, gone?: () => void) {
    this.#keep = keep
    this.#lost = lost
    this.#values.push(...first)
    this.stream = new ReadableStream<T>(
      {
        start: controller => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: () => {
          this.#closing = true
          this.#values.length = 0
          gone?.()
        },
      },
      { highWaterMark: 0 },
    )
  }

  push(value: T): void {
    if (this.#closing) return
    if (this.#values.length >= this.#keep) {
      this.#values.shift()
      this.#dropped++
    }
    this.#values.push(value)
    this.#wake()
  }

  /** What is there is still handed out, then the stream ends. */
  finish(): void {
    this.#closing = true
    this.#wake()
  }

  fail(error: unknown): void {
    if (this.#closing) return
    this.#closing = true
    this.#controller.error(error)
    this.#wake()
  }

  async #pull(): Promise<void> {
    while (this.#values.length === 0) {
      if (this.#closing) return this.#controller.close()
      await new Promise<void>(resolve => (this.#waiting = resolve))
    }
    const value = this.#values.shift()!
    this.#controller.enqueue(this.#dropped > 0 && this.#lost !== undefined ? this.#lost(value, this.#dropped) : value)
    this.#dropped = 0
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }
}
