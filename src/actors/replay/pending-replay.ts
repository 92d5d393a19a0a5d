import type { Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import type { Machines } from '../run/types.ts'
import { Past } from './past.ts'
import { type PendingChanges, pendingChanges } from './pending-changes.ts'

/** Says of each unit of a history, in their order, what it changed in what the run waits for: the machine knows. */
export class PendingReplay {
  readonly #past: Past
  readonly #run: string

  constructor(machine: Machines, store: Store, run: string) {
    this.#past = new Past(machine, store)
    this.#run = run
  }

  /** Has to be told of units before their changes are asked for. */
  meet(units: readonly Unit[]): Promise<void> {
    return this.#past.meet(units)
  }

  /** @throws `RUN_DAMAGED` when the machine cannot decide the unit, `UNIT_ID_UNKNOWN` */
  changes(unit: Unit): PendingChanges {
    const before = this.#past.place?.state.table
    return pendingChanges(this.#run, unit, before, this.#past.decide(unit).state.table)
  }
}
