import type { JsonObject } from '../../actors/contracts/json.ts'
import { messageOf, type XMachinesError } from '../../actors/errors.ts'
import { type GitObjectType, gitObjectId } from '../../actors/identity/git-objects.ts'
import { type Commit, parseCommit, parseTree, seqOf } from './commit.ts'
import { absence, badCommit } from './failures.ts'
import { digitsOf } from './layout.ts'
import type { FoundObject } from './object-types.ts'
import type { Repository } from './repository.ts'

/** Reads an object, whose id must be that of its bytes. @param blame makes what is thrown of what is wrong with it */
export function readWhole(
  { objects, objectFormat }: Pick<Repository, 'objects' | 'objectFormat'>,
  oid: string,
  type: GitObjectType,
  blame: (wrong: string) => XMachinesError,
): Uint8Array {
  let found: FoundObject | undefined
  try {
    found = objects.read(oid)
  } catch (error) {
    throw blame(`cannot be read (${messageOf(error)})`)
  }
  if (found?.type === type && gitObjectId(objectFormat, type, found.bytes) === oid) return found.bytes
  throw blame(
    found === undefined ? absence(objects) : found.type === type ? 'was changed' : `is a ${found.type}, not a ${type}`,
  )
}

/** Reads an object of a run. @throws COMMIT_DAMAGED */
export function readObject(
  repository: Repository,
  run: string,
  commit: string,
  oid: string,
  type: GitObjectType,
): Uint8Array {
  const what = oid === commit ? 'it' : `its ${type} ${oid}`
  return readWhole(repository, oid, type, wrong => badCommit(run, commit, `${what} ${wrong}`, { object: oid }))
}

/** Reads a commit of a run. @throws COMMIT_DAMAGED */
export function readCommit(repository: Repository, run: string, oid: string): Commit & { readonly seq: number } {
  const commit = parseCommit(readObject(repository, run, oid, oid, 'commit'))
  const seq = commit && seqOf(commit)
  if (commit === undefined || seq === undefined) throw badCommit(run, oid, 'it is no commit of a run')
  return { ...commit, seq }
}

/** Reads a file of a commit, as JSON. @throws COMMIT_DAMAGED */
export function readFile(repository: Repository, run: string, oid: string, commit: Commit, name: string): unknown {
  const file = filesOf(repository, run, oid, commit).get(name)
  if (file === undefined) throw badCommit(run, oid, `it has no ${name}`)
  return parseFile(repository, run, oid, file)
}

/** The files of a commit. @throws COMMIT_DAMAGED */
export function filesOf(
  repository: Repository,
  run: string,
  oid: string,
  { tree }: Commit,
): ReadonlyMap<string, string> {
  const bytes = readObject(repository, run, oid, tree, 'tree')
  const files = parseTree(bytes, digitsOf[repository.objectFormat] / 2)
  if (files === undefined) throw badCommit(run, oid, `its tree ${tree} cannot be read`, { object: tree })
  return files
}

/** Reads a blob as JSON. @throws COMMIT_DAMAGED */
export function parseFile(
  repository: Repository,
  run: string,
  oid: string,
  blob: string,
  text = textOf(readObject(repository, run, oid, blob, 'blob')),
): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw badCommit(run, oid, `its blob ${blob} is not JSON`, { object: blob })
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
}

/** Where a branch stands. */
export interface BranchHead {
  readonly oid: string
  readonly seq: number
  /** The machine's commit there. */
  readonly machine: string
  /** The time of its last unit; `undefined`: it has none yet. */
  readonly at: number | undefined
}

/** Reads where a branch of a run stands. @throws COMMIT_DAMAGED */
export function readHead(repository: Repository, run: string, oid: string): BranchHead {
  const commit = readCommit(repository, run, oid)
  const name = oid === run ? 'run.json' : 'unit.json'
  const { machine, at } = readFile(repository, run, oid, commit, name) as JsonObject
  if (typeof machine !== 'string') throw badCommit(run, oid, `its ${name} names no machine`)
  return { oid, seq: commit.seq, machine, at: typeof at === 'number' ? at : undefined }
}
