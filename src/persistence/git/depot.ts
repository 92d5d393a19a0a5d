import type { GitObject } from '../../actors/identity/index.ts'
import type { RefChange } from './ref-change.ts'

/** Objects that are put into a repository together. */
export interface ObjectBatch {
  /** Adds a copy of an object. */
  add(object: GitObject): void
  /** In bytes, about. */
  readonly size: number
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
}
