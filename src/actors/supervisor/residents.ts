import { type Environment, longestTimeout, soon, type TimeoutHandle } from '../environment.ts'

/** A run in memory, as {@link Residents} sees it. */
export interface Resting {
  /** Whether effects are in flight: it stays in memory. */
  readonly busy: boolean
  /** Since when it rests, ms; `undefined`: it does not. Set by {@link Residents} only, like the neighbours. */
  restingSince: number | undefined
  previous: Resting | undefined
  next: Resting | undefined
  /** Goes out of memory; tells {@link Residents.leave} when it has. */
  passivate(): void
}

/** How many resting runs are looked at for one without effects. */
const looks = 64
/** How long one that is kept by its effects is not looked at again, ms, however soon it should go. */
const patience = 100

/** Which runs are in memory: at most `limit`, the least recently used go first; nobody stays longer than `idle` without a record. */
export class Residents {
  readonly #limit: number
  readonly #idle: number
  readonly #environment: Environment
  #size = 0
  #leaving = 0
  #waiting: (() => void)[] = []
  /** Those at rest, the longest first. */
  #first: Resting | undefined
  #last: Resting | undefined
  #timer: TimeoutHandle | undefined
  #making = false

  constructor(limit: number, idle: number, environment: Environment) {
    this.#limit = limit
    this.#idle = idle
    this.#environment = environment
  }

  /** Runs in memory, or on their way. */
  get size(): number {
    return this.#size
  }

  /** Asks for room for one run. `undefined`: there is; otherwise it resolves when there is. */
  admit(): Promise<void> | undefined {
    if (this.#size < this.#limit && this.#waiting.length === 0) {
      this.#size++
      return undefined
    }
    return new Promise(resolve => {
      this.#waiting.push(resolve)
      this.#makeRoom()
    })
  }

  /** A run that was admitted has gone. */
  leave(passivated = false): void {
    this.#size--
    if (passivated) this.#leaving--
    this.#makeRoom()
  }

  /** The run has nothing to do. */
  rest(run: Resting): void {
    this.#append(run)
    if (this.#waiting.length > 0 || this.#size - this.#leaving > this.#limit) this.#makeRoomSoon()
    if (this.#timer === undefined) this.#arm()
  }

  /** The run has something to do again, or is gone. */
  rouse(run: Resting): void {
    if (run.restingSince === undefined) return
    run.restingSince = undefined
    if (run.previous === undefined) this.#first = run.next
    else run.previous.next = run.next
    if (run.next === undefined) this.#last = run.previous
    else run.next.previous = run.previous
    run.previous = run.next = undefined
  }

  /** No timer is left. */
  end(): void {
    if (this.#timer !== undefined) this.#environment.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Once the run has started what its last unit left to be done. */
  #makeRoomSoon(): void {
    if (this.#making) return
    this.#making = true
    soon(() => {
      this.#making = false
      if (this.#waiting.length === 0 && this.#size - this.#leaving > this.#limit) this.#evict()
      this.#makeRoom()
    })
  }

  #append(run: Resting): void {
    run.restingSince = this.#environment.now()
    run.previous = this.#last
    if (this.#last === undefined) this.#first = run
    else this.#last.next = run
    this.#last = run
  }

  #makeRoom(): void {
    while (this.#waiting.length > 0) {
      if (this.#size < this.#limit) this.#letIn()
      // Each that leaves makes room for one.
      else if (this.#leaving >= this.#waiting.length) return
      else if (this.#first === undefined) return
      // All that rest are kept by their effects: nobody would ever leave.
      else if (!this.#evict()) this.#letIn()
    }
  }

  #letIn(): void {
    this.#size++
    this.#waiting.shift()!()
  }

  #evict(): boolean {
    for (let look = 0; look < looks && this.#first !== undefined; look++) {
      const run = this.#first
      this.rouse(run)
      if (!run.busy) {
        this.#passivate(run)
        return true
      }
      this.#append(run)
    }
    return false
  }

  #passivate(run: Resting): void {
    this.#leaving++
    run.passivate()
  }

  /** Wakes when the one that has rested longest is due. @param least not before, ms from now */
  #arm(least = 0): void {
    const since = this.#first?.restingSince
    if (since === undefined || this.#idle === Number.POSITIVE_INFINITY) return
    const wait = Math.min(longestTimeout, Math.max(least, since + this.#idle - this.#environment.now()))
    this.#timer = this.#environment.setTimeout(() => this.#sweep(), wait)
  }

  #sweep(): void {
    this.#timer = undefined
    const now = this.#environment.now()
    const last = this.#last
    let least = 0
    for (let run = this.#first; run !== undefined && run.restingSince! + this.#idle <= now; run = this.#first) {
      this.rouse(run)
      if (run.busy) {
        this.#append(run)
        least = patience
      } else this.#passivate(run)
      if (run === last) break
    }
    if (this.#timer === undefined) this.#arm(least)
  }
}
