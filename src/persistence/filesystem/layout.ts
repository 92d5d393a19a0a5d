/*
 * What lies in a store's directory, and how places in the log are named.
 *
 *   log-00000001.ndjson        the segments of the log: the only thing that is not derived from something else
 *   index.bin                  a checkpoint of the index: may be deleted, is made again from the log
 *   snapshots-00000001.ndjson  a cache of states: may be deleted
 *   writer-00000001.lock       who writes (see lock.ts); writer.json says it to people
 */

/** The checkpoint of the index. */
export const indexName = 'index.bin'

/** Says to people which process writes; never asked by the store. */
export const writerNote = 'writer.json'

/** The name of a segment of the log. */
export function segmentName(segment: number): string {
  return `log-${padded(segment)}.ndjson`
}

/** The name of a segment of the snapshots. */
export function snapshotsName(segment: number): string {
  return `snapshots-${padded(segment)}.ndjson`
}

/** The name of the lock of the `generation`-th writer. */
export function lockName(generation: number): string {
  return `writer-${padded(generation)}.lock`
}

function padded(count: number): string {
  return String(count).padStart(8, '0')
}

/** What the entries of a directory are to a store. */
export interface Listing {
  /** Numbers, ascending. */
  readonly segments: readonly number[]
  readonly snapshots: readonly number[]
  readonly locks: readonly number[]
  readonly index: boolean
  /** Entries that no store makes. */
  readonly foreign: readonly string[]
}

/** Sorts the entries of a directory. Hidden files and a volume's `lost+found` belong to nobody. */
export function sortEntries(entries: readonly string[]): Listing {
  const segments: number[] = []
  const snapshots: number[] = []
  const locks: number[] = []
  const foreign: string[] = []
  let index = false
  for (const entry of entries) {
    const numbered = /^(log|snapshots|writer)-(\d{8})\.(ndjson|lock)$/.exec(entry)
    if (numbered !== null) {
      const kind = numbered[1]
      const list = kind === 'log' ? segments : kind === 'snapshots' ? snapshots : locks
      list.push(Number(numbered[2]))
    } else if (entry === indexName) index = true
    else if (entry !== writerNote && !entry.startsWith('.') && entry !== 'lost+found') foreign.push(entry)
  }
  for (const list of [segments, snapshots, locks]) list.sort((a, b) => a - b)
  return { segments, snapshots, locks, index, foreign }
}

const span = 10_000_000_000

/** Names a place by one number that a person can read: the segment, then ten digits of offset. 0 is no place. */
export function positionOf(segment: number, offset: number): number {
  return segment * span + offset
}

/** The segment of a place. */
export function segmentAt(position: number): number {
  return Math.floor(position / span)
}

/** The byte of a place in its segment. */
export function offsetAt(position: number): number {
  return position - Math.floor(position / span) * span
}

/** The last frame that is known, and where the next one begins. */
export interface LogEnd {
  readonly segment: number
  readonly offset: number
  /** Place of the last frame; 0: there is none. */
  readonly frame: number
  /** Number of the last frame. */
  readonly flush: number
  /** Checksum of the last frame: the next one repeats it. */
  readonly sum: number
}

/** The end of a log without a frame, before its first segment is there. */
export const emptyLog: LogEnd = Object.freeze({ segment: 0, offset: 0, frame: 0, flush: 0, sum: 0 })

/** Something that the store mended or threw away by itself. */
export interface StoreWarning {
  /**
   * - `TAIL_CUT`: a flush that was never acknowledged was left by a crash; its bytes are gone.
   * - `INDEX_DROPPED`: the checkpoint could not be used; the index is made again from the log.
   * - `INDEX_NOT_WRITTEN`: a checkpoint could not be written; the next open reads more of the log.
   * - `SNAPSHOTS_DROPPED`: cached states could not be read or written.
   */
  readonly code: 'TAIL_CUT' | 'INDEX_DROPPED' | 'INDEX_NOT_WRITTEN' | 'SNAPSHOTS_DROPPED'
  readonly message: string
  readonly file: string
  readonly offset?: number
  readonly bytes?: number
}
