import { foreign } from './failures.ts'
import { isId, ownRef, provenanceRef } from './layout.ts'
import { remoteRuns } from './remote-runs.ts'
import type { Repository } from './repository.ts'

/** What the branches of a repository say. */
export interface RunBranches {
  /** Where each run stands. */
  readonly heads: ReadonlyMap<string, string>
  /** Where the provenance stands, if there is one. */
  readonly provenance: string | undefined
}

/**
 * The heads of all runs: of the repository's own branches, else of those that a clone remembers.
 * @param pushed refs that are about to be set, which count instead of those that are
 * @throws STORE_FOREIGN; ARCHIVE_DIFFERS where two remotes have a run differently
 */
export function runBranches(repository: Repository, pushed: ReadonlyMap<string, string>): RunBranches {
  const { refs, gitdir, ours, objectFormat } = repository
  const heads = new Map<string, string>()
  let provenance: string | undefined
  let machines = 0
  const all = refs.all()
  for (const [name, oid] of [...all, ...pushed]) {
    const own = ownRef(name)
    if (own === undefined) continue
    if (own.kind === 'provenance') provenance = name === provenanceRef || provenance === undefined ? oid : provenance
    else if (!isId(own.id, objectFormat)) {
      throw foreign(gitdir, `has a branch ${name}, which names no ${own.kind}`, 'Rename that branch.', { ref: name })
    } else if (own.kind === 'machine') machines++
    else if (own.local) heads.set(own.id, oid)
  }
  for (const [run, { oid }] of remoteRuns(repository, all)) if (!heads.has(run)) heads.set(run, oid)
  if (heads.size === 0 && machines === 0 && !ours) {
    throw foreign(
      gitdir,
      'is a repository without runs, which would be branches named r/<run>',
      'Give one that runs were archived into.',
    )
  }
  return { heads, provenance }
}
