import type { RunRow } from './run-row.ts'

/** Where the runs stand that this process wrote or looked at last: so that an append need not ask first. */
export class RecentRows {
  readonly #rows = new Map<string, RunRow>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get(run: string): RunRow | undefined {
    return this.#rows.get(run)
  }

  /** Keeps a row, unless a later one is kept; forgets the one that was written longest ago, where there are too many. */
  set(row: RunRow): void {
    const known = this.#rows.get(row.run)
    if (known !== undefined && known.revision > row.revision) return
    this.#rows.delete(row.run)
    this.#rows.set(row.run, row)
    if (this.#rows.size <= this.#limit) return
    for (const oldest of this.#rows.keys()) {
      this.#rows.delete(oldest)
      return
    }
  }

  clear(): void {
    this.#rows.clear()
  }
}
