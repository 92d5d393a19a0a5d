import { batchesOf } from '../../actors/batch-stream.ts'
import type { ListOptions, RunHead } from '../../actors/contracts/store.ts'
import type { Supervisor } from '../../actors/supervisor/index.ts'
import { nextTurn } from '../filesystem/turns.ts'

/** What an archive follows: a supervisor, or whatever else tells of the units of a store. */
export type UnitSource = Pick<Supervisor, 'store' | 'units'>

export function isUnitSource(source: object): source is UnitSource {
  return typeof source === 'object' && source !== null && 'units' in source
}

/** Heads that are asked for at a time. */
const headsAtOnce = 64
/** Of more runs than this, a listing is shorter. */
const mostRuns = 65_536
/** Notices that may come in at once: only the names of their runs are kept. */
const buffer = 65_536

/** The runs of a store that may have something new, by the units that a supervisor tells of: all of them at first, and after a gap. */
export class MovedRuns {
  readonly #source: UnitSource
  readonly #moved: () => void
  /** Where the runs stand is not known. */
  #everything = true
  #runs = new Set<string>()
  /** What the pass in hand commits, or a pass that failed. */
  #inHand: { readonly everything: boolean; readonly runs: ReadonlySet<string> } = { everything: false, runs: new Set() }
  #broken: unknown

  /** Follows from the call on. @param moved called when a run moves @param signal ends it */
  constructor(source: UnitSource, signal: AbortSignal, moved: () => void) {
    this.#source = source
    this.#moved = moved
    void this.#follow(source.units({ buffer, signal }), signal)
  }

  /** Of all runs that moved and are not committed. What was durable at the call is among it. */
  async *heads(signal: AbortSignal, damaged: NonNullable<ListOptions['damaged']>): AsyncGenerator<RunHead> {
    // Notices that wait are taken within this turn.
    await nextTurn()
    if (this.#broken !== undefined) throw this.#broken
    const { store } = this.#source
    const inHand = this.#inHand
    const everything = this.#everything || inHand.everything
    // A listing has them all.
    const runs = everything ? [] : [...new Set([...inHand.runs, ...this.#runs])]
    this.#inHand = { everything, runs: new Set(runs) }
    this.#everything = false
    this.#runs = new Set()
    if (everything) return yield* store.list({ signal, damaged })
    for (let at = 0; at < runs.length; at += headsAtOnce) {
      const heads = await Promise.all(runs.slice(at, at + headsAtOnce).map(run => store.head(run, { signal })))
      for (const head of heads) if (head !== undefined) yield head
    }
  }

  /** What `heads` gave is committed, but for these: they are tried again. */
  committed(failed: readonly string[]): void {
    this.#inHand = { everything: false, runs: new Set(failed) }
  }

  async #follow(units: ReturnType<UnitSource['units']>, signal: AbortSignal): Promise<void> {
    try {
      for await (const batch of batchesOf(units)) {
        for (const { run } of batch) {
          if (run === undefined || this.#runs.size >= mostRuns) this.#everything = true
          else if (!this.#everything) this.#runs.add(run)
        }
        this.#moved()
      }
    } catch (error) {
      if (!signal.aborted) this.#broken = error
    }
  }
}
