import type { StoredSnapshot } from '../../actors/contracts/store.ts'
import { parseCommit } from './commit.ts'
import { findInFanOut } from './fan-out.ts'
import { snapshotsRef } from './layout.ts'
import type { Repository } from './repository.ts'

/** A state of a run, as a file of the side ref. */
export function snapshotText({ seq, id, machine, format, state }: StoredSnapshot): string {
  return `${JSON.stringify({ seq, id, machine, format, state })}\n`
}

/** The newest state of a run that a repository has. A cache: what cannot be read is not there. */
export function readSnapshot({ refs, objects }: Repository, run: string): StoredSnapshot | undefined {
  try {
    const head = refs.get(snapshotsRef)
    const tree = head === undefined ? undefined : treeOf(objects, head)
    const file = findInFanOut(objects, tree, run)
    const blob = file === undefined ? undefined : objects.read(file)
    return blob && (JSON.parse(Buffer.from(blob.bytes).toString()) as StoredSnapshot)
  } catch {
    return undefined
  }
}

/** The tree of a commit. */
export function treeOf(objects: Repository['objects'], commit: string): string | undefined {
  const found = objects.read(commit)
  return found && parseCommit(found.bytes)?.tree
}
