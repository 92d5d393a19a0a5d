import type { NewUnit, ObjectFormat } from '../contracts/unit.ts'
import { unitId } from './commits.ts'

/** Where a chain of ids starts: a run's commit (with the time of its creation), or any unit of which the id is known. */
export interface ChainAnchor {
  readonly id: string
  /** The machine's commit at the anchor. */
  readonly machine: string
  /** The creation's time: given exactly when the anchor is the commit of a run or of a fork. */
  readonly created?: number | undefined
}

/** Walks a history forward and names its units. */
export interface UnitChain {
  /** The id of the last unit; before the first, the anchor's. */
  readonly id: string
  /** The machine's commit after the last unit. */
  readonly machine: string
  /** The id of the unit that follows. */
  next(unit: Pick<NewUnit, 'seq' | 'at' | 'events' | 'origin' | 'machine'>): string
}

/** A chain of ids from `anchor` on. A migration carries the new machine to the units after it. */
export function unitChain(format: ObjectFormat, anchor: ChainAnchor): UnitChain {
  let { id, machine, created } = anchor
  return {
    get id() {
      return id
    },
    get machine() {
      return machine
    },
    next(unit) {
      machine = unit.machine ?? machine
      id = unitId(format, { parent: id, machine, unit, created })
      created = undefined
      return id
    },
  }
}
