import type { DueQuery, DueRun, LeaseKey, LeaseRow, Mail } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { Attention, AttentionIndex, partitionName } from '../attention.ts'
import { mailId } from '../judge.ts'
import type { Checkpoint } from './checkpoint.ts'
import { type Draft, mailedOf, pinName, type View } from './draft.ts'
import { Layer } from './layer.ts'
import { emptyLog, type LogEnd } from './layout.ts'
import { PageDamaged } from './pages.ts'
import type { ReadCheckpoint } from './read-checkpoint.ts'
import { readMail, type WrittenMail } from './record.ts'
import type { MachineAt, Renewal, Row } from './row.ts'
import { emptyTable, type RowTable } from './table.ts'
import { GrowingDictionary, mergeTable } from './table-merge.ts'
import type { Work } from './turns.ts'

/** What an index begins with. */
export interface IndexOrigin {
  /** @param position where a line of the log stands */
  readonly line: (position: number) => Buffer
  readonly dictionary?: GrowingDictionary
  readonly checkpoint?: ReadCheckpoint
  /** Makes the checkpoint's table of the log, because its file is damaged. */
  readonly remake?: (dictionary: GrowingDictionary, why: PageDamaged) => RowTable
}

/** How many changed rows are kept as objects before they are packed. */
const mostLoose = 65_536

/**
 * What is durable: of every run its row, and all else that can be asked without reading a history. A packed table as of
 * some time ago, with what changed since in front of it.
 */
export class RunIndex implements View {
  /** Up to where in the log this is true. */
  end: LogEnd = emptyLog
  readonly dictionary: GrowingDictionary
  readonly #format: ObjectFormat
  readonly #origin: IndexOrigin
  readonly #leases = new Map<string, LeaseRow>()
  readonly #renewals = new Map<string, Renewal>()
  readonly #attention = new AttentionIndex()
  /** Of the runs that need something, or that some process has in hand. */
  readonly #attended = new Map<string, Attention>()
  #table: RowTable
  /** Changes that are being packed. */
  #older: Layer | undefined
  #newer = new Layer()

  constructor(format: ObjectFormat, origin: IndexOrigin) {
    const { checkpoint, dictionary } = origin
    this.#format = format
    this.#origin = origin
    this.#table = checkpoint?.table ?? emptyTable(format)
    this.dictionary = checkpoint?.dictionary ?? dictionary ?? new GrowingDictionary()
    if (checkpoint === undefined) return
    this.end = checkpoint.end
    for (const row of checkpoint.leases) this.#leases.set(partitionName(row), Object.freeze(row))
    for (const renewal of checkpoint.renewals) this.#renew(renewal)
    for (const index of checkpoint.table.attended()) {
      const { due, process, ...run } = this.#ask(table => table.attention(index))
      this.#attend(run, due, process)
    }
  }

  /** Closes the file of the checkpoint: what was not read of it cannot be asked any more. */
  close(): void {
    this.#origin.checkpoint?.close()
  }

  row(run: string): Row | undefined {
    const row = this.#newer.rows.get(run) ?? this.#older?.rows.get(run)
    if (row !== undefined) return row
    return this.#ask(table => {
      const index = table.find(run)
      return index < 0 ? undefined : table.row(index)
    })
  }

  pinned(namespace: string, key: string): string | undefined {
    const name = pinName(namespace, key)
    const loose = this.#newer.pins.get(name) ?? this.#older?.pins.get(name)
    return loose ?? this.#ask(table => table.pinned(namespace, key))
  }

  lease(key: LeaseKey): LeaseRow | undefined {
    return this.#leases.get(partitionName(key))
  }

  machine(oid: string): MachineAt | undefined {
    return this.dictionary.machineOf(oid)
  }

  received(mail: Mail): boolean {
    const row = this.row(mail.receiver)
    if (row?.mails === undefined || row.mails.isNew(mail, mailedOf(this))) return false
    const name = mailId(mail)
    for (let position = row.mails.last; position > 0; ) {
      const line: WrittenMail = JSON.parse(this.#origin.line(position).toString())
      if (mailId(readMail(line)) === name) return true
      position = line.prev
    }
    return false
  }

  due(query: DueQuery): DueRun[] {
    return this.#attention.due(query)
  }

  /** Until when a process lives, ms; 0: it never said so, or is gone. */
  until(process: string): number {
    return this.#attention.until(process)
  }

  /** Place of a run's newest snapshot; 0: none. */
  snapshot(run: string): number {
    const place = this.#newer.snapshots.get(run) ?? this.#older?.snapshots.get(run)
    if (place !== undefined) return place
    return this.#ask(table => {
      const index = table.find(run)
      return index < 0 ? 0 : table.snapshot(index)
    })
  }

  setSnapshot(run: string, place: number): void {
    this.#newer.snapshots.set(run, place)
  }

  /** Takes over what a flush changed, which is durable now. */
  commit(draft: Draft, end: LogEnd): void {
    const { rows, pins } = this.#newer
    for (const [oid, machine] of draft.machines) if (this.machine(oid) === undefined) this.dictionary.machine(machine)
    for (const [name, row] of draft.leases) this.#leases.set(name, row)
    for (const [name, run] of draft.pins) pins.set(name, run)
    for (const renewal of draft.renewals.values()) this.#renew(renewal)
    for (const [run, row] of draft.rows) {
      rows.set(run, row)
      this.#attend(row, row.due, row.beside.process)
    }
    this.end = end
  }

  /** Whether a process said through another holder of the lock that it lives. */
  hasRenewalsBefore(holder: string): boolean {
    for (const renewal of this.#renewals.values()) if (renewal.holder !== holder) return true
    return false
  }

  /** Forgets what processes said through other holders of the lock: those are gone, and what they had in flight with them. */
  forgetRenewalsBefore(holder: string): void {
    for (const renewal of this.#renewals.values()) {
      if (renewal.holder === holder) continue
      this.#renewals.delete(renewal.process)
      this.#attention.renew(renewal.process, 0)
    }
  }

  #renew(renewal: Renewal): void {
    this.#renewals.set(renewal.process, renewal)
    this.#attention.renew(renewal.process, renewal.until)
  }

  /** Whether so much is loose that it should be packed. */
  get crowded(): boolean {
    return this.#older === undefined && this.#newer.rows.size > mostLoose + this.#table.count / 8
  }

  /** Packs what changed into the table. Returns the index as of the call, to be kept in a file with the snapshots as of then. */
  *packing(): Work<Omit<Checkpoint, 'snapshots'>> {
    const { end, dictionary } = this
    const leases = [...this.#leases.values()]
    const renewals = [...this.#renewals.values()]
    const older = (this.#older = this.#newer)
    this.#newer = new Layer()
    try {
      this.#table = yield* mergeTable(this.#format, yield* this.#wholeTable(), older, dictionary)
    } catch (error) {
      this.#newer.putUnder(older)
      throw error
    } finally {
      this.#older = undefined
    }
    return { end, table: this.#table, dictionary, leases, renewals }
  }

  /** The rows of runs after `after` (or from it on, where `inclusive`) whose id begins with `prefix`, in order, at most `limit`. */
  rowsAfter(sorted: readonly string[], after: string, inclusive: boolean, limit: number): Row[] {
    return this.#ask(table => this.#rowsAfter(table, sorted, after, inclusive, limit))
  }

  #rowsAfter(table: RowTable, sorted: readonly string[], after: string, inclusive: boolean, limit: number): Row[] {
    const rows: Row[] = []
    let loose = lowerBound(sorted, after)
    let packed = table.lowerBound(after)
    if (!inclusive && sorted[loose] === after) loose++
    if (!inclusive && packed < table.count && table.run(packed) === after) packed++
    while (rows.length < limit) {
      const left = sorted[loose]
      const right = packed < table.count ? table.run(packed) : undefined
      if (left === undefined && right === undefined) break
      const run = right === undefined || (left !== undefined && left < right) ? left! : right
      const loosely = this.#newer.rows.get(run) ?? this.#older?.rows.get(run)
      rows.push(loosely ?? (run === right ? table.row(packed) : this.row(run)!))
      if (run === left) loose++
      if (run === right) packed++
    }
    return rows
  }

  /** The ids of all runs that are not in the table, and of some that are. */
  looseRuns(): readonly string[] {
    const runs = [...this.#newer.rows.keys()]
    for (const run of this.#older?.rows.keys() ?? []) if (!this.#newer.rows.has(run)) runs.push(run)
    return runs
  }

  #attend(of: Pick<Row, 'run' | 'namespace' | 'lease'>, due: number | null, process: string | null): void {
    const { run, namespace, lease } = of
    let attention = this.#attended.get(run)
    if (attention === undefined) {
      if (due === null && process === null) return
      this.#attended.set(run, (attention = new Attention(run, namespace)))
    }
    this.#attention.set(attention, due, process, lease)
    if (due === null && process === null) this.#attended.delete(run)
  }

  /** What the table says. */
  #ask<T>(question: (table: RowTable) => T): T {
    const table = this.#table
    try {
      return question(table)
    } catch (error) {
      return question(this.#remade(table, error))
    }
  }

  /** The table with all of it in memory. */
  *#wholeTable(): Work<RowTable> {
    const table = this.#table
    try {
      yield* table.all()
    } catch (error) {
      this.#remade(table, error)
    }
    this.close()
    return this.#table
  }

  /** The table in place of one whose file is damaged: the same rows, in the same order. */
  #remade(table: RowTable, why: unknown): RowTable {
    const { remake } = this.#origin
    if (!(why instanceof PageDamaged) || remake === undefined) throw why
    if (this.#table === table) this.#table = remake(this.dictionary, why)
    return this.#table
  }
}

/** The first index whose id is not before `id`. */
function lowerBound(sorted: readonly string[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}
