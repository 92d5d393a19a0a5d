import type { RunHead, Store } from '../../actors/contracts/store.ts'
import type { Member } from './children.ts'
import { SimulationFailure } from './failure.ts'
import { type PendingWork, pendingOf } from './pending.ts'
import { beginning, type Scheduler } from './scheduler.ts'
import type { Delivery } from './sender.ts'
import type { Settings } from './settings.ts'

/** Where the runs stand, child runs too; `undefined`: the run is not there yet. */
export type Heads = ReadonlyMap<Member, RunHead | undefined>

/** Whether a seed is over: nothing is left to be done, or nothing but what listens or wakes for ever. */
export class Termination {
  readonly #store: Store
  readonly #scheduler: Scheduler
  readonly #sent: readonly Delivery[]
  readonly #settings: Pick<Settings, 'duration' | 'patience'>
  /** When something last happened that a run could wait for, and when an event was last answered. */
  #progress = beginning
  #answered = beginning

  constructor(
    store: Store,
    scheduler: Scheduler,
    sent: readonly Delivery[],
    settings: Pick<Settings, 'duration' | 'patience'>,
  ) {
    this.#store = store
    this.#scheduler = scheduler
    this.#sent = sent
    this.#settings = settings
  }

  /** Something happened that a run could wait for. */
  progressed(): void {
    this.#progress = this.#scheduler.now
  }

  /** An event was answered. */
  answered(): void {
    this.#progress = this.#answered = this.#scheduler.now
  }

  /**
   * Nothing is under way: whether nothing is left to be done either. Lets time leap where only time has to pass.
   * @throws rejects with a {@link SimulationFailure} where something is left that nobody does
   */
  async reached(heads: Heads): Promise<boolean> {
    const scheduler = this.#scheduler
    const { duration, patience } = this.#settings
    const all = [...heads.values()]
    const unanswered = this.#sent.some(({ receipt }) => receipt === undefined)
    const answered = !unanswered && all.every(head => head !== undefined)
    if (answered && all.every(isQuiet)) return true
    const next = Math.min(...all.map(head => head?.due ?? Number.POSITIVE_INFINITY))
    if (answered && scheduler.now - this.#answered > duration && next > scheduler.now) return true
    const silence = scheduler.now - this.#progress
    if (silence > patience) {
      const pending = await this.#pending(heads)
      const waits = pending.some(({ promises }) => promises.length > 0)
      if (!answered || next <= scheduler.now || waits) throw this.#stuck(silence, pending)
      return true // what listens, listens for ever
    }
    if (answered && all.every(head => head!.beside.process === null) && next - 1_000 > scheduler.now) {
      scheduler.leap(Math.min(next - 1_000, this.#answered + duration + 1))
      this.progressed()
    }
    return false
  }

  async #pending(heads: Heads): Promise<readonly PendingWork[]> {
    const entries: PendingWork[] = []
    for (const [member, head] of heads) {
      if (head === undefined) entries.push({ promises: [], text: `run ${member.key} was never opened` })
      else if (!isQuiet(head)) entries.push(await pendingOf(this.#store, head, member))
    }
    return entries
  }

  #stuck(silence: number, pending: readonly PendingWork[]): SimulationFailure {
    const unanswered = this.#sent.filter(({ receipt }) => receipt === undefined)
    const left = [
      ...pending.map(({ text }) => text),
      ...unanswered.map(({ id, run }) => `event ${id} of ${run} has no answer`),
    ]
    return new SimulationFailure(
      'stuck',
      `Nothing has happened for ${silence} virtual ms, and this is still to be done:\n${left.join('\n')}\nWhat an invocation waits for has to be of the simulation: its own promises, or \`sleep\` of the world; never a real timer.`,
    )
  }
}

/** Whether nothing of a run is left to be done, as its store knows it. */
export function isQuiet(head: RunHead | undefined): boolean {
  return head !== undefined && head.due === null && head.beside.process === null
}
