import { text } from 'node:stream/consumers'
import type { RunHead } from '../actors/contracts/store.ts'
import { ownRef } from '../persistence/git/layout.ts'
import { checkPush, checkUnopened, openPushed, parsePush } from '../persistence/git/push.ts'
import { takeTurn } from '../persistence/git/push-turn.ts'
import { findGitdir } from '../persistence/git/repository.ts'
import type { RepositoryStore } from '../persistence/git/repository-store.ts'
import { usage } from './terminal.ts'

/** The repository as a push would leave it. */
export interface OpenPush {
  readonly store: RepositoryStore
  /** The runs that it adds to. */
  readonly heads: readonly RunHead[]
  /** Units of a run of which it is recorded how they were decided. */
  recorded(run: string): ReadonlySet<number>
  /**
   * Waits for other pushes, and checks that it fits what they have set; the next one waits until the refs of this one are.
   *
   * @throws PUSH_REFUSED, STORE_LOCKED, COMMIT_DAMAGED
   */
  takeTurn(): Promise<void>
}

/**
 * What a push brings: asked by a `pre-receive` hook, which tells on stdin which refs would be set.
 *
 * @throws PUSH_REFUSED, STORE_LOCKED, COMMIT_DAMAGED
 */
export async function openPush(location: string): Promise<OpenPush> {
  const gitdir = findGitdir(location)
  if (gitdir === undefined) throw usage('--pushed is for the `pre-receive` hook of a repository.')
  const pushed = parsePush(await text(process.stdin))
  await checkUnopened(gitdir, pushed)
  const store = openPushed(gitdir, pushed, process.env)
  const { runs, recorded, checkAgain } = checkPush(store.repository, pushed)
  const heads: RunHead[] = []
  for (const run of runs) heads.push((await store.head(run))!)
  return {
    store,
    heads,
    recorded,
    async takeTurn() {
      const { XMACHINES_PUSH, GIT_QUARANTINE_PATH } = process.env
      // Only of a push that Git asks about is there a process that ends with it.
      if (GIT_QUARANTINE_PATH === undefined || !pushed.some(({ name }) => ownRef(name) !== undefined)) return
      await takeTurn(gitdir, Number(XMACHINES_PUSH ?? process.ppid))
      await checkUnopened(gitdir, pushed)
      checkAgain()
    },
  }
}
