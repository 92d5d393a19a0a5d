import { displayWidth } from './display-width.ts'
import type { Terminal } from './terminal.ts'

/** How many rows are seen before the columns get their widths. */
const seenRows = 100

/** Rows in columns, as many as there are: the first hundred decide the widths. */
export class Table {
  readonly #terminal: Terminal
  #widths: readonly number[] | undefined
  #waiting: (readonly [record: unknown, row: readonly string[]])[] = []

  constructor(terminal: Terminal, headings: readonly string[]) {
    this.#terminal = terminal
    if (!terminal.json) this.#waiting.push([undefined, headings])
  }

  /** A row; with `--json`, its record instead. */
  async add(record: unknown, row: () => readonly string[]): Promise<void> {
    if (this.#terminal.json) return this.#terminal.print(record, () => undefined)
    this.#waiting.push([record, row()])
    if (this.#widths !== undefined || this.#waiting.length > seenRows) await this.end()
  }

  /** Writes what still waits. */
  async end(): Promise<void> {
    const rows = this.#waiting
    this.#waiting = []
    this.#widths ??= (rows[0]?.[1] ?? []).map((_, column) =>
      Math.max(...rows.map(([, row]) => displayWidth(row[column]!))),
    )
    const widths = this.#widths
    for (const [record, row] of rows) {
      await this.#terminal.print(record, () =>
        row
          .map((cell, column) => cell + ' '.repeat(Math.max(0, widths[column]! - displayWidth(cell))))
          .join('  ')
          .trimEnd(),
      )
    }
  }
}
