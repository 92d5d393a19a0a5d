import type { Row } from './row.ts'

/** What changed in front of a packed table. */
export class Layer {
  readonly rows = new Map<string, Row>()
  readonly pins = new Map<string, string>()
  /** Places of the newest snapshots. */
  readonly snapshots = new Map<string, number>()

  /** Takes what it has not got of an older one. */
  putUnder(older: Layer): void {
    putUnder(this.rows, older.rows)
    putUnder(this.pins, older.pins)
    putUnder(this.snapshots, older.snapshots)
  }
}

function putUnder<V>(newer: Map<string, V>, older: ReadonlyMap<string, V>): void {
  for (const [key, value] of older) if (!newer.has(key)) newer.set(key, value)
}
