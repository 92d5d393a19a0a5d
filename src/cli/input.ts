import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { PassThrough, pipeline, type Readable } from 'node:stream'
import { messageOf } from '../actors/errors.ts'
import { usage } from './terminal.ts'

/** How much is read at once. */
const chunkBytes = 1 << 20

/** A file, or stdin, open to be read. */
export interface Input {
  readonly chunks: Readable
  /** Bytes, where that is known. */
  readonly size: number | undefined
  /** What it is called unless somebody calls it otherwise. */
  readonly name: string
}

/** Opens a file, or `-` for stdin. */
export async function openInput(path: string): Promise<Input> {
  if (path === '-') {
    // Gathers what comes in small pieces while we are busy.
    const chunks = new PassThrough({ highWaterMark: chunkBytes })
    pipeline(process.stdin, chunks, () => {})
    return { chunks: heard(chunks), size: undefined, name: 'stdin' }
  }
  const found = await stat(path).catch((thrown: unknown) => {
    throw usage(`${path} cannot be read: ${messageOf(thrown)}.`)
  })
  if (found.isDirectory()) throw usage(`${path} is a directory. Give a file, or - for stdin.`)
  const size = found.isFile() ? found.size : undefined
  const chunks = createReadStream(path, { highWaterMark: chunkBytes })
  return { chunks: heard(chunks), size, name: basename(path) }
}

/** Whoever reads is told of an error, also if it came before; one that nobody listens to would end the process. */
function heard(chunks: Readable): Readable {
  return chunks.on('error', () => {})
}
