import { XMachinesError } from '../../actors/errors.ts'
import { readCommit } from './branch.ts'
import { isId, ownRef, runPrefix } from './layout.ts'
import type { Repository } from './repository.ts'
import { walkBack } from './run-history.ts'

/** A run that a clone remembers of where it came from, and has no branch of its own for. */
export interface RemoteRun {
  readonly run: string
  readonly remote: string
  readonly oid: string
}

/**
 * Such runs, each of the remote that has most of it.
 *
 * @param all the branches of the repository
 * @throws ARCHIVE_DIFFERS where two remotes have it differently
 */
export function remoteRuns(repository: Repository, all: ReadonlyMap<string, string>): ReadonlyMap<string, RemoteRun> {
  const { objectFormat } = repository
  const found = new Map<string, RemoteRun>()
  for (const [name, oid] of all) {
    const own = ownRef(name)
    if (own?.kind !== 'run' || own.local || !isId(own.id, objectFormat) || all.has(runPrefix + own.id)) continue
    const remote = name.split('/')[2]!
    const fresh = { run: own.id, remote, oid }
    const known = found.get(own.id)
    found.set(own.id, known === undefined ? fresh : longer(repository, known, fresh))
  }
  return found
}

function longer(repository: Repository, one: RemoteRun, other: RemoteRun): RemoteRun {
  const { run } = one
  if (one.oid === other.oid) return one
  const [seq, otherSeq] = [seqOf(repository, one), seqOf(repository, other)]
  // A bad one counts: who reads the run is told, and the others can be read.
  if (seq === undefined) return one
  if (otherSeq === undefined) return other
  const [long, short] = seq >= otherSeq ? [one, other] : [other, one]
  const isLonger = unlessBad(() =>
    walkBack(repository, run, long.oid, Math.min(seq, otherSeq)).some(({ oid }) => oid === short.oid),
  )
  if (isLonger !== false) return long
  const names = [one.remote, other.remote].sort()
  throw new XMachinesError(
    'ARCHIVE_DIFFERS',
    `${names.join(' and ')} have different histories of run ${run}. Say which one counts: git branch r/${run} ${long.remote}/r/${run}`,
    { details: { run, remotes: names, path: repository.gitdir } },
  )
}

function seqOf(repository: Repository, { run, oid }: RemoteRun): number | undefined {
  return unlessBad(() => readCommit(repository, run, oid).seq)
}

function unlessBad<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (XMachinesError.is(error, 'COMMIT_DAMAGED')) return undefined
    throw error
  }
}
