import type { ObjectFormat } from '../../actors/contracts/unit.ts'

/*
 * What lies in a repository, in Git's own terms:
 *
 *   refs/heads/m/<machine>             a machine version: a root commit
 *   refs/heads/r/<run>                 a run: its first commit is the run's id, then one commit a unit
 *   refs/heads/xmachines/provenance    how units were recorded, one commit a flush (provenance.ts)
 *   refs/notes/xmachines               the same as notes on the commits of units (checkpoint.ts)
 *   refs/xmachines/snapshots           newest states of long runs, by the run's id: a cache
 *
 * and beside Git's files, in a folder that Git leaves alone:
 *
 *   xmachines/writer-*.lock            who writes to the repository for us
 *   xmachines/journal/                 the journal of `gitStore`
 */

/** Branches of runs. */
export const runPrefix = 'refs/heads/r/'
/** Branches of machines. */
export const machinePrefix = 'refs/heads/m/'
/** Where provenance lies: among the branches, since a clone takes nothing else along. */
export const provenanceRef = 'refs/heads/xmachines/provenance'
/** Notes that people read: `git log --notes=xmachines`. */
export const notesRef = 'refs/notes/xmachines'
/** Newest states. Not among the branches: it can be made again, and nobody should take it from a push. */
export const snapshotsRef = 'refs/xmachines/snapshots'
/** Our folder inside the Git directory. */
export const ownFolder = 'xmachines'
/** The journal of a store, inside the Git directory. */
export const journalFolder = `${ownFolder}/journal`
/** The section of the repository's configuration that makes it ours, and its version. */
export const layoutVersion = '1'

/** How many hex digits an id has. */
export const digitsOf: Readonly<Record<ObjectFormat, number>> = { sha1: 40, sha256: 64 }

/** What the name of a ref says: a branch of ours, here or as a clone remembers it of where it came from. */
export interface OwnRef {
  readonly kind: 'run' | 'machine' | 'provenance'
  /** The id in the name; of the provenance nothing. */
  readonly id: string
  /** Whether it is a branch of the repository itself. */
  readonly local: boolean
}

const ownName = /^refs\/(heads|remotes\/[^/]+)\/(?:(r|m)\/(.+)|xmachines\/provenance)$/

/** Reads the name of a ref. `undefined`: it is not ours. */
export function ownRef(name: string): OwnRef | undefined {
  const found = ownName.exec(name)
  if (found === null) return undefined
  const [, place, kind, id = ''] = found
  return { kind: kind === 'r' ? 'run' : kind === 'm' ? 'machine' : 'provenance', id, local: place === 'heads' }
}

const ownRefs = [runPrefix, machinePrefix, provenanceRef, notesRef, snapshotsRef]

/** Whether a ref keeps Git from having one of ours: no name is the beginning of another one's path. */
export function isInTheWay(name: string): boolean {
  return ownRefs.some(own => own.startsWith(`${name}/`) || (!own.endsWith('/') && name.startsWith(`${own}/`)))
}

/** Whether a short name such as `r/<run>`, as people give it to Git, would be this ref and no branch of ours any more. */
export function isBefore(name: string): boolean {
  return /^refs\/(?:tags\/)?(?:[rm]\/|xmachines\/provenance(?:\/|$))/.test(name)
}

/** Whether a text can be an id of the format. */
export function isId(text: string, format: ObjectFormat): boolean {
  return text.length === digitsOf[format] && /^[0-9a-f]+$/.test(text)
}
