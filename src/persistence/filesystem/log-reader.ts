import * as fs from 'node:fs'
import { join } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { enterFrames } from './enter-frames.ts'
import { damaged, errnoOf, readFailure } from './failures.ts'
import { type LogFiles, Segments } from './files.ts'
import { OwnUnits } from './history.ts'
import { indexName, type Listing, type LogEnd, type StoreWarning, segmentName, sortEntries } from './layout.ts'
import type { PageDamaged } from './pages.ts'
import { type ReadCheckpoint, readCheckpoint } from './read-checkpoint.ts'
import type { HistorySource } from './reading.ts'
import type { Row } from './row.ts'
import { RunIndex } from './run-index.ts'
import { endHolds } from './scan.ts'
import { readSegmentHeader } from './segment.ts'
import type { UnitMark } from './snapshot-line.ts'
import { type SnapshotContext, Snapshots } from './snapshots.ts'
import type { RowTable } from './table.ts'
import type { GrowingDictionary } from './table-merge.ts'
import { atOnce, inTurns } from './turns.ts'
import type { KnownId } from './unit-ids.ts'

/** How a log is read. */
export interface LogReaderOptions {
  readonly dir: string
  readonly objectFormat: ObjectFormat
  readonly files: LogFiles
  readonly segmentBytes: number
  /** Whether a directory without a log is refused, as one that is only read. */
  readonly mustExist: boolean
  readonly warn: (warning: StoreWarning) => void
}

/** A log as it is read: the index of all its frames, kept up with what a writer adds. */
export class LogReader implements HistorySource, SnapshotContext {
  readonly objectFormat: ObjectFormat
  readonly segments: Segments
  readonly snapshots: Snapshots
  /** Bytes behind the last whole frame. */
  torn = 0
  /** Bytes of the log that the checkpoint does not cover. */
  uncovered = 0
  /** Length of the checkpoint. */
  checkpointLength = 0
  readonly #options: LogReaderOptions
  #index: RunIndex
  #loaded = false

  constructor(options: LogReaderOptions) {
    this.#options = options
    this.objectFormat = options.objectFormat
    this.segments = new Segments(options.dir, options.files)
    this.#index = this.#emptyIndex()
    const { dir, segmentBytes, warn } = options
    const idWidth = options.objectFormat === 'sha1' ? 40 : 64
    this.snapshots = new Snapshots({ dir, segmentBytes, idWidth, warn }, this)
  }

  get index(): RunIndex {
    return this.#index
  }

  /** Reads what was written since the last time; everything, the first time. */
  async refresh(): Promise<void> {
    if (this.#isCurrent()) return
    const listing = this.#list()
    if (listing === undefined || listing.segments.length === 0) return this.#refuseAbsent(listing)
    if (!this.#goesOn()) return this.#load(listing)
    try {
      await this.#enter(listing)
    } catch (error) {
      if (!XMachinesError.is(error, 'STORE_DAMAGED')) throw error
      // A writer that took a failed write back may have written something else in its place meanwhile.
      await this.#load(this.#list() ?? listing)
    }
  }

  /** Whether nothing was written since the last time: asked before every operation of a store that only reads. */
  #isCurrent(): boolean {
    const { segment, offset } = this.#index.end
    if (!this.#loaded || this.torn > 0 || fs.existsSync(this.segments.path(segment + 1))) return false
    return this.segments.lengthNow(segment) === offset && endHolds(this.segments, this.#index.end)
  }

  /** Whether what was read is still how the log begins. */
  #goesOn(): boolean {
    const { end } = this.#index
    return this.#loaded && this.segments.lengthNow(end.segment) >= end.offset && endHolds(this.segments, end)
  }

  /** Takes what stands behind the last whole frame away, for who writes from now on. */
  cutTail(): void {
    const { segment, offset } = this.#index.end
    if (this.torn === 0) return
    this.#mend(file => this.#options.files.ftruncateSync(file, offset))
    const file = this.segments.path(segment)
    const message = `${file} ended in a flush that was never finished: its ${this.torn} bytes from byte ${offset} on were cut off.`
    this.#options.warn({ code: 'TAIL_CUT', message, file, offset, bytes: this.torn })
    this.torn = 0
  }

  /** Makes durable what a writer left that died between writing and syncing: others build on it from now on. */
  syncTail(): void {
    if (this.#index.end.segment > 0) this.#mend(file => this.#options.files.fsyncSync(file))
  }

  #mend(how: (descriptor: number) => void): void {
    const { files } = this.#options
    const descriptor = files.openSync(this.segments.path(this.#index.end.segment), 'r+')
    try {
      how(descriptor)
    } finally {
      files.closeSync(descriptor)
    }
  }

  row(run: string): Row | undefined {
    return this.#index.row(run)
  }

  snapshot(run: string): number {
    return this.#index.snapshot(run)
  }

  setSnapshot(run: string, place: number): void {
    if (this.#index.row(run) !== undefined) this.#index.setSnapshot(run, place)
  }

  mark(run: string, seq: number): UnitMark | undefined {
    const row = this.#index.row(run)
    if (row === undefined || seq > row.seq || seq < row.first) return undefined
    return new OwnUnits(this.segments, this.objectFormat, row, undefined).markOf(seq)
  }

  knownId(row: Row, seq: number): KnownId | undefined {
    const snapshot = this.snapshots.load(row.run, seq)
    if (snapshot?.id === undefined || snapshot.seq <= row.first) return undefined
    return { seq: snapshot.seq, id: snapshot.id, machine: snapshot.machine }
  }

  async close(): Promise<void> {
    await this.snapshots.close()
    this.#index.close()
    this.segments.close()
  }

  #line = (position: number): Buffer => this.segments.line(position)

  #emptyIndex(): RunIndex {
    return new RunIndex(this.objectFormat, { line: this.#line })
  }

  #indexOf(checkpoint: ReadCheckpoint): RunIndex {
    const remake = (dictionary: GrowingDictionary, why: PageDamaged): RowTable =>
      this.#remake(checkpoint.end, dictionary, why.message)
    return new RunIndex(this.objectFormat, { line: this.#line, checkpoint, remake })
  }

  #list(): Listing | undefined {
    const { dir } = this.#options
    try {
      return sortEntries(fs.readdirSync(dir))
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw readFailure(error, dir)
    }
  }

  /** A place without a log: a new store, unless it must be one already, or is something else. */
  #refuseAbsent(listing: Listing | undefined): void {
    const { dir, mustExist, warn } = this.#options
    if (listing !== undefined && listing.foreign.length > 0) {
      throw new XMachinesError(
        'STORE_FOREIGN',
        `${dir} holds something that is not a store (${listing.foreign[0]}). Give an empty or new directory.`,
        { details: { path: dir, found: listing.foreign.slice(0, 10) } },
      )
    }
    if (mustExist) {
      throw new XMachinesError('STORE_MISSING', `There is no store at ${dir}. Check the path.`, {
        details: { path: dir },
      })
    }
    if (this.#loaded || listing?.index) {
      const file = join(dir, indexName)
      warn({ code: 'INDEX_DROPPED', message: `The log that ${file} belongs to is gone; the index is not used.`, file })
      this.#index.close()
      this.#index = this.#emptyIndex()
      this.#loaded = false
    }
  }

  async #load(listing: Listing): Promise<void> {
    const { dir } = this.#options
    const missing = listing.segments.findIndex((segment, index) => segment !== index + 1)
    if (missing >= 0) throw damaged(join(dir, segmentName(missing + 1)), 0, 'the file is missing')
    for (const segment of listing.segments) this.segments.forget(segment)
    readSegmentHeader(this.segments, 1, this.objectFormat)
    const found = listing.index ? readCheckpoint(dir, this.objectFormat) : { unusable: undefined }
    const checkpoint = 'unusable' in found ? undefined : found
    let unusable = 'unusable' in found ? found.unusable : undefined
    if (checkpoint !== undefined && !endHolds(this.segments, checkpoint.end)) {
      unusable = `it is ahead of the log or belongs to another one (flush ${checkpoint.end.flush})`
    }
    if (unusable !== undefined) this.#warnOfIndex(unusable)
    const usable = unusable === undefined ? checkpoint : undefined
    if (usable === undefined) checkpoint?.close()
    this.#index.close()
    this.checkpointLength = usable?.length ?? 0
    this.uncovered = 0
    this.#index = usable === undefined ? this.#emptyIndex() : this.#indexOf(usable)
    await this.#enter(listing)
    this.#loaded = true
    await this.snapshots.scan(usable?.snapshots ?? { segment: 1, offset: 0, live: 0 })
  }

  async #enter({ segments }: Listing): Promise<void> {
    const until = { segment: segments.at(-1)!, offset: Number.POSITIVE_INFINITY }
    const { bytes, torn } = await inTurns(enterFrames(this.#index, this.segments, this.objectFormat, until))
    this.uncovered += bytes
    this.torn = torn
  }

  /** Makes the table of a checkpoint anew, of the log up to where the checkpoint knew it. */
  #remake(end: LogEnd, dictionary: GrowingDictionary, why: string): RowTable {
    this.#warnOfIndex(why)
    const index = new RunIndex(this.objectFormat, { line: this.#line, dictionary })
    const { bytes } = atOnce(enterFrames(index, this.segments, this.objectFormat, end))
    const context: SnapshotContext = {
      snapshot: run => index.snapshot(run),
      setSnapshot: (run, place) => index.row(run) && index.setSnapshot(run, place),
      mark: () => undefined,
    }
    atOnce(this.snapshots.tell(context))
    this.uncovered += bytes
    this.checkpointLength = 0
    return atOnce(index.packing()).table
  }

  #warnOfIndex(why: string): void {
    const file = join(this.#options.dir, indexName)
    const message = `${file} is not used: ${why}. The index is made from the log.`
    this.#options.warn({ code: 'INDEX_DROPPED', message, file })
  }
}
