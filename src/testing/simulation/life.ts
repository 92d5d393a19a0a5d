import type { Environment, TimeoutHandle } from '../../actors/environment.ts'
import type { Scheduler, Task } from './scheduler.ts'

/** One life of a process: its clock, its timers, and everything else that is lost with it. */
export class Life implements Environment {
  readonly process: string
  readonly #scheduler: Scheduler
  /** What invocations told and is on its way, each in its order. */
  readonly #told = new Map<string, (() => void)[]>()
  #alive = true

  constructor(process: string, scheduler: Scheduler) {
    this.process = process
    this.#scheduler = scheduler
  }

  get alive(): boolean {
    return this.#alive
  }

  now(): number {
    return this.#scheduler.now
  }

  setTimeout(work: () => void, ms: number): TimeoutHandle {
    const { random } = this.#scheduler
    // As on a platform: never early, now and then late, and never at once.
    const late = random() < 0.2 ? this.#scheduler.delay() : 0
    return this.#add('timer', 'timer', Math.max(1, ms) + late, work) as unknown as TimeoutHandle
  }

  clearTimeout(handle: TimeoutHandle): void {
    this.#scheduler.cancel(handle as unknown as Task)
  }

  hand(invocation: string, over: () => void): void {
    if (!this.#alive) return
    const queue = this.#told.get(invocation)
    if (queue !== undefined) return void queue.push(over)
    this.#told.set(invocation, [over])
    this.#handNext(invocation)
  }

  /** Does `work` once what takes time has taken it; never, if the process dies before. */
  later(name: string, work: () => void, ms = this.#scheduler.delay()): void {
    this.#add('work', name, ms, work)
  }

  /** Resolves after a while; never, if the process dies before. */
  pause(name: string, ms?: number): Promise<void> {
    return new Promise(resolve => this.later(name, resolve, ms))
  }

  /** All memory is lost: nothing of it happens any more. */
  end(): void {
    this.#alive = false
    this.#scheduler.drop(this)
  }

  #add(kind: Task['kind'], name: string, ms: number, work: () => void): object {
    if (!this.#alive) return {}
    return this.#scheduler.add(kind, this, `${this.process}: ${name}`, ms, work)
  }

  #handNext(invocation: string): void {
    this.later(`the outcome of ${invocation}`, () => {
      const queue = this.#told.get(invocation)!
      const over = queue.shift()!
      if (queue.length > 0) this.#handNext(invocation)
      else this.#told.delete(invocation)
      over()
    })
  }
}
