import type { RunHead } from '../contracts/store.ts'

/** Of so many runs it is remembered how a pass left them: some 150 bytes each. */
const mostRuns = 1_000_000

/** How a pass left a run. */
interface Left {
  /** Revisions: each durable change of a run raises its own. */
  readonly source: number
  readonly target: number
  readonly held: boolean
}

/**
 * What passes of one process know of each other, so that the next one reads only runs that have changed. It grows with the
 * runs, by two numbers each, up to a bound; of runs beyond it the last unit is compared in each pass.
 */
export class CopyMemory {
  readonly #left = new Map<string, Left>()
  readonly #most: number

  /** @param most of how many runs something is remembered */
  constructor(most = mostRuns) {
    this.#most = most
  }

  /** Whether neither side has changed since, and nothing else is wanted of the target. */
  isAsLeft({ run, revision }: RunHead, target: RunHead | undefined, held: boolean): boolean {
    const left = this.#left.get(run)
    return left?.source === revision && left.target === target?.revision && left.held === held
  }

  /** Whether the target has what a pass compared or appended, and nothing else: a history of the source, which only grows. */
  isCompared({ run, revision }: RunHead): boolean {
    return this.#left.get(run)?.target === revision
  }

  /** @param target the revision of the run in the target; `undefined`: nobody knows */
  remember({ run, revision }: RunHead, target: number | undefined, held: boolean): void {
    if (target === undefined) this.#left.delete(run)
    else if (this.#left.size < this.#most || this.#left.has(run))
      this.#left.set(run, { source: revision, target, held })
  }
}
