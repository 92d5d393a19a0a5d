import type { LeaseKey } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { readBeside } from '../beside-text.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { emptyBeside } from '../judge.ts'
import { Waiting } from '../waiting.ts'
import { pinName } from './draft.ts'
import { type HeapEntry, readWaiting } from './heap.ts'
import { MailMarks } from './mail-marks.ts'
import { Pages } from './pages.ts'
import { type MachineAt, Row } from './row.ts'
import { flag, type RowLayout, rowLayouts, statuses } from './row-layout.ts'
import type { Work } from './turns.ts'

/*
 * Rows of many runs, packed: a record of fixed width each, in the order of the run ids, and the rest as JSON in a heap,
 * in the same order. A million runs are some 150 MB so, and as objects they would be a gigabyte.
 */

/** What the rows of a table refer to by number. */
export interface Dictionary {
  readonly namespaces: readonly string[]
  readonly machines: readonly MachineAt[]
}

/** The parts of a table. */
export interface TableParts {
  readonly rows: Pages
  readonly heap: Pages
  /** Hash table (namespace, key) → 1 + number of the row; 0: free. Its length is a power of two. */
  readonly slots: Pages
  /** The numbers of the rows whose runs need something, or that some process has in hand. */
  readonly attended: Buffer
}

/** Hash of a pin's name (FNV-1a). */
export function pinHash(name: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** The first six bytes of an id as a number; −1: it does not begin with so many digits. */
function leadOf(id: string): number {
  const lead = id.slice(0, 12)
  return /^[0-9a-f]{12}$/.test(lead) ? Number.parseInt(lead, 16) : -1
}

/** An immutable table of rows. What it is asked throws `PageDamaged` where it lies in a file that is not what was written. */
export class RowTable {
  readonly parts: TableParts
  readonly layout: RowLayout
  readonly count: number
  readonly #dictionary: Dictionary

  constructor(format: ObjectFormat, parts: TableParts, dictionary: Dictionary) {
    this.layout = rowLayouts[format]
    this.parts = parts
    this.count = parts.rows.length / this.layout.size
    this.#dictionary = dictionary
  }

  /** The number of a run's row; −1: it has none. */
  find(run: string): number {
    const index = this.lowerBound(run)
    return index < this.count && this.run(index) === run ? index : -1
  }

  /** The number of the first row whose run is not before `id`. */
  lowerBound(id: string): number {
    // An id's first six bytes as a number tell nearly all runs apart, without making a string of each that is looked at.
    const lead = leadOf(id)
    let low = lead < 0 ? 0 : this.#first(lead)
    let high = lead < 0 ? this.count : this.#first(lead + 1)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.run(middle) < id) low = middle + 1
      else high = middle
    }
    return low
  }

  #first(lead: number): number {
    const { rows } = this.parts
    const { size } = this.layout
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (rows.slice(middle * size, middle * size + 6).readUIntBE(0, 6) < lead) low = middle + 1
      else high = middle
    }
    return low
  }

  run(index: number): string {
    return this.#packed(index).toString('hex', 0, this.layout.idBytes)
  }

  row(index: number): Row {
    const { layout } = this
    const packed = this.#packed(index)
    const flags = packed.readUInt32LE(layout.flags)
    const from = packed.readDoubleLE(layout.heap)
    const entry = this.#entry(from, from + packed.readUInt32LE(layout.heapLength))
    const due = packed.readDoubleLE(layout.due)
    const namespace = this.namespace(index)
    return new Row({
      run: this.run(index),
      namespace,
      key: entry.key,
      time: flags & flag.source ? 'source' : 'arrival',
      fork: entry.fork,
      machine: this.#dictionary.machines[packed.readUInt32LE(layout.machine)]!,
      seq: packed.readUInt32LE(layout.seq),
      revision: packed.readDoubleLE(layout.revision),
      at: packed.readDoubleLE(layout.at),
      status: statuses[flags & 3]!,
      value: entry.value === undefined ? undefined : deepFreeze(entry.value),
      due: Number.isNaN(due) ? null : due,
      lease: this.lease(index),
      beside: entry.beside === undefined ? emptyBeside : readBeside(entry.beside, { namespace, key: entry.key }),
      head: packed.readDoubleLE(layout.head),
      mark: packed.readDoubleLE(layout.mark),
      waiting: new Waiting(readWaiting(entry.waiting)),
      mails: entry.mails && MailMarks.of(entry.mails),
    })
  }

  /** What a run needs, and who has it in hand. */
  attention(index: number): Pick<Row, 'run' | 'namespace' | 'due' | 'lease'> & { readonly process: string | null } {
    const packed = this.#packed(index)
    const due = packed.readDoubleLE(this.layout.due)
    const inHand = packed.readUInt32LE(this.layout.flags) & flag.process
    return {
      run: this.run(index),
      namespace: this.namespace(index),
      due: Number.isNaN(due) ? null : due,
      lease: this.lease(index),
      process: inHand ? this.row(index).beside.process : null,
    }
  }

  namespace(index: number): string {
    return this.#dictionary.namespaces[this.#packed(index).readUInt32LE(this.layout.namespace)]!
  }

  lease(index: number): LeaseKey | undefined {
    const packed = this.#packed(index)
    const partition = packed.readDoubleLE(this.layout.partition)
    if (Number.isNaN(partition)) return undefined
    const namespace = this.#dictionary.namespaces[packed.readUInt32LE(this.layout.leaseNamespace)]!
    return Object.freeze({ namespace, partition })
  }

  /** Place of a run's newest snapshot; 0: none. */
  snapshot(index: number): number {
    return this.#packed(index).readDoubleLE(this.layout.snapshot)
  }

  /** The run that (namespace, key) is pinned to. */
  pinned(namespace: string, key: string): string | undefined {
    const { slots } = this.parts
    const mask = slots.length / 4 - 1
    const hash = pinHash(pinName(namespace, key))
    for (let slot = hash & mask; mask >= 0; slot = (slot + 1) & mask) {
      const index = slots.slice(slot * 4, slot * 4 + 4).readUInt32LE(0) - 1
      if (index < 0) return undefined
      if (this.#packed(index).readUInt32LE(this.layout.pinHash) !== hash) continue
      const row = this.row(index)
      if (row.key === key && row.namespace === namespace) return row.run
    }
    return undefined
  }

  /** Numbers of the rows whose runs need something, or that some process has in hand. */
  *attended(): Generator<number> {
    const { attended } = this.parts
    for (let at = 0; at < attended.length; at += 4) yield attended.readUInt32LE(at)
  }

  /** Has all of it in memory: nothing it is asked from then on reads a file. */
  *all(): Work<void> {
    const { rows, heap, slots } = this.parts
    for (const pages of [rows, heap, slots]) yield* pages.all()
  }

  /** A row as it is packed. */
  #packed(index: number): Buffer {
    const { size } = this.layout
    return this.parts.rows.slice(index * size, (index + 1) * size)
  }

  #entry(start: number, end: number): HeapEntry {
    return JSON.parse(this.parts.heap.slice(start, end).toString())
  }
}

/** The table of a store without a checkpoint. */
export function emptyTable(format: ObjectFormat): RowTable {
  const nothing = Buffer.alloc(0)
  const none = new Pages(nothing)
  const parts = { rows: none, heap: none, slots: none, attended: nothing }
  return new RowTable(format, parts, { namespaces: [], machines: [] })
}
