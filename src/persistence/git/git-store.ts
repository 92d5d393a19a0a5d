import type { Store } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { openFilePlace } from './file-place.ts'
import { asCallerFs, type CallerFs } from './over-fs/caller-fs.ts'
import { checkPlace, gitdirOf, openRepository, type RepositoryPlace } from './repository.ts'
import { GitStore } from './store.ts'

/** How {@link gitStore} opens a repository. One of `dir` and `gitdir` says where it is. */
export type GitStoreOptions = RepositoryPlace & {
  /**
   * A file system to keep the repository in, with `promises` as LightningFS and memfs have it: in a browser, or in memory.
   * Objects and refs are then files of their own, the journal is read whole at an open, and nobody else may write there.
   * @default Node's own, with locks, packs and a log that is synced
   */
  readonly fs?: CallerFs
  /** The hash of the ids, fixed when the repository is made. @default that of the repository, `'sha1'` for a new one */
  readonly objectFormat?: ObjectFormat
  /** Time between two flushes of commits at least, ms. @default 1000 */
  readonly interval?: number
  /** `false`: appends are not awaited until they are on the disk; a crash of the machine may lose them. @default true */
  readonly fsync?: boolean
  /** What went wrong in the background, and what the store mended by itself. @default `process.emitWarning` */
  readonly onWarning?: (warning: { readonly code: string; readonly message: string }) => void
}

/**
 * A store in a Git repository: a branch a run, a commit a unit. The repository is made if there is none.
 *
 * An append is durable when it is in the journal, which lies inside the Git directory; commits follow in the background,
 * many at a time, and all of them are there once `close` resolves, or when the store was opened again after a crash. Who
 * opens a clone goes on with its runs: they are held, as after an import. One process at a time has the store open;
 * `openClone`, and Git, read meanwhile.
 *
 * @throws TypeError for an option that makes no sense. Everything else comes from the first operation:
 *   STORE_LOCKED, STORE_FOREIGN, STORE_FORMAT, OBJECT_FORMAT_MISMATCH, ARCHIVE_DIFFERS, COMMIT_DAMAGED; over an `fs` also
 *   LIBRARY_MISSING, STORE_UNSUPPORTED
 */
export function gitStore(options: GitStoreOptions): Store {
  const { interval = 1000, fsync = true, onWarning = warn, objectFormat } = options
  if (objectFormat !== undefined && objectFormat !== 'sha1' && objectFormat !== 'sha256') {
    throw new TypeError(`Expected \`objectFormat\` to be 'sha1' or 'sha256', got ${String(objectFormat)}.`)
  }
  if (!(interval >= 0)) throw new TypeError(`Expected \`interval\` to be milliseconds, got ${String(interval)}.`)
  if (options.fs !== undefined) return overFs(options, asCallerFs(options.fs))
  const gitdir = gitdirOf(options)
  const place = { gitdir, objectFormat: objectFormat ?? formatAt(gitdir), onWarning }
  const bare = options.gitdir !== undefined
  return new GitStore({ ...place, interval, open: () => openFilePlace({ ...place, bare, fsync }) })
}

/** Loaded where it is wanted. The paths are the file system's own: nothing is resolved. */
function overFs(options: GitStoreOptions, fs: CallerFs): Store {
  const { dir, gitdir, objectFormat = 'sha1', interval = 1000, onWarning = warn } = options
  checkPlace({ dir, gitdir })
  const place = gitdir === undefined ? { dir: dir! } : { gitdir }
  const open = async () => (await import('./over-fs/fs-place.ts')).openFsPlace({ fs, place, objectFormat })
  return new GitStore({ gitdir: gitdir ?? dir!, objectFormat, interval, onWarning, open })
}

/** The hash of a repository; what is wrong with it is told by the first operation. */
function formatAt(gitdir: string): ObjectFormat {
  try {
    return openRepository(gitdir).objectFormat
  } catch {
    return 'sha1'
  }
}

function warn({ code, message }: { readonly code: string; readonly message: string }): void {
  process.emitWarning(message, { type: 'XMachinesWarning', code })
}
