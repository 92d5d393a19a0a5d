import type { Timers } from '../../../src/transports/memory/index.ts'

/** Timers that run when a test says so. */
export class VirtualTimers implements Timers {
  #now = 0
  readonly #due = new Map<object, { readonly at: number; readonly callback: () => void }>()

  setTimeout(callback: () => void, ms: number): unknown {
    const timer = {}
    this.#due.set(timer, { at: this.#now + ms, callback })
    return timer
  }

  clearTimeout(timer: unknown): void {
    this.#due.delete(timer as object)
  }

  /** How many timers run. */
  get pending(): number {
    return this.#due.size
  }

  advance(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const [next] = [...this.#due].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)
      if (!next) break
      const [timer, { at, callback }] = next
      this.#due.delete(timer)
      this.#now = at
      callback()
    }
    this.#now = until
  }
}

/** Resolves when everything that can go on without timers and input has done so. */
export function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
