import type { Store } from '../../actors/contracts/store.ts'
import { readCommit } from './branch.ts'
import { fill, idAt } from './fill.ts'
import { machinePrefix, ownRef, provenanceRef, runPrefix } from './layout.ts'
import { readFlush } from './provenance.ts'
import type { RefChange } from './ref-change.ts'
import type { Refs } from './refs.ts'
import { type RemoteRun, remoteRuns } from './remote-runs.ts'
import type { Repository } from './repository.ts'
import { RepositoryStore } from './repository-store.ts'

/** One whose refs can be set. */
export interface OwnRepository extends Repository {
  readonly refs: Pick<Refs, 'all' | 'get' | 'set'>
}

/**
 * Makes runs that a clone remembers of its remotes runs of its own: an ordinary `git clone` has no other. They enter the
 * journal with what their remote recorded, and get branches, so that what follows can be pushed back.
 *
 * @throws ARCHIVE_DIFFERS where remotes differ, or a key has another run here; COMMIT_DAMAGED
 */
export async function adoptRemotes(journal: Store, repository: OwnRepository): Promise<void> {
  const { refs, gitdir } = repository
  const before = refs.get(provenanceRef)
  const changes: RefChange[] = []
  let recorded = before
  for (const [remote, runs] of await adoptable(journal, repository)) {
    const theirs = refs.get(`refs/remotes/${remote}/xmachines/provenance`)
    const asBranches = new Map(runs.map(({ run, oid }) => [runPrefix + run, oid]))
    if (theirs !== undefined) asBranches.set(provenanceRef, theirs)
    const seqs = new Map(runs.map(({ run, oid }) => [run, readCommit(repository, run, oid).seq]))
    await fill(journal, new RepositoryStore(gitdir, () => repository, asBranches), seqs, remote)
    if (theirs !== undefined && !contains(repository, recorded, theirs)) {
      // What was recorded here and there goes apart: these are committed again, so that ours tells of them too.
      if (!contains(repository, theirs, recorded)) continue
      recorded = theirs
    }
    for (const { run, oid } of runs) changes.push({ name: runPrefix + run, from: undefined, to: oid })
  }
  if (changes.length === 0) return
  if (recorded !== undefined && recorded !== before) changes.push({ name: provenanceRef, from: before, to: recorded })
  await refs.set([...changes, ...machinesOf(repository)])
}

/** The runs of each remote that the journal has not got, or has as they are there. */
async function adoptable(
  journal: Store,
  repository: OwnRepository,
): Promise<ReadonlyMap<string, readonly RemoteRun[]>> {
  const groups = new Map<string, RemoteRun[]>()
  for (const found of remoteRuns(repository, repository.refs.all()).values()) {
    const { run, remote, oid } = found
    const head = await journal.head(run)
    if (head !== undefined && oid !== run) {
      const { seq } = readCommit(repository, run, oid)
      // Its own branch is written again: this one got another name, or somebody else's stands there.
      if (head.seq < seq || (await idAt(journal, run, seq)) !== oid) continue
    }
    const group = groups.get(remote)
    if (group === undefined) groups.set(remote, [found])
    else group.push(found)
  }
  return groups
}

function machinesOf({ refs }: OwnRepository): readonly RefChange[] {
  const all = refs.all()
  const changes = new Map<string, RefChange>()
  for (const [ref, oid] of all) {
    const own = ownRef(ref)
    const name = own?.kind === 'machine' && !own.local && own.id === oid ? machinePrefix + oid : undefined
    if (name !== undefined && !all.has(name)) changes.set(name, { name, from: undefined, to: oid })
  }
  return [...changes.values()]
}

/** Whether what was recorded up to `head` includes what was up to `oid`. */
function contains(repository: OwnRepository, head: string | undefined, oid: string | undefined): boolean {
  if (oid === undefined) return true
  for (let commit = head; commit !== undefined; commit = readFlush(repository, commit).parent) {
    if (commit === oid) return true
  }
  return false
}
