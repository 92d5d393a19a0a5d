import * as fs from 'node:fs'
import { join } from 'node:path'
import type { StoredSnapshot } from '../../actors/contracts/store.ts'
import { messageOf } from '../../actors/errors.ts'
import { deepFreeze } from '../deep-freeze.ts'
import type { SnapshotsState } from './checkpoint.ts'
import { goingOn, readFully } from './files.ts'
import { offsetAt, positionOf, type StoreWarning, segmentAt, snapshotsName, sortEntries } from './layout.ts'
import {
  readSnapshotHead,
  type SnapshotHead,
  setOlder,
  snapshotBytes,
  snapshotHeadLength,
  snapshotHolds,
  type UnitMark,
  type WrittenSnapshot,
} from './snapshot-line.ts'
import { inTurns, type Work } from './turns.ts'

/** What snapshots need of the index and the log. */
export interface SnapshotContext {
  /** Place of a run's newest snapshot; 0: none. */
  snapshot(run: string): number
  setSnapshot(run: string, place: number): void
  /** Names the unit `seq` of a run by what stands in the log; undefined: there is no such unit. */
  mark(run: string, seq: number): UnitMark | undefined
}

/** How snapshots are kept. */
export interface SnapshotOptions {
  readonly dir: string
  readonly segmentBytes: number
  /** How many hex digits an id has. */
  readonly idWidth: number
  readonly warn: (warning: StoreWarning) => void
}

const piece = 1 << 20
/** So many segments are kept without a look at what in them is still of use. */
const fewSegments = 4

/** The cached states of a store. Nothing here fails a caller: what cannot be written or read is not there. */
export class Snapshots {
  readonly #options: SnapshotOptions
  #context: SnapshotContext
  #end = { segment: 1, offset: 0 }
  /** Bytes of the newest snapshots of all runs. */
  #live = 0
  #writing = -1
  #compacting: Promise<void> | undefined

  constructor(options: SnapshotOptions, context: SnapshotContext) {
    this.#options = options
    this.#context = context
  }

  /** Up to where the context knows the places, and how many bytes the newest have. */
  get state(): SnapshotsState {
    return { ...this.#end, live: this.#live }
  }

  /** Goes on from a state with another context, or on from where it is. */
  async scan(from = this.state, context = this.#context): Promise<void> {
    this.#context = context
    this.#end = from
    this.#live = from.live
    await inTurns(this.#scan())
  }

  /** Tells another context the places of all that is kept. */
  *tell(context: SnapshotContext): Work<void> {
    for (const segment of this.#segments()) {
      yield* this.#walk(segment, 0, (_bytes, head, place) => {
        const newest = this.#head(context.snapshot(head.run))
        if (newest === undefined || newest.seq <= head.seq) context.setSnapshot(head.run, place)
      })
    }
  }

  /** Keeps a snapshot, unless a newer one is kept. */
  save(run: string, snapshot: StoredSnapshot): void {
    const unit = this.#context.mark(run, snapshot.seq)
    const newest = this.#head(this.#context.snapshot(run))
    if (unit === undefined || (newest !== undefined && newest.seq > snapshot.seq)) return
    const prev = newest === undefined ? 0 : newest.seq === snapshot.seq ? newest.prev : this.#context.snapshot(run)
    try {
      this.#append(run, snapshotBytes(run, snapshot, unit, prev), newest)
      if (this.#end.offset >= this.#options.segmentBytes) this.#rotate()
    } catch (error) {
      this.#closeWriting()
      this.#warn(`A snapshot could not be written: ${messageOf(error)}.`)
    }
  }

  /** The newest snapshot of a run at or before `atMost` that belongs to its history. */
  load(run: string, atMost: number): StoredSnapshot | undefined {
    let place = this.#context.snapshot(run)
    for (let older = 0; place > 0 && older < 64; older++) {
      const head = this.#head(place)
      if (head === undefined || head.run !== run) return undefined
      const found = head.seq > atMost ? undefined : this.#read(place, head)
      if (found !== undefined) return found
      place = head.prev
    }
    return undefined
  }

  async close(): Promise<void> {
    await this.#compacting
    this.#closeWriting()
  }

  #read(place: number, { run, seq, length }: SnapshotHead): StoredSnapshot | undefined {
    const bytes = this.#bytes(place, length)
    if (bytes === undefined || !snapshotHolds(bytes)) {
      this.#warn(`A snapshot of run ${run} is not what was written; it is not used.`, place)
      return undefined
    }
    const { id, machine, format, state, unit }: WrittenSnapshot = JSON.parse(bytes.toString())
    const now = this.#context.mark(run, seq)
    if (now === undefined || now.position !== unit.position || now.crc !== unit.crc) {
      this.#warn(`A snapshot of run ${run} is ahead of the log, or of another history; it is not used.`, place)
      return undefined
    }
    return deepFreeze({ seq, ...(id === undefined ? {} : { id }), machine, format, state })
  }

  #append(run: string, bytes: Buffer, newest: SnapshotHead | undefined): void {
    if (this.#writing < 0) this.#openWriting()
    const { segment, offset } = this.#end
    for (let done = 0; done < bytes.length; ) {
      done += fs.writeSync(this.#writing, bytes, done, bytes.length - done, offset + done)
    }
    this.#end = { segment, offset: offset + bytes.length }
    this.#live += bytes.length - (newest?.length ?? 0)
    this.#context.setSnapshot(run, positionOf(segment, offset))
  }

  #openWriting(): void {
    const { segment, offset } = this.#end
    this.#writing = fs.openSync(this.#path(segment), goingOn)
    const { size } = fs.fstatSync(this.#writing)
    // Behind the end is what a crash left; before it something is missing only if somebody removed it.
    if (size > offset) fs.ftruncateSync(this.#writing, offset)
    else this.#end = { segment, offset: size }
  }

  #closeWriting(): void {
    if (this.#writing >= 0) fs.closeSync(this.#writing)
    this.#writing = -1
  }

  #rotate(): void {
    this.#closeWriting()
    this.#end = { segment: this.#end.segment + 1, offset: 0 }
    this.#compacting ??= this.#compact()
      .catch(error => this.#warn(`Old snapshots could not be cleared away: ${messageOf(error)}.`))
      .finally(() => {
        this.#compacting = undefined
      })
  }

  /** Copies the newest snapshots out of the oldest segments and removes these, until half of what is left is of use. */
  async #compact(): Promise<void> {
    for (;;) {
      const segments = this.#segments()
      const useful = (2 * this.#live) / this.#options.segmentBytes
      if (segments.length <= Math.max(fewSegments, useful)) return
      const copying = this.#walk(segments[0]!, 0, (bytes, head, place) => {
        if (this.#context.snapshot(head.run) !== place || !snapshotHolds(bytes)) return
        const copy = Buffer.from(bytes)
        setOlder(copy, 0)
        this.#append(head.run, copy, head)
      })
      await inTurns(copying)
      fs.rmSync(this.#path(segments[0]!), { force: true })
    }
  }

  *#scan(): Work<void> {
    for (const segment of this.#segments()) {
      if (segment < this.#end.segment) continue
      const from = segment === this.#end.segment ? this.#end.offset : 0
      const offset = yield* this.#walk(segment, from, (bytes, head, place) => {
        const newest = this.#head(this.#context.snapshot(head.run))
        if (newest !== undefined && newest.seq > head.seq) return
        this.#live += bytes.length - (newest?.length ?? 0)
        this.#context.setSnapshot(head.run, place)
      })
      this.#end = { segment, offset }
    }
  }

  /** Hands out the lines of a segment that are there in full. Returns where they end. */
  *#walk(
    segment: number,
    from: number,
    take: (bytes: Buffer, head: SnapshotHead, place: number) => void,
  ): Work<number> {
    let offset = from
    for (let wanted = piece; ; ) {
      const bytes = this.#bytes(positionOf(segment, offset), wanted, true)
      let at = 0
      while (bytes !== undefined) {
        const head = readSnapshotHead(bytes, at, this.#options.idWidth)
        if (head === undefined || at + head.length > bytes.length) {
          wanted = Math.max(piece, head?.length ?? 0)
          break
        }
        take(bytes.subarray(at, at + head.length), head, positionOf(segment, offset + at))
        at += head.length
      }
      if (at === 0) return offset
      offset += at
      yield
    }
  }

  #head(place: number): SnapshotHead | undefined {
    const bytes = place === 0 ? undefined : this.#bytes(place, snapshotHeadLength(this.#options.idWidth))
    return bytes && readSnapshotHead(bytes, 0, this.#options.idWidth)
  }

  /** Bytes of a segment; undefined: they are not there. @param fewer whether fewer will do */
  #bytes(place: number, length: number, fewer = false): Buffer | undefined {
    let descriptor = -1
    try {
      descriptor = fs.openSync(this.#path(segmentAt(place)), 'r')
      const bytes = Buffer.allocUnsafe(length)
      const count = readFully(fs, descriptor, bytes, length, offsetAt(place))
      return count === length || fewer ? bytes.subarray(0, count) : undefined
    } catch {
      return undefined
    } finally {
      if (descriptor >= 0) fs.closeSync(descriptor)
    }
  }

  #segments(): readonly number[] {
    try {
      return sortEntries(fs.readdirSync(this.#options.dir)).snapshots
    } catch {
      return []
    }
  }

  #path(segment: number): string {
    return join(this.#options.dir, snapshotsName(segment))
  }

  #warn(message: string, place = 0): void {
    const segment = place === 0 ? this.#end.segment : segmentAt(place)
    this.#options.warn({ code: 'SNAPSHOTS_DROPPED', message, file: this.#path(segment), offset: offsetAt(place) })
  }
}
