import type { Unit } from '../contracts/unit.ts'
import type { HistoryFold } from '../run/history.ts'
import type { Machines } from '../run/types.ts'
import { type PendingChanges, pendingChanges } from './pending-changes.ts'
import { decideAgain, foldOf } from './replay.ts'

/** Says of each unit of a history, in their order, what it changed in what the run waits for: the machine knows. */
export class PendingReplay {
  readonly #machine: Machines
  readonly #run: string
  #fold: HistoryFold | undefined

  constructor(machine: Machines, run: string) {
    this.#machine = machine
    this.#run = run
  }

  /** @throws `RUN_DAMAGED` when the machine cannot decide the unit, `UNIT_ID_UNKNOWN` */
  changes(unit: Unit): PendingChanges {
    const fold = (this.#fold ??= foldOf(this.#machine, unit))
    const before = fold.place?.state.table
    return pendingChanges(this.#run, unit, before, decideAgain(fold, unit).state.table)
  }
}
