import type { LeaseKey, RunStatus } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { readBeside } from '../beside-text.ts'
import { deepFreeze } from '../deep-freeze.ts'
import { emptyBeside } from '../judge.ts'
import { Waiting } from '../waiting.ts'
import { pinName } from './draft.ts'
import { type HeapEntry, readWaiting } from './heap.ts'
import { MailMarks } from './mail-marks.ts'
import { type MachineAt, Row } from './row.ts'

/*
 * Rows of many runs, packed: a record of fixed width each, in the order of the run ids, and the rest as JSON in a heap,
 * in the same order. A million runs are some 150 MB so, and as objects they would be a gigabyte.
 */

/** Where the fields of a packed row are, counted from its start. */
export interface RowLayout {
  readonly idBytes: number
  readonly head: number
  readonly mark: number
  readonly snapshot: number
  readonly at: number
  readonly due: number
  readonly revision: number
  readonly heap: number
  readonly partition: number
  readonly seq: number
  readonly heapLength: number
  readonly pinHash: number
  readonly machine: number
  readonly namespace: number
  readonly leaseNamespace: number
  readonly flags: number
  readonly size: number
}

function layoutFor(idBytes: number): RowLayout {
  let next = idBytes
  const field = (size: number): number => (next += size) - size
  return {
    idBytes,
    head: field(8),
    mark: field(8),
    snapshot: field(8),
    at: field(8),
    due: field(8),
    revision: field(8),
    heap: field(8),
    partition: field(8),
    seq: field(4),
    heapLength: field(4),
    pinHash: field(4),
    machine: field(4),
    namespace: field(4),
    leaseNamespace: field(4),
    flags: field(4),
    size: next,
  }
}

/** Where the fields of a packed row are. */
export const rowLayouts: Readonly<Record<ObjectFormat, RowLayout>> = { sha1: layoutFor(20), sha256: layoutFor(32) }

/** Bits of a row's flags; the status is in the lowest two. */
export const flag = { source: 4, keyed: 8, process: 16 } as const

/** Statuses by their number in the flags. */
export const statuses: readonly RunStatus[] = ['active', 'done', 'error', 'stopped']

/** What the rows of a table refer to by number. */
export interface Dictionary {
  readonly namespaces: readonly string[]
  readonly machines: readonly MachineAt[]
}

/** The parts of a table. */
export interface TableParts {
  readonly rows: Buffer
  readonly heap: Buffer
  /** Hash table (namespace, key) → 1 + number of the row; 0: free. Its length is a power of two. */
  readonly slots: Buffer
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

/** An immutable table of rows. */
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
      if (rows.readUIntBE(middle * size, 6) < lead) low = middle + 1
      else high = middle
    }
    return low
  }

  run(index: number): string {
    const start = index * this.layout.size
    return this.parts.rows.toString('hex', start, start + this.layout.idBytes)
  }

  row(index: number): Row {
    const { rows, heap } = this.parts
    const { layout } = this
    const at = index * layout.size
    const flags = rows.readUInt32LE(at + layout.flags)
    const from = rows.readDoubleLE(at + layout.heap)
    const entry: HeapEntry = JSON.parse(heap.toString('utf8', from, from + rows.readUInt32LE(at + layout.heapLength)))
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

  /** When a run needs something next; NaN: never. */
  due(index: number): number {
    return this.parts.rows.readDoubleLE(index * this.layout.size + this.layout.due)
  }

  /** Whether effects of a run are in flight in some process. */
  hasProcess(index: number): boolean {
    return (this.#flags(index) & flag.process) !== 0
  }

  namespace(index: number): string {
    const { rows } = this.parts
    return this.#dictionary.namespaces[rows.readUInt32LE(index * this.layout.size + this.layout.namespace)]!
  }

  lease(index: number): LeaseKey | undefined {
    const { rows } = this.parts
    const at = index * this.layout.size
    const partition = rows.readDoubleLE(at + this.layout.partition)
    if (Number.isNaN(partition)) return undefined
    const namespace = this.#dictionary.namespaces[rows.readUInt32LE(at + this.layout.leaseNamespace)]!
    return Object.freeze({ namespace, partition })
  }

  /** Place of a run's newest snapshot; 0: none. */
  snapshot(index: number): number {
    return this.parts.rows.readDoubleLE(index * this.layout.size + this.layout.snapshot)
  }

  /** The run that (namespace, key) is pinned to. */
  pinned(namespace: string, key: string): string | undefined {
    const { rows, slots } = this.parts
    const mask = slots.length / 4 - 1
    const hash = pinHash(pinName(namespace, key))
    for (let slot = hash & mask; mask >= 0; slot = (slot + 1) & mask) {
      const index = slots.readUInt32LE(slot * 4) - 1
      if (index < 0) return undefined
      if (rows.readUInt32LE(index * this.layout.size + this.layout.pinHash) !== hash) continue
      const row = this.row(index)
      if (row.key === key && row.namespace === namespace) return row.run
    }
    return undefined
  }

  #flags(index: number): number {
    return this.parts.rows.readUInt32LE(index * this.layout.size + this.layout.flags)
  }
}

/** The table of a store without a checkpoint. */
export function emptyTable(format: ObjectFormat): RowTable {
  const nothing = Buffer.alloc(0)
  return new RowTable(format, { rows: nothing, heap: nothing, slots: nothing }, { namespaces: [], machines: [] })
}
