import type { RunHead, Store } from '../../actors/contracts/store.ts'
import { givenOptions } from '../../actors/given.ts'
import type { RepositoryPlace } from './place.ts'
import { RefWatch } from './ref-watch.ts'
import { gitdirOf, openRepository } from './repository.ts'
import { RepositoryStore } from './repository-store.ts'

/**
 * The runs of a repository, to read: one that a store is archived into, or any clone of it, bare or not, however Git has
 * packed it. A store that refuses to write (`STORE_READ_ONLY`). Shows the branches as they are: what an archive, a Git store
 * or a push adds meanwhile is seen by the next operation, so `watchRun` follows it. Each commit's id is checked against its
 * bytes.
 *
 * What was recorded beside the histories comes with the branch `xmachines/provenance`. Without it, outputs and state
 * hashes of units and the status of runs are not known.
 *
 * Operations reject with `STORE_MISSING`, `STORE_FOREIGN`, `STORE_FORMAT`; with `COMMIT_DAMAGED` for a commit that is
 * missing or was changed, and with `HISTORY_SHALLOW` for units before the end of a shallow clone.
 *
 * @throws TypeError unless one of `dir` and `gitdir` is given
 */
export function openClone(place: RepositoryPlace): Store {
  const gitdir = gitdirOf(givenOptions("openClone({ dir: 'clone' })", place))
  return new RepositoryStore(gitdir, () => openRepository(gitdir), new Map(), new RefWatch(gitdir))
}

/** Whether a store knows how all units of a run were recorded: only a clone may not. */
export function isRecorded(store: Store, head: RunHead): boolean {
  return !(store instanceof RepositoryStore) || store.isRecorded(head)
}
