import * as fs from 'node:fs'
import { join } from 'node:path'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { XMachinesError } from '../../actors/errors.ts'
import { damaged, writeFailure } from './failures.ts'
import { type LogFiles, readFully } from './files.ts'
import type { FrameBuffer } from './frame.ts'
import type { LogEnd } from './layout.ts'
import { segmentName } from './layout.ts'
import { makeSegment, segmentHeaderLength } from './segment.ts'
import { inNextTurn } from './turns.ts'

/** How a log is written. */
export interface LogWriterOptions {
  readonly dir: string
  readonly objectFormat: ObjectFormat
  readonly files: LogFiles
  /** A segment that is so long gets no more frames. */
  readonly segmentBytes: number
  /** Whether a flush is awaited until it is on the disk. */
  readonly fsync: boolean
}

const page = 4096

/**
 * Appends frames to the log, one at a time, each durable before the next.
 *
 * A write that failed is cut back before anything else is written. A descriptor that failed to sync is never synced
 * again: the system may have dropped what it could not write and say nothing the second time.
 */
export class LogWriter {
  readonly #options: LogWriterOptions
  #end: LogEnd
  #descriptor = -1
  /** The number by which the system knows the file that is open. */
  #inode = 0
  /** Whether the file may hold more than the log: to be mended before the next write. */
  #broken = false

  /** @param end where the log ends; nothing stands behind it */
  constructor(options: LogWriterOptions, end: LogEnd) {
    this.#options = options
    this.#end = end
  }

  /** Where the durable log ends. */
  get end(): LogEnd {
    return this.#end
  }

  /** Where the frame behind `end` goes: there, or in a new segment if that one is full. */
  placeAfter({ segment, offset }: LogEnd): { readonly segment: number; readonly offset: number } {
    if (segment > 0 && offset < this.#options.segmentBytes) return { segment, offset }
    return { segment: segment + 1, offset: segmentHeaderLength(this.#options.objectFormat, segment + 1) }
  }

  /**
   * Writes a frame and syncs it. `done` is called once, later: with where the log ends now, or with why it did not grow.
   * Returns where it will end if all goes well.
   */
  write(frame: FrameBuffer, done: (outcome: LogEnd | XMachinesError) => void): LogEnd {
    const { bytes, end } = frame.close(this.#end)
    try {
      // Also the one that is full: a new segment behind a log that is gone would be lost, or in another log's way.
      if (this.#end.segment > 0) this.#refuseGone()
      if (frame.segment !== this.#end.segment) this.#beginSegment()
      this.#writeAll(bytes)
    } catch (error) {
      const failure = writeFailure(error, 'write', this.#path)
      inNextTurn(() => done(failure))
      return end
    }
    const settled = (error: Error | null): void => {
      if (error === null) this.#end = end
      done(error === null ? end : this.#afterFailedSync(error))
    }
    if (this.#options.fsync) this.#options.files.fdatasync(this.#descriptor, settled)
    else inNextTurn(() => settled(null))
    return end
  }

  close(): void {
    this.#close()
  }

  get #path(): string {
    return join(this.#options.dir, segmentName(this.#end.segment))
  }

  #beginSegment(): void {
    const { dir, files, objectFormat } = this.#options
    this.#close()
    this.#end = makeSegment(dir, files, objectFormat, this.#end)
    this.#mend()
  }

  #writeAll(bytes: Buffer): void {
    const { files } = this.#options
    try {
      for (let done = 0; done < bytes.length; ) {
        done += files.writeSync(this.#descriptor, bytes, done, bytes.length - done, this.#end.offset + done)
      }
    } catch (error) {
      this.#cutBack()
      throw error
    }
  }

  /**
   * Somebody may remove, replace or cut the file under the one that writes. What was written to it would be acknowledged, and gone.
   *
   * @throws STORE_DAMAGED
   */
  #refuseGone(): void {
    this.#mend()
    const path = this.#path
    const { offset } = this.#end
    const now = fs.statSync(path, { throwIfNoEntry: false })
    if (now === undefined) throw damaged(path, 0, 'the file is missing')
    if (now.ino !== this.#inode) throw damaged(path, 0, 'it is another file than the one that is written to')
    if (now.size < offset) throw damaged(path, now.size, `it ends there, and ${offset} bytes were written`)
  }

  /** Takes away what a write left that failed. */
  #cutBack(): void {
    try {
      if (this.#descriptor >= 0) this.#options.files.ftruncateSync(this.#descriptor, this.#end.offset)
    } catch {
      this.#broken = true
    }
  }

  #afterFailedSync(cause: Error): XMachinesError {
    this.#broken = true
    this.#close()
    const path = this.#path
    try {
      this.#mend()
    } catch {
      return new XMachinesError(
        'STORE_OUTCOME_UNKNOWN',
        `The store could not make its last write to ${path} durable, nor take it back: ${cause.message}. Reopen and look.`,
        { cause, details: { path } },
      )
    }
    return writeFailure(cause, 'make its last write durable', path)
  }

  /** Opens the segment; after a failure, leaves in it only what is durable, and makes sure that this is. */
  #mend(): void {
    const { files, fsync } = this.#options
    if (this.#descriptor >= 0 && !this.#broken) return
    this.#close()
    const descriptor = files.openSync(this.#path, 'r+')
    try {
      if (this.#broken) {
        const { offset } = this.#end
        files.ftruncateSync(descriptor, offset)
        // The page at the cut may have been dropped with what failed. Written again, it is synced again.
        const start = offset - (offset % page)
        const bytes = Buffer.alloc(offset - start)
        if (readFully(files, descriptor, bytes, bytes.length, start) < bytes.length)
          throw new Error('the log is shorter than it was')
        for (let done = 0; done < bytes.length; ) {
          done += files.writeSync(descriptor, bytes, done, bytes.length - done, start + done)
        }
        if (fsync) files.fsyncSync(descriptor)
      }
    } catch (error) {
      files.closeSync(descriptor)
      throw error
    }
    this.#descriptor = descriptor
    this.#inode = files.fstatSync(descriptor).ino
    this.#broken = false
  }

  #close(): void {
    if (this.#descriptor < 0) return
    this.#options.files.closeSync(this.#descriptor)
    this.#descriptor = -1
  }
}
