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
      rows.need(middle * size, middle * size + 6)
      if (rows.bytes.readUIntBE(middle * size, 6) < lead) low = middle + 1
      else high = middle
    }
    return low
  }

  run(index: number): string {
    const start = this.#at(index)
    return this.parts.rows.bytes.toString('hex', start, start + this.layout.idBytes)
  }

  row(index: number): Row {
    const { layout } = this
    const at = this.#at(index)
    const rows = this.parts.rows.bytes
    const flags = rows.readUInt32LE(at + layout.flags)
    const from = rows.readDoubleLE(at + layout.heap)
    const entry = this.#entry(from, from + rows.readUInt32LE(at + layout.heapLength))
    const due = rows.readDoubleLE(at + layout.due)
    const namespace = this.namespace(index)
    return new Row({
      run: this.run(index),
      namespace,
      key: entry.key,
      time: flags & flag.source ? 'source' : 'arrival',
      fork: entry.fork,
      machine: this.#dictionary.machines[rows.readUInt32LE(at + layout.machine)]!,
      seq: rows.readUInt32LE(at + layout.seq),
      revision: rows.readDoubleLE(at + layout.revision),
      at: rows.readDoubleLE(at + layout.at),
      status: statuses[flags & 3]!,
      value: entry.value === undefined ? undefined : deepFreeze(entry.value),
      due: Number.isNaN(due) ? null : due,
      lease: this.lease(index),
      beside: entry.beside === undefined ? emptyBeside : readBeside(entry.beside, { namespace, key: entry.key }),
      head: rows.readDoubleLE(at + layout.head),
      mark: rows.readDoubleLE(at + layout.mark),
      waiting: new Waiting(readWaiting(entry.waiting)),
      mails: entry.mails && MailMarks.of(entry.mails),
    })
  }

  /** What a run needs, and who has it in hand. */
  attention(index: number): Pick<Row, 'run' | 'namespace' | 'due' | 'lease'> & { readonly process: string | null } {
    const at = this.#at(index)
    const rows = this.parts.rows.bytes
    const due = rows.readDoubleLE(at + this.layout.due)
    const inHand = rows.readUInt32LE(at + this.layout.flags) & flag.process
    return {
      run: this.run(index),
      namespace: this.namespace(index),
      due: Number.isNaN(due) ? null : due,
      lease: this.lease(index),
      process: inHand ? this.row(index).beside.process : null,
    }
  }

  namespace(index: number): string {
    const at = this.#at(index) + this.layout.namespace
    return this.#dictionary.namespaces[this.parts.rows.bytes.readUInt32LE(at)]!
  }

  lease(index: number): LeaseKey | undefined {
    const at = this.#at(index)
    const rows = this.parts.rows.bytes
    const partition = rows.readDoubleLE(at + this.layout.partition)
    if (Number.isNaN(partition)) return undefined
    const namespace = this.#dictionary.namespaces[rows.readUInt32LE(at + this.layout.leaseNamespace)]!
    return Object.freeze({ namespace, partition })
  }

  /** Place of a run's newest snapshot; 0: none. */
  snapshot(index: number): number {
    return this.parts.rows.bytes.readDoubleLE(this.#at(index) + this.layout.snapshot)
  }

  /** The run that (namespace, key) is pinned to. */
  pinned(namespace: string, key: string): string | undefined {
    const { rows, slots } = this.parts
    const mask = slots.length / 4 - 1
    const hash = pinHash(pinName(namespace, key))
    for (let slot = hash & mask; mask >= 0; slot = (slot + 1) & mask) {
      slots.need(slot * 4, slot * 4 + 4)
      const index = slots.bytes.readUInt32LE(slot * 4) - 1
      if (index < 0) return undefined
      if (rows.bytes.readUInt32LE(this.#at(index) + this.layout.pinHash) !== hash) continue
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

  /** Where a row begins, with its bytes there. */
  #at(index: number): number {
    const { size } = this.layout
    this.parts.rows.need(index * size, (index + 1) * size)
    return index * size
  }

  #entry(start: number, end: number): HeapEntry {
    const { heap } = this.parts
    heap.need(start, end)
    return JSON.parse(heap.bytes.toString('utf8', start, end))
  }
}

/** The table of a store without a checkpoint. */
export function emptyTable(format: ObjectFormat): RowTable {
  const nothing = Buffer.alloc(0)
  const none = new Pages(nothing)
  const parts = { rows: none, heap: none, slots: none, attended: nothing }
  return new RowTable(format, parts, { namespaces: [], machines: [] })
}
