import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import { messageOf } from '../../actors/errors.ts'
import { usage } from '../terminal.ts'

/** How much is read at once: as often as this, what was read is written down. */
const chunkBytes = 1 << 20

/** An event log that is open to be read. */
export interface LogInput {
  readonly chunks: Readable
  /** Bytes, where that is known. */
  readonly size: number | undefined
  /** What the log is called unless somebody calls it otherwise. */
  readonly name: string
}

/** Opens a log: a file, or `-` for stdin. */
export async function openLog(log: string): Promise<LogInput> {
  if (log === '-') {
    // Gathers what comes in small pieces while we are busy.
    const chunks = new PassThrough({ highWaterMark: chunkBytes })
    pipeline(process.stdin, chunks, () => {})
    return { chunks, size: undefined, name: 'stdin' }
  }
  const found = await stat(log).catch((thrown: unknown) => {
    throw usage(`The log ${log} cannot be read: ${messageOf(thrown)}.`)
  })
  if (found.isDirectory()) throw usage(`${log} is a directory. Give a file of one JSON record a line, or - for stdin.`)
  const size = found.isFile() ? found.size : undefined
  return { chunks: createReadStream(log, { highWaterMark: chunkBytes }), size, name: basename(log) }
}
