import type { GitObject } from '../../actors/identity/index.ts'
import type { RefChange } from './ref-change.ts'
import type { CommitBase, CommittedUnit, Tip } from './run-commits.ts'

/** Objects that are put into a repository together. */
export interface ObjectBatch {
  /** Adds a copy of an object. */
  add(object: GitObject): void
  /** Commits units of a run that follow each other: on its last commit in this batch, or else on `base`. Awaited before more is given. */
  commit(run: string, base: CommitBase, units: readonly CommittedUnit[]): Promise<void>
  /** The last commits of the runs that were committed to. */
  tips(): Promise<ReadonlyMap<string, Tip>>
  /** In bytes, about. */
  readonly size: number
  /** Forgets it; what was published stays. */
  drop(): void
}

/** How a repository is written to. */
export interface Depot {
  /** Makes ready to write: takes away what a process of ours left that ended in the middle. */
  begin(): Promise<void>
  batch(): ObjectBatch
  /** Makes objects durable, and then sets refs, all or none. @throws RefMoved, and what a write throws: then no ref is set */
  publish(batch: ObjectBatch, changes: readonly RefChange[]): Promise<void>
  /** Tidies up when there is time. */
  tidy(): Promise<void>
  /** Gives back what it holds. */
  close(): Promise<void>
}
