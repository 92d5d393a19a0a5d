import * as fs from 'node:fs'
import { join } from 'node:path'
import { damaged, errnoOf, missing, readFailure } from './failures.ts'
import { offsetAt, segmentAt, segmentName } from './layout.ts'
import { kindAt, lineHolds, lineLength } from './line.ts'

/** The part of the file system through which the log is written and read: what tests replace to let it fail. */
export type LogFiles = Pick<
  typeof fs,
  | 'openSync'
  | 'closeSync'
  | 'fstatSync'
  | 'readSync'
  | 'writeSync'
  | 'ftruncateSync'
  | 'fdatasync'
  | 'fsyncSync'
  | 'renameSync'
  | 'unlinkSync'
>

/** The file system itself. */
export const systemFiles: LogFiles = fs

/** The system's refusal to follow a link. Windows has none, and there only administrators make links. */
const unlinked = fs.constants.O_NOFOLLOW ?? 0

/**
 * How a file is made that is the store's alone. A store that somebody else made may have a link in its place: what it leads
 * to is not ours to overwrite.
 */
export const afresh = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_TRUNC | unlinked

/** Writes a file that nothing depends on. */
export function writeAfresh(path: string, text: string): void {
  const descriptor = fs.openSync(path, afresh)
  try {
    fs.writeFileSync(descriptor, text)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** How a file of the store's alone is opened to be written on, or made. */
export const goingOn = fs.constants.O_RDWR | fs.constants.O_CREAT | unlinked

/** Makes the names in a directory survive a crash. Windows keeps them by itself and opens no directories. */
export function syncDirectory(dir: string, files: Pick<LogFiles, 'openSync' | 'fsyncSync' | 'closeSync'> = fs): void {
  if (process.platform === 'win32') return
  const descriptor = files.openSync(dir, 'r')
  try {
    files.fsyncSync(descriptor)
  } finally {
    files.closeSync(descriptor)
  }
}

/** Reads until `length` bytes are there or the file ends. Returns how many are there. */
export function readFully(
  files: Pick<LogFiles, 'readSync'>,
  descriptor: number,
  into: Buffer,
  length: number,
  position: number,
): number {
  let done = 0
  while (done < length) {
    const count = files.readSync(descriptor, into, done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

const mostOpen = 32
const firstGuess = 1024

/**
 * The segments of a log, to read from. Reads are synchronous and small: what a log is read for mostly lies in the
 * system's cache, where an asynchronous read costs ten times as much.
 */
export class Segments {
  readonly dir: string
  readonly #files: LogFiles
  /** The least recently used first. */
  readonly #open = new Map<number, number>()
  #closed = false

  constructor(dir: string, files: LogFiles) {
    this.dir = dir
    this.#files = files
  }

  path(segment: number): string {
    return join(this.dir, segmentName(segment))
  }

  /** How long a segment is; −1: there is none. */
  size(segment: number): number {
    const descriptor = this.#descriptor(segment)
    return descriptor === undefined ? -1 : this.#files.fstatSync(descriptor).size
  }

  /** How long the file of a segment is now; −1: it is not there, or another one than what is read. */
  lengthNow(segment: number): number {
    const descriptor = this.#descriptor(segment)
    const now = fs.statSync(this.path(segment), { throwIfNoEntry: false })
    if (descriptor === undefined || now === undefined) return -1
    return this.#files.fstatSync(descriptor).ino === now.ino ? now.size : -1
  }

  /** Reads bytes of a segment into `into`. Returns how many there were. */
  read(segment: number, offset: number, length: number, into: Buffer): number {
    try {
      const descriptor = this.#descriptor(segment)
      if (descriptor === undefined) throw missing(this.dir, this.path(segment))
      return readFully(this.#files, descriptor, into, length, offset)
    } catch (error) {
      throw readFailure(error, this.path(segment))
    } finally {
      if (this.#closed) this.forget(segment)
    }
  }

  /** The line that stands at a place, verified. */
  line(position: number): Buffer {
    const segment = segmentAt(position)
    const offset = offsetAt(position)
    let bytes = Buffer.allocUnsafe(firstGuess)
    let count = this.read(segment, offset, firstGuess, bytes)
    const length = count < kindAt ? Number.NaN : lineLength(bytes, 0)
    if (length > count) {
      bytes = Buffer.allocUnsafe(length)
      count = this.read(segment, offset, length, bytes)
    }
    if (!(length <= count) || !lineHolds(bytes, 0, length)) {
      throw damaged(this.path(segment), offset, 'the line that begins there is not what was written')
    }
    return bytes.subarray(0, length)
  }

  /** Nothing stays open from now on; what is still asked for, like the id of a unit that somebody kept, is read all the same. */
  close(): void {
    this.#closed = true
    for (const descriptor of this.#open.values()) this.#files.closeSync(descriptor)
    this.#open.clear()
  }

  /** Forgets a segment whose file is another one now. */
  forget(segment: number): void {
    const descriptor = this.#open.get(segment)
    if (descriptor === undefined) return
    this.#open.delete(segment)
    this.#files.closeSync(descriptor)
  }

  #descriptor(segment: number): number | undefined {
    const known = this.#open.get(segment)
    if (known !== undefined) {
      this.#open.delete(segment)
      this.#open.set(segment, known)
      return known
    }
    try {
      const descriptor = this.#files.openSync(this.path(segment), 'r')
      this.#open.set(segment, descriptor)
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    }
    for (const oldest of this.#open.keys()) {
      if (this.#open.size <= mostOpen) break
      this.forget(oldest)
    }
    return this.#open.get(segment)
  }
}
