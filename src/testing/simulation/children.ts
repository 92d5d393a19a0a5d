import type { AppendItem, AppendOutcome, RunHead, Store } from '../../actors/contracts/store.ts'
import type { Program } from '../../actors/machine/program.ts'
import { knownChild } from '../../actors/machine/programs.ts'
import type { Machines } from '../../actors/run/types.ts'
import { programsOf } from '../../actors/run/versions.ts'
import type { Sender } from './sender.ts'
import type { Settings } from './settings.ts'

/** A run of the simulation: one that is sent to, or a child that a run has spawned. */
export type Member = Pick<Sender, 'key' | 'machine'>

/** The child runs of a simulation: nobody sends to them, and they are to come to rest as well. */
export class Children {
  readonly #settings: Pick<Settings, 'strict'>
  readonly #store: Store
  /** Whose child each is, by its id. */
  readonly #parents = new Map<string, string>()

  constructor(store: Store, settings: Pick<Settings, 'strict'>) {
    this.#store = store
    this.#settings = settings
  }

  /** These were written. */
  written(items: readonly AppendItem[], outcomes: readonly AppendOutcome[]): void {
    for (const [index, { run, beside }] of items.entries()) {
      const parent = beside?.parent
      if (parent !== undefined && outcomes[index]?.status === 'appended') this.#parents.set(run, parent.run)
    }
  }

  /** Whether it was spawned. */
  has(run: string): boolean {
    return this.#parents.has(run)
  }

  /** Where each stands. @param senders of the runs that are not children, by their ids */
  async heads(senders: ReadonlyMap<string, Sender>): Promise<readonly (readonly [Member, RunHead])[]> {
    const programs = new Map<string, readonly Program[]>()
    for (const [run, { machine }] of senders)
      programs.set(run, programsOf(machine, this.#store.objectFormat, this.#settings.strict))
    const heads: (readonly [Member, RunHead])[] = []
    // A parent was there before its child.
    for (const [run, parent] of this.#parents) {
      if (senders.has(run)) continue
      const head = (await this.#store.head(run))!
      const known = programs.get(parent)!.map(program => knownChild(program, head.machine))
      const program = known.find(child => child !== undefined)!
      programs.set(run, [program])
      heads.push([{ key: head.key!, machine: program.definition as Machines }, head])
    }
    return heads
  }
}
