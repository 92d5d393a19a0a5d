import { type BigIntStats, type Dirent, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { errnoOf } from './failures.ts'
import { checkRepository } from './repository.ts'

/** A file system tells times apart that are so far from each other, ms: what changed later than that may have changed once more. */
const grain = 100
/** Refs that are set all the time are read so often, and then as they were found. */
const mostLooks = 4

interface State {
  readonly text: string
  /** Whether the next change cannot be taken for this state. */
  readonly isSettled: boolean
}

/**
 * Tells whether branches were set, for the price of a look at packed-refs and at the folders of loose refs: Git, as we,
 * puts refs in place by renaming, which changes the folder.
 */
export class RefWatch {
  readonly #gitdir: string
  #seen: string | undefined
  #folders: readonly string[] = []

  constructor(gitdir: string) {
    this.#gitdir = gitdir
  }

  /**
   * Calls `read` at first, and where branches may be others than at its last call; again if they were set meanwhile.
   *
   * @throws STORE_MISSING, STORE_FOREIGN: one that was taken away has no branches, and is not without runs
   */
  ifMoved(read: () => void): void {
    if (this.#seen !== undefined && this.#seen === this.#state(this.#folders).text) return
    this.#seen = undefined
    checkRepository(this.#gitdir)
    for (let look = 0; look < mostLooks; look++) {
      this.#folders = foldersIn(this.#gitdir)
      const before = this.#state(this.#folders)
      read()
      const after = this.#state(this.#folders)
      if (before.text !== after.text) continue
      if (after.isSettled) this.#seen = after.text
      return
    }
  }

  #state(folders: readonly string[]): State {
    const now = Date.now()
    let text = ''
    let isSettled = true
    for (const path of [join(this.#gitdir, 'packed-refs'), ...folders]) {
      const found: BigIntStats | undefined = statSync(path, { throwIfNoEntry: false, bigint: true })
      text += found === undefined ? '-\n' : `${found.ino} ${found.mtimeNs} ${found.size}\n`
      if (found !== undefined && Number(found.mtimeMs) > now - grain) isSettled = false
    }
    return { text, isSettled }
  }
}

/** The folders of branches, here and as a clone remembers them; also those that are not there yet. */
function foldersIn(gitdir: string): string[] {
  const folders = [join(gitdir, 'refs/heads'), join(gitdir, 'refs/remotes')]
  for (const folder of folders) {
    for (const entry of entriesOf(folder)) if (entry.isDirectory()) folders.push(join(folder, entry.name))
  }
  return folders
}

/** What is in a folder, if it is one: of a reftable, `refs/heads` is a file, which who opens the repository refuses. */
function entriesOf(folder: string): readonly Dirent[] {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) return []
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    // Git removes folders that are empty.
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
