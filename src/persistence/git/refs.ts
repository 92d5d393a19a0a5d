import { type Dirent, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { XMachinesError } from '../../actors/errors.ts'
import { errnoOf, namelessRef, writeFailure } from './failures.ts'
import type { GitFiles } from './files.ts'
import { ownFolder, ownRef } from './layout.ts'
import { identityOf, PackedRefs } from './packed-refs.ts'
import { type RefChange, RefMoved } from './ref-change.ts'

/**
 * What is in our locks: what is left of a process that ended can be told from what Git left, whose locks are empty or
 * begin otherwise. So that none is ever there in part, each is one more name of a file that is there already.
 */
const lockMark = 'xmachines\n'
/** How long a lock of somebody else is waited for: 60 times up to 200 ms. */
const patience = { first: 5, longest: 200, tries: 60 }

/**
 * The refs of a repository. All that are set at once are set in one write of packed-refs, under Git's own lock, so that
 * thousands of branches cost as much as one. A loose ref counts for more than a packed one, so those are looked at first.
 */
export class Refs {
  readonly #gitdir: string
  readonly #files: GitFiles
  readonly #packed: PackedRefs
  readonly #lockFile: string
  /** Says which packed-refs we left last. */
  readonly #noteFile: string
  readonly #wait: typeof patience

  constructor(gitdir: string, files: GitFiles, wait = patience) {
    this.#gitdir = gitdir
    this.#files = files
    this.#wait = wait
    this.#packed = new PackedRefs(gitdir)
    this.#lockFile = join(gitdir, ownFolder, 'lock')
    this.#noteFile = join(gitdir, ownFolder, 'refs')
  }

  /** Every branch, here and as a clone remembers them of where it came from, and other refs too. Names are bytes, one a character. */
  all(): ReadonlyMap<string, string> {
    const loose = this.#loose(['refs/heads', 'refs/remotes'])
    // Git packs a ref before it removes the loose one: reading in this order misses none.
    const all = this.#packed.all()
    for (const [name, oid] of loose) all.set(name, oid)
    return all
  }

  /** What a ref is. */
  get(name: string): string | undefined {
    return readLoose(this.#gitdir, name) ?? this.#packed.get(name)
  }

  /** Whether refs of ours, or that a clone remembers of others, lie outside of packed-refs. */
  hasLoose(): boolean {
    if (this.#loose(ownFolders).size > 0) return true
    for (const name of this.#loose(['refs/remotes']).keys()) if (ownRef(name) !== undefined) return true
    return false
  }

  /** Sets refs of ours, all or none. @throws RefMoved; STORE_LOCKED while somebody holds packed-refs; what a write throws */
  async set(changes: readonly RefChange[]): Promise<void> {
    if (changes.length === 0) return
    const lock = await this.#lock()
    const wereOurs = this.areOurs()
    const loose = this.#loose(ownFolders)
    const next = new Map<string, string>()
    try {
      for (const change of changes) {
        const found = loose.get(change.name) ?? this.#packed.get(change.name)
        if (found !== change.from) throw new RefMoved(change, found)
        next.set(change.name, change.to)
      }
      const bytes = this.#packed.bytesWith(next)
      await this.#replace(bytes)
      this.#packed.adopt(bytes)
      await this.#files.syncFolder(this.#gitdir)
      if (wereOurs) await this.trust()
    } finally {
      await this.#files.remove(lock)
    }
    for (const [name, oid] of loose) if (next.has(name)) await this.#prune(name, oid)
  }

  /** Whether nobody else has set a ref of ours since {@link trust}, however the processes ended that did. */
  areOurs(): boolean {
    return !this.hasLoose() && textIfThere(this.#noteFile) === identityOf(this.#packed.path)
  }

  /** Notes that the packed refs are known to be right. The note follows what this package sets, and nothing that others do. */
  async trust(): Promise<void> {
    await this.#files.write(this.#noteFile, identityOf(this.#packed.path), { exclusive: false })
  }

  /** Makes ready to set refs: removes locks of a process of ours that ended. Only for who knows that no other is there. */
  async begin(): Promise<void> {
    if (!isOurs(this.#lockFile)) await this.#files.write(this.#lockFile, lockMark, { exclusive: false })
    const lock = `${this.#packed.path}.lock`
    if (isOurs(lock)) {
      await this.#files.remove(`${this.#packed.path}.new`)
      await this.#files.remove(lock)
    }
    for (const name of this.#names(ownFolders)) {
      const path = join(this.#gitdir, name)
      if (name.endsWith('.lock') && isOurs(path)) await this.#files.remove(path)
    }
  }

  async #replace(bytes: Buffer): Promise<void> {
    const fresh = `${this.#packed.path}.new`
    try {
      await this.#files.write(fresh, bytes, { exclusive: false })
      await this.#files.rename(fresh, this.#packed.path)
    } catch (error) {
      await this.#files.remove(fresh)
      throw error
    }
  }

  /** A loose ref that a packed one stands for now. Somebody who holds its lock sets it anew, or removes it himself. */
  async #prune(name: string, oid: string): Promise<void> {
    const path = join(this.#gitdir, name)
    const lock = `${path}.lock`
    try {
      await this.#files.link(this.#lockFile, lock)
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return
      throw error
    }
    try {
      if (readLoose(this.#gitdir, name) === oid) await this.#files.remove(path)
    } finally {
      await this.#files.remove(lock)
    }
  }

  async #lock(): Promise<string> {
    const path = `${this.#packed.path}.lock`
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#files.link(this.#lockFile, path)
        return path
      } catch (error) {
        if (errnoOf(error) !== 'EEXIST') throw writeFailure(error, this.#gitdir)
      }
      if (attempt >= this.#wait.tries) {
        throw new XMachinesError(
          'STORE_LOCKED',
          `${path} is held by another process. Remove it if no \`git\` runs there.`,
          { details: { path } },
        )
      }
      await pause(Math.min(this.#wait.longest, this.#wait.first * 2 ** Math.min(attempt, 10)))
    }
  }

  #loose(folders: readonly string[]): Map<string, string> {
    const found = new Map<string, string>()
    for (const name of this.#names(folders)) {
      const oid = name.endsWith('.lock') ? undefined : readLoose(this.#gitdir, name)
      if (oid !== undefined) found.set(name, oid)
    }
    return found
  }

  /** The files in some folders of refs, and in those within. */
  #names(folders: readonly string[]): string[] {
    const names: string[] = []
    const walk = (folder: string): void => {
      for (const entry of readFolder(join(this.#gitdir, folder))) {
        if (entry.isDirectory()) walk(`${folder}/${entry.name}`)
        else names.push(`${folder}/${entry.name}`)
      }
    }
    for (const folder of folders) walk(folder)
    return names
  }
}

const ownFolders = ['refs/heads/r', 'refs/heads/m', 'refs/heads/xmachines', 'refs/notes', 'refs/xmachines']

function readFolder(path: string): readonly Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return []
    throw error
  }
}

function isOurs(lock: string): boolean {
  return textIfThere(lock) === lockMark
}

/**
 * The id in a loose ref; one that points to another ref is none of ours.
 *
 * @throws STORE_DAMAGED for one of ours that says nothing, as a crash may leave it: the packed one below it is older
 */
function readLoose(gitdir: string, name: string): string | undefined {
  const path = join(gitdir, name)
  const text = textIfThere(path)?.trim()
  if (text === undefined) return undefined
  if (/^[0-9a-f]{40,64}$/.test(text)) return text
  if (text.startsWith('ref:') || ownRef(name) === undefined) return undefined
  throw namelessRef(path, name)
}

function textIfThere(path: string): string | undefined {
  // Nearly always nothing is there, and an error costs ten times as much as a look.
  if (!existsSync(path)) return undefined
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
