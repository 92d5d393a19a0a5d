import type { Store } from 'xmachines'
import type { Environment, TimeoutHandle } from '../../../src/actors/environment.ts'
import type { Timers } from '../../../src/transports/memory/index.ts'
import { AwaitedCalls } from './awaited-calls.ts'

/** Time that passes when a test says so, for a supervisor and its broker alike. */
export class VirtualEnvironment implements Environment, Timers {
  readonly process: string
  #now: number
  readonly #due = new Map<object, { readonly at: number; readonly work: () => void }>()
  readonly #calls = new AwaitedCalls()

  constructor(process = 'process-1', now = 1_000_000) {
    this.process = process
    this.#now = now
  }

  now(): number {
    return this.#now
  }

  setTimeout(work: () => void, ms: number): TimeoutHandle {
    const handle = {}
    this.#due.set(handle, { at: this.#now + ms, work })
    return handle as TimeoutHandle
  }

  clearTimeout(handle: unknown): void {
    this.#due.delete(handle as object)
  }

  /** How many timers run. */
  get timers(): number {
    return this.#due.size
  }

  /** The same time in another process. */
  fork(process: string): Environment {
    return {
      process,
      now: () => this.now(),
      setTimeout: (work, ms) => this.setTimeout(work, ms),
      clearTimeout: handle => this.clearTimeout(handle),
    }
  }

  /** A store whose answers take real time: no time passes here until they have come. */
  awaits(store: Store): Store {
    return this.#calls.of(store)
  }

  /** Resolves when everything that can go on without timers and input has done so, also what waits for an awaited store. */
  async settled(): Promise<void> {
    do {
      await this.#calls.answered()
      await settled()
    } while (this.#calls.pending)
  }

  /** Lets time pass: what falls due meanwhile runs in order, and whatever it causes has its turn. */
  async advance(ms: number): Promise<void> {
    await this.settled()
    const until = this.#now + ms
    for (;;) {
      const [next] = [...this.#due].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)
      if (next === undefined) break
      const [handle, { at, work }] = next
      this.#due.delete(handle)
      this.#now = Math.max(this.#now, at)
      work()
      await this.settled()
    }
    this.#now = until
    await this.settled()
  }
}

/** Resolves when everything that can go on without timers and input has done so. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}
