import { displayWidth } from './display-width.ts'
import type { Terminal } from './terminal.ts'

/** How many rows are seen before the columns get their widths. */
const seenRows = 100

/** Rows in columns, as many as there are: the first hundred decide the widths, and a later row that is wider those from there on. */
export class Table {
  readonly #terminal: Terminal
  #widths: number[] | undefined
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
    const widths = (this.#widths ??= (rows[0]?.[1] ?? []).map(() => 0))
    for (const [, row] of rows)
      for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column]!, displayWidth(cell))
    for (const [record, row] of rows) {
      await this.#terminal.print(record, () =>
        row
          .map((cell, column) => cell + ' '.repeat(widths[column]! - displayWidth(cell)))
          .join('  ')
          .trimEnd(),
      )
    }
  }
}
