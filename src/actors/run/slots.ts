import type { Environment, TimeoutHandle } from '../environment.ts'
import type { InvocationRules } from '../machine/invocation-policy.ts'

/** So many may hold a slot at a time; who comes later waits in line. */
export class Slots {
  readonly #limit: number
  readonly #line = new Set<() => void>()
  /** Those who hold a slot, by what they asked with: each gives it back once. */
  readonly #holders = new Set<() => void>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Whether there is one at once. */
  get free(): boolean {
    return this.#holders.size < this.#limit
  }

  /**
   * Calls `granted` as soon as there is a slot: perhaps before it returns.
   * @returns gives the slot back, or leaves the line; harmless when called again
   */
  take(granted: () => void): () => void {
    if (!this.free) {
      this.#line.add(granted)
      return () => {
        if (!this.#line.delete(granted)) this.#giveBack(granted)
      }
    }
    this.#grant(granted)
    return () => this.#giveBack(granted)
  }

  #grant(granted: () => void): void {
    this.#holders.add(granted)
    granted()
  }

  #giveBack(granted: () => void): void {
    if (!this.#holders.delete(granted)) return
    for (const next of this.#line) {
      this.#line.delete(next)
      return this.#grant(next)
    }
  }
}

/** Attempts that go on with something, of all runs of a process, which are in their first second at a time. */
export const restartsAtOnce = 256
/** How long such an attempt holds others back at most, ms: one that takes days must not keep the rest waiting. */
const restartTime = 1000

/** What the invocations of one process share. */
interface ProcessSlots {
  readonly restarts: Slots
  readonly byRules: WeakMap<InvocationRules, Slots>
}

const processes = new WeakMap<Environment, ProcessSlots>()

function slotsOf(environment: Environment): ProcessSlots {
  let slots = processes.get(environment)
  if (slots === undefined)
    processes.set(environment, (slots = { restarts: new Slots(restartsAtOnce), byRules: new WeakMap() }))
  return slots
}

function slotsOfName(environment: Environment, rules: InvocationRules): Slots | undefined {
  if (rules.concurrency === undefined) return undefined
  const { byRules } = slotsOf(environment)
  let slots = byRules.get(rules)
  if (slots === undefined) byRules.set(rules, (slots = new Slots(rules.concurrency)))
  return slots
}

/** Whether an invocation that was entered just now may start at once. */
export function hasRoom(environment: Environment, rules: InvocationRules): boolean {
  return slotsOfName(environment, rules)?.free !== false
}

/** Lets an invocation in that was entered just now, for which {@link hasRoom}. @returns gives its place back */
export function enter(environment: Environment, rules: InvocationRules): () => void {
  return slotsOfName(environment, rules)?.take(() => {}) ?? (() => {})
}

/**
 * Lets in an attempt that goes on with something: after a restart, after a failure, after others of its name. Calls `admitted`
 * once it may start, perhaps before it returns.
 * @returns gives its places back, or leaves the lines
 */
export function admit(environment: Environment, rules: InvocationRules, admitted: () => void): () => void {
  let leaveRestarts: (() => void) | undefined
  const next = (): void => {
    let timer: TimeoutHandle | undefined
    const leave = slotsOf(environment).restarts.take(() => {
      timer = environment.setTimeout(() => leaveRestarts?.(), restartTime)
      admitted()
    })
    leaveRestarts = () => {
      if (timer !== undefined) environment.clearTimeout(timer)
      leave()
    }
  }
  const slots = slotsOfName(environment, rules)
  const leaveName = slots?.take(next)
  if (slots === undefined) next()
  return () => {
    leaveRestarts?.()
    leaveName?.()
  }
}
