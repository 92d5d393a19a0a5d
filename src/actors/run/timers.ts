import type { Environment, TimeoutHandle } from '../environment.ts'

/** Who wants to be woken. */
export interface Sleeper {
  wake(): void
}

/** Whoever waits longer looks at the clock in between, ms: it may be set, and a machine that slept did not count the time. */
const longest = 60_000

/** Entries that nobody waits for any more may be as many as those that somebody does, and these. */
const slack = 64

/**
 * All wake-ups of a process behind one platform timer: a binary heap by due time. Moving or forgetting a sleeper leaves its
 * entry in the heap, which is passed over when it comes up, or goes when the heap is made anew because there are too many.
 */
export class WakeUps {
  readonly #environment: Environment
  readonly #isAwaited: boolean
  readonly #due = new Map<Sleeper, number>()
  readonly #heap: { readonly at: number; readonly sleeper: Sleeper }[] = []
  #handle: TimeoutHandle | undefined
  #armedFor = Number.POSITIVE_INFINITY

  /** @param isAwaited whether a program waits for it before it ends */
  constructor(environment: Environment, isAwaited = true) {
    this.#environment = environment
    this.#isAwaited = isAwaited
  }

  /** How many entries the heap has. */
  get entries(): number {
    return this.#heap.length
  }

  /** Wakes `sleeper` at `at` (ms), and not before; `undefined` forgets it. */
  set(sleeper: Sleeper, at: number | undefined): void {
    if (at === undefined) {
      this.#due.delete(sleeper)
    } else if (this.#due.get(sleeper) !== at) {
      this.#due.set(sleeper, at)
      this.#push({ at, sleeper })
    }
    if (this.#heap.length > 2 * this.#due.size + slack) this.#renew()
    this.#arm()
  }

  #arm(): void {
    while (this.#heap.length > 0 && this.#due.get(this.#heap[0]!.sleeper) !== this.#heap[0]!.at) this.#pop()
    const at = this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
    if (at === this.#armedFor) return
    if (this.#handle !== undefined) this.#environment.clearTimeout(this.#handle)
    this.#armedFor = at
    this.#handle = undefined
    if (at === Number.POSITIVE_INFINITY) return
    const wait = Math.min(longest, Math.max(0, at - this.#environment.now()))
    this.#handle = this.#environment.setTimeout(() => this.#fire(), wait)
    if (!this.#isAwaited) (this.#handle as unknown as { readonly unref?: () => void }).unref?.()
  }

  #fire(): void {
    this.#handle = undefined
    this.#armedFor = Number.POSITIVE_INFINITY
    const now = this.#environment.now()
    for (let top = this.#heap[0]; top !== undefined && top.at <= now; top = this.#heap[0]) {
      this.#pop()
      if (this.#due.get(top.sleeper) !== top.at) continue
      this.#due.delete(top.sleeper)
      top.sleeper.wake()
    }
    this.#arm()
  }

  #renew(): void {
    this.#heap.length = 0
    for (const [sleeper, at] of this.#due) this.#push({ at, sleeper })
  }

  #push(entry: { readonly at: number; readonly sleeper: Sleeper }): void {
    const heap = this.#heap
    let i = heap.push(entry) - 1
    for (let parent = (i - 1) >> 1; i > 0 && heap[parent]!.at > entry.at; i = parent, parent = (i - 1) >> 1)
      heap[i] = heap[parent]!
    heap[i] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.at < heap[child]!.at) child++
      if (heap[child]!.at >= last.at) break
      heap[i] = heap[child]!
      i = child
    }
    heap[i] = last
  }
}

const wakeUps = new WeakMap<Environment, WakeUps>()

/** The wake-ups of an environment. */
export function wakeUpsOf(environment: Environment): WakeUps {
  let found = wakeUps.get(environment)
  if (found === undefined) wakeUps.set(environment, (found = new WakeUps(environment)))
  return found
}

const watches = new WeakMap<Environment, WakeUps>()

/** The wake-ups of an environment that nobody waits for: they must not keep a program from its end. */
export function watchesOf(environment: Environment): WakeUps {
  let found = watches.get(environment)
  if (found === undefined) watches.set(environment, (found = new WakeUps(environment, false)))
  return found
}
