import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { pinName } from './draft.ts'
import { heapText } from './heap.ts'
import { Pages } from './pages.ts'
import type { MachineAt, Row } from './row.ts'
import { flag, type RowLayout, statuses } from './row-layout.ts'
import { type Dictionary, pinHash, RowTable, type TableParts } from './table.ts'
import type { Work } from './turns.ts'

/** What became of the rows of a table since it was made. */
export interface TableChanges {
  readonly rows: ReadonlyMap<string, Row>
  /** Places of the newest snapshots. */
  readonly snapshots: ReadonlyMap<string, number>
}

/** A dictionary that takes more entries: the names of the namespaces, and all machine versions of the store. */
export class GrowingDictionary implements Dictionary {
  readonly namespaces: string[] = []
  readonly machines: MachineAt[] = []
  readonly #namespaceNumbers = new Map<string, number>()
  readonly #machineNumbers = new Map<string, number>()

  namespace(name: string): number {
    let number = this.#namespaceNumbers.get(name)
    if (number === undefined) this.#namespaceNumbers.set(name, (number = this.namespaces.push(name) - 1))
    return number
  }

  machine(machine: MachineAt): number {
    let number = this.#machineNumbers.get(machine.oid)
    if (number === undefined) this.#machineNumbers.set(machine.oid, (number = this.machines.push(machine) - 1))
    return number
  }

  machineOf(oid: string): MachineAt | undefined {
    const number = this.#machineNumbers.get(oid)
    return number === undefined ? undefined : this.machines[number]
  }
}

/** How many rows are handled without a turn for others. */
const slice = 256

/**
 * The table with the changes in it. Neither may change meanwhile.
 *
 * @param table all of it in memory
 * @param dictionary what the table's rows refer to; takes what is new
 */
export function* mergeTable(
  format: ObjectFormat,
  table: RowTable,
  changes: TableChanges,
  dictionary: GrowingDictionary,
): Work<RowTable> {
  const changed = [...changes.rows.keys()]
  for (const id of changes.snapshots.keys()) if (!changes.rows.has(id)) changed.push(id)
  const ids = yield* sortedIds(changed)
  const merge = new Merge(table, dictionary, table.count + ids.length, changes)
  for (let index = 0; index < ids.length; index++) {
    if (index % slice === 0) yield
    for (const end = table.lowerBound(ids[index]!); merge.copyUpTo(end); ) yield
    merge.put(ids[index]!)
  }
  while (merge.copyUpTo(table.count)) yield
  return new RowTable(format, yield* merge.finish(), dictionary)
}

/** Ids in order, sorted in small lots: one sort of many would hold up everything else. */
export function* sortedIds(ids: readonly string[]): Work<readonly string[]> {
  const lots = new Map<string, string[]>()
  for (let index = 0; index < ids.length; index++) {
    if (index % slice === slice - 1) yield
    const id = ids[index]!
    const name = id.slice(0, 3)
    const lot = lots.get(name)
    if (lot === undefined) lots.set(name, [id])
    else lot.push(id)
  }
  const sorted: string[] = []
  for (const name of [...lots.keys()].sort()) {
    yield
    for (const id of lots.get(name)!.sort()) sorted.push(id)
  }
  return sorted
}

/** A merge under way: rows come in the order of their ids, those that did not change in one copy. */
class Merge {
  readonly #table: RowTable
  readonly #dictionary: GrowingDictionary
  readonly #changes: TableChanges
  readonly #layout: RowLayout
  readonly #rows: Buffer
  #heap: Buffer
  #heapLength = 0
  #count = 0
  #keyed = 0
  /** The next row of the old table. */
  #old = 0

  constructor(table: RowTable, dictionary: GrowingDictionary, count: number, changes: TableChanges) {
    this.#table = table
    this.#dictionary = dictionary
    this.#changes = changes
    this.#layout = table.layout
    this.#rows = Buffer.alloc(count * table.layout.size)
    this.#heap = Buffer.allocUnsafeSlow(table.parts.heap.length + changes.rows.size * 192)
  }

  /** Copies the old rows before `end`, or some of them. Returns whether there are more. */
  copyUpTo(end: number): boolean {
    const until = Math.min(end, this.#old + slice)
    if (until > this.#old) this.#copy(this.#old, until)
    this.#old = Math.max(this.#old, until)
    return until < end
  }

  /** Puts the changed row of a run, instead of the old one if there is one. */
  put(run: string): void {
    const old = this.#old < this.#table.count && this.#table.run(this.#old) === run ? this.#old++ : -1
    const row = this.#changes.rows.get(run)
    const snapshot = this.#changes.snapshots.get(run) ?? (old < 0 ? 0 : this.#table.snapshot(old))
    if (row !== undefined) this.#write(row, snapshot)
    else if (old >= 0) {
      this.#copy(old, old + 1)
      this.#rows.writeDoubleLE(snapshot, (this.#count - 1) * this.#layout.size + this.#layout.snapshot)
    }
  }

  *finish(): Work<TableParts> {
    const rows = new Pages(this.#rows.subarray(0, this.#count * this.#layout.size))
    const heap = new Pages(this.#heap.subarray(0, this.#heapLength))
    const [slots, attended] = yield* this.#derive()
    return { rows, heap, slots: new Pages(slots), attended }
  }

  #copy(from: number, until: number): void {
    const { size, heap: heapField, heapLength, flags } = this.#layout
    const rows = this.#table.parts.rows.slice(from * size, until * size)
    const first = rows.readDoubleLE(heapField)
    const last = rows.length - size
    const end = rows.readDoubleLE(last + heapField) + rows.readUInt32LE(last + heapLength)
    this.#reserve(end - first)
    this.#table.parts.heap.slice(first, end).copy(this.#heap, this.#heapLength)
    const moved = this.#heapLength - first
    const at = this.#count * size
    rows.copy(this.#rows, at)
    for (let row = at; row < at + (until - from) * size; row += size) {
      this.#rows.writeDoubleLE(this.#rows.readDoubleLE(row + heapField) + moved, row + heapField)
      if (this.#rows.readUInt32LE(row + flags) & flag.keyed) this.#keyed++
    }
    this.#heapLength += end - first
    this.#count += until - from
  }

  #write(row: Row, snapshot: number): void {
    const text = heapText(row)
    if (this.#heapLength + text.length * 3 > this.#heap.length) this.#reserve(Buffer.byteLength(text))
    const length = this.#heap.write(text, this.#heapLength)
    const rows = this.#rows
    const layout = this.#layout
    const at = this.#count++ * layout.size
    const { key, lease, due } = row
    let flags = statuses.indexOf(row.status)
    if (row.time === 'source') flags |= flag.source
    if (row.beside.process !== null) flags |= flag.process
    if (key !== undefined) {
      flags |= flag.keyed
      this.#keyed++
    }
    rows.write(row.run, at, 'hex')
    rows.writeDoubleLE(row.head, at + layout.head)
    rows.writeDoubleLE(row.mark, at + layout.mark)
    rows.writeDoubleLE(snapshot, at + layout.snapshot)
    rows.writeDoubleLE(row.at, at + layout.at)
    rows.writeDoubleLE(due ?? Number.NaN, at + layout.due)
    rows.writeDoubleLE(row.revision, at + layout.revision)
    rows.writeDoubleLE(this.#heapLength, at + layout.heap)
    rows.writeDoubleLE(lease?.partition ?? Number.NaN, at + layout.partition)
    rows.writeUInt32LE(row.seq, at + layout.seq)
    rows.writeUInt32LE(length, at + layout.heapLength)
    rows.writeUInt32LE(key === undefined ? 0 : pinHash(pinName(row.namespace, key)), at + layout.pinHash)
    rows.writeUInt32LE(this.#dictionary.machine(row.machine), at + layout.machine)
    rows.writeUInt32LE(this.#dictionary.namespace(row.namespace), at + layout.namespace)
    rows.writeUInt32LE(
      lease === undefined ? 0 : this.#dictionary.namespace(lease.namespace),
      at + layout.leaseNamespace,
    )
    rows.writeUInt32LE(flags, at + layout.flags)
    this.#heapLength += length
  }

  /** What is made of all rows: the hash table of their keys, and which are attended. */
  *#derive(): Work<readonly [slots: Buffer, attended: Buffer]> {
    const { size, pinHash: hashField, flags, due } = this.#layout
    const count = this.#keyed === 0 ? 0 : 2 ** Math.ceil(Math.log2(this.#keyed * 1.5 + 1))
    const slots = Buffer.alloc(count * 4)
    const attended: number[] = []
    for (let index = 0; index < this.#count; index++) {
      if (index % slice === 0) yield
      const at = index * size
      const set = this.#rows.readUInt32LE(at + flags)
      if (set & flag.process || !Number.isNaN(this.#rows.readDoubleLE(at + due))) attended.push(index)
      if ((set & flag.keyed) === 0) continue
      let slot = this.#rows.readUInt32LE(at + hashField) & (count - 1)
      while (slots.readUInt32LE(slot * 4) !== 0) slot = (slot + 1) & (count - 1)
      slots.writeUInt32LE(index + 1, slot * 4)
    }
    return [slots, numbered(attended)]
  }

  #reserve(length: number): void {
    if (this.#heapLength + length <= this.#heap.length) return
    const larger = Buffer.allocUnsafeSlow(Math.ceil((this.#heapLength + length) * 1.25))
    this.#heap.copy(larger, 0, 0, this.#heapLength)
    this.#heap = larger
  }
}

/** Numbers of rows, four bytes each. */
function numbered(rows: readonly number[]): Buffer {
  const bytes = Buffer.alloc(rows.length * 4)
  for (const [at, row] of rows.entries()) bytes.writeUInt32LE(row, at * 4)
  return bytes
}
