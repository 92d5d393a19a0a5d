import type { Store } from '../../actors/contracts/store.ts'
import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { givenOptions } from '../../actors/given.ts'
import { openFilePlace } from './file-place.ts'
import { checkOptions, type GitStoreOptions, type OnWarning } from './git-store-options.ts'
import { storeOverFs } from './over-fs/store-over-fs.ts'
import { gitdirOf, openRepository } from './repository.ts'
import { GitStore } from './store.ts'

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
  givenOptions("gitStore({ dir: 'ledger' })", options)
  if (options.fs !== undefined) return storeOverFs(options, warn)
  checkOptions(options)
  const { interval = 1000, fsync = true, onWarning = warn, objectFormat } = options
  const gitdir = gitdirOf(options)
  const place = { gitdir, objectFormat: objectFormat ?? formatAt(gitdir), onWarning }
  const bare = options.gitdir !== undefined
  return new GitStore({ ...place, interval, open: () => openFilePlace({ ...place, bare, fsync }) })
}

/** The hash of a repository; what is wrong with it is told by the first operation. */
function formatAt(gitdir: string): ObjectFormat {
  try {
    return openRepository(gitdir).objectFormat
  } catch {
    return 'sha1'
  }
}

const warn: OnWarning = ({ code, message }) => process.emitWarning(message, { type: 'XMachinesWarning', code })
