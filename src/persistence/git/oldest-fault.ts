import { XMachinesError } from '../../actors/errors.ts'
import { gitObjectId } from '../../actors/identity/git-objects.ts'
import { type Commit, parseCommit, seqOf } from './commit.ts'
import type { Repository } from './repository.ts'

/** A commit of a history in which something is bad. */
export interface Suspect {
  readonly oid: string
  /** The run that it should have been made for. */
  readonly owner: string
}

/** How a history is looked at of which something is bad. */
export interface Examination {
  /** Checks a commit, and that it follows the one before. @throws COMMIT_DAMAGED */
  check(suspect: Suspect, before: Suspect | undefined): void
  /** Where the history of a run goes on beyond its own commit, if it is a fork. @throws COMMIT_DAMAGED */
  beyond(run: string): { readonly owner: string; readonly seq: number } | undefined
}

/**
 * A history is walked from its head, which meets the newest bad commit first. This finds the oldest one, where whatever is
 * wrong began. All of the history is looked at again, only where something is bad.
 *
 * @param met what was met first; it counts where nothing older is bad
 */
export function oldestFault(
  repository: Repository,
  { run, head, met }: { readonly run: string; readonly head: string; readonly met: XMachinesError },
  examination: Examination,
): XMachinesError {
  let before: Suspect | undefined
  for (const suspect of suspectsOf(repository, run, head, examination)) {
    try {
      examination.check(suspect, before)
    } catch (error) {
      return XMachinesError.is(error, 'COMMIT_DAMAGED') ? error : met
    }
    before = suspect
  }
  return met
}

/** The commits of a history as far as they can be followed, the oldest first. */
function suspectsOf(repository: Repository, run: string, head: string, { beyond }: Examination): readonly Suspect[] {
  const suspects: Suspect[] = []
  /** How many there are up to the last one that was changed: it may name any parent, and lead anywhere. */
  let changed = 0
  const astray = (): readonly Suspect[] => suspects.slice(0, changed || suspects.length).reverse()
  let owner = run
  let seq = 0
  for (let oid = head; ; ) {
    suspects.push({ oid, owner })
    const found = look(repository, oid)
    if (found === undefined) return suspects.reverse()
    if (!found.isWhole) changed = suspects.length
    if (found.isWhole || oid === head) seq = seqOf(found.commit) ?? seq
    let next: ReturnType<Examination['beyond']> = { owner, seq: seq - 1 }
    if (oid === owner) {
      try {
        next = beyond(owner)
      } catch {
        return suspects.reverse()
      }
      if (next === undefined) return suspects.reverse()
    }
    const [parent] = found.commit.parents
    if (parent === undefined || next.seq < 0) return astray()
    const follows = found.isWhole || seqAt(repository, parent) === next.seq
    if (!follows) return astray()
    ;({ owner, seq } = next)
    oid = parent
  }
}

function seqAt(repository: Repository, oid: string): number | undefined {
  const found = look(repository, oid)
  return found && seqOf(found.commit)
}

/** A commit, and whether its bytes are those of its id. `undefined`: it cannot be read. */
function look(
  { objects, objectFormat }: Repository,
  oid: string,
): { readonly commit: Commit; readonly isWhole: boolean } | undefined {
  try {
    const found = objects.read(oid)
    const commit = found?.type === 'commit' ? parseCommit(found.bytes) : undefined
    return commit && { commit, isWhole: gitObjectId(objectFormat, 'commit', found!.bytes) === oid }
  } catch {
    return undefined
  }
}
