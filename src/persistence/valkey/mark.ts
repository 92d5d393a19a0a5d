import { marksKept } from './scripts/shared.ts'

/**
 * How far this instance got: with each call that writes it leaves a mark on the server. A server whose mark is behind what
 * it acknowledged has forgotten something.
 */
export class Mark {
  readonly instance = newInstance()
  #last = 0
  #acknowledged = 0
  #acknowledgedAt = 0

  /** What a call that writes begins with, and its number. */
  next(): { readonly call: number; readonly args: readonly (string | number)[] } {
    // A mark that was left so long ago may be gone.
    const isKept = performance.now() - this.#acknowledgedAt < marksKept / 2
    this.#last++
    return { call: this.#last, args: [this.instance, isKept ? this.#acknowledged : 0, this.#last] }
  }

  /** The server has what this call wrote, as surely as it was asked to. */
  acknowledge(call: number): void {
    this.#acknowledged = Math.max(this.#acknowledged, call)
    this.#acknowledgedAt = performance.now()
  }

  get isLeft(): boolean {
    return this.#last > 0
  }
}

function newInstance(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(9))))
}
