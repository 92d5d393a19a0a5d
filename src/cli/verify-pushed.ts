import { text } from 'node:stream/consumers'
import type { RunHead } from '../actors/contracts/store.ts'
import { checkPush, checkUnopened, openPushed, parsePush } from '../persistence/git/push.ts'
import { findGitdir } from '../persistence/git/repository.ts'
import type { RepositoryStore } from '../persistence/git/repository-store.ts'
import { usage } from './terminal.ts'

/**
 * What a push brings: asked by a `pre-receive` hook, which tells on stdin which refs would be set.
 *
 * @throws PUSH_REFUSED, STORE_LOCKED, COMMIT_DAMAGED
 */
export async function openPush(
  location: string,
): Promise<{ readonly store: RepositoryStore; readonly heads: RunHead[] }> {
  const gitdir = findGitdir(location)
  if (gitdir === undefined) throw usage('--pushed is for the `pre-receive` hook of a repository.')
  const pushed = parsePush(await text(process.stdin))
  await checkUnopened(gitdir, pushed)
  const store = openPushed(gitdir, pushed, process.env)
  const heads: RunHead[] = []
  for (const run of checkPush(store.repository, pushed)) heads.push((await store.head(run))!)
  return { store, heads }
}
