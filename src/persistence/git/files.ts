import { type FileHandle, link, mkdir, open, rename, unlink } from 'node:fs/promises'
import { afresh } from '../filesystem/files.ts'
import { errnoOf } from './failures.ts'

/** What a file will hold: at once, or piece by piece, each written before the next is asked for. */
export type FileContent = Uint8Array | string | AsyncIterable<Uint8Array>

/** How a repository is written to: what tests replace to let it end at any step. Every step is durable when it resolves. */
export interface GitFiles {
  /** Makes a file that is not there, or (`exclusive: false`) replaces its content. @throws EEXIST */
  write(path: string, bytes: FileContent, options?: { readonly exclusive?: boolean }): Promise<void>
  /** Gives a file another name that nothing has yet, whole or not at all. @throws EEXIST */
  link(from: string, to: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  /** Removes a file, if it is there. */
  remove(path: string): Promise<void>
  /** Makes the names in a folder survive a crash. */
  syncFolder(path: string): Promise<void>
  makeFolder(path: string): Promise<void>
}

/** The file system itself. */
export const systemFiles: GitFiles = {
  async write(path, bytes, { exclusive = true } = {}) {
    await closing(await open(path, exclusive ? 'wx' : afresh, 0o644), async file => {
      const isWhole = typeof bytes === 'string' || bytes instanceof Uint8Array
      // Each goes on where the one before ended.
      if (isWhole) await file.writeFile(bytes)
      else for await (const piece of bytes) await file.writeFile(piece)
      await file.sync()
    })
  },
  link,
  rename,
  async remove(path) {
    await unlink(path).catch(unlessMissing)
  },
  async syncFolder(path) {
    // Windows keeps names by itself and opens no folders.
    if (process.platform !== 'win32') await closing(await open(path, 'r'), folder => folder.sync())
  },
  async makeFolder(path) {
    await mkdir(path, { recursive: true })
  },
}

async function closing(file: FileHandle, work: (file: FileHandle) => Promise<void>): Promise<void> {
  try {
    await work(file)
  } finally {
    await file.close()
  }
}

function unlessMissing(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error
}
