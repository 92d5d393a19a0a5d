import type { AppendOutcome, BesideChange } from '../contracts/store.ts'
import type { NewUnit } from '../contracts/unit.ts'
import type { Observer } from './observer.ts'
import type { Resident } from './resident.ts'

/** A change of what is kept beside a run, while it is put together. */
export type BesideDraft = { -readonly [K in keyof BesideChange]: BesideChange[K] }

/**
 * What is to be sent out for a run by whoever drives it: results, dead letters. It is kept beside the run, and what is to
 * be kept goes along with the run's own items, so that it costs no append of its own.
 */
export interface RunOutbox extends Observer {
  /** Something is to be written, also if no unit comes that would take it along. */
  readonly dirty: boolean
  /** When the run needs its owner for what it has to send, ms, as of the last {@link enter}; `undefined`: it does not. */
  readonly due: number | undefined
  /** The resident that it belongs to: `touch()` asks it for an item. Called once. */
  attach(resident: Resident): void
  /**
   * Adds to the next item what is to be kept with it.
   * @returns whether {@link due} changes with the item
   */
  enter(units: readonly NewUnit[], refused: number, beside: BesideDraft): boolean
  /** What became of the last item: only what is `appended` is durable. */
  entered(status: AppendOutcome['status']): void
}
