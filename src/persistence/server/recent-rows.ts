import type { RunRow } from './run-row.ts'

/** Where the runs stand that this process wrote or looked at last: so that an append need not ask first. */
export class RecentRows {
  #rows = new Map<string, RunRow>()
  /** Those that were not written since the others began: they go next. To move each row at each write costs more. */
  #older = new Map<string, RunRow>()
  readonly #limit: number

  /** @param limit so many are kept at least, and twice as many at most */
  constructor(limit: number) {
    this.#limit = limit
  }

  get(run: string): RunRow | undefined {
    return this.#rows.get(run) ?? this.#older.get(run)
  }

  /** Keeps a row, unless a later one is kept; forgets those that were written longest ago, where there are too many. */
  set(row: RunRow): void {
    const known = this.get(row.run)
    if (known !== undefined && known.revision > row.revision) return
    this.#rows.set(row.run, row)
    if (this.#rows.size < this.#limit) return
    this.#older = this.#rows
    this.#rows = new Map()
  }

  clear(): void {
    this.#rows.clear()
    this.#older.clear()
  }
}
