import type { ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { type GitObject, writeUnit } from '../../actors/identity/index.ts'
import type { Work } from '../filesystem/turns.ts'

/** What the objects of a unit are made of. */
export type CommittedUnit = Pick<Unit, 'seq' | 'at' | 'events' | 'origin'> & { readonly machine?: string | undefined }

/** Where the next commit of a run goes. */
export interface Tip {
  /** The commit before it. */
  readonly oid: string
  /** The machine's commit there. */
  readonly machine: string
}

/** Where a run's commits begin. */
export interface CommitBase extends Tip {
  /** The creation's time: known where the next commit is the first. */
  readonly created: number | undefined
}

/** Makes the commits of units, each on the one before of its run. */
export class RunCommits {
  /** The last commits. */
  readonly tips = new Map<string, Tip>()
  readonly #format: ObjectFormat
  readonly #take: (object: GitObject) => void

  /** @param take as of `writeUnit`: it copies what is to stay */
  constructor(format: ObjectFormat, take: (object: GitObject) => void) {
    this.#format = format
    this.#take = take
  }

  /** Commits units that follow each other: on the run's last commit here, or else on `base`. */
  *commit(run: string, base: CommitBase, units: readonly CommittedUnit[]): Work<void> {
    let { oid, machine } = this.tips.get(run) ?? base
    for (const unit of units) {
      machine = unit.machine ?? machine
      // The creation's time is part of the first commit after it.
      const created = oid === run ? base.created : undefined
      oid = writeUnit(this.#format, { parent: oid, machine, unit, created }, this.#take)
      yield
    }
    this.tips.set(run, { oid, machine })
  }
}
