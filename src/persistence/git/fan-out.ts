import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import { type GitObject, type GitTreeEntry, gitObject } from '../../actors/identity/git-objects.ts'
import { nextTurn } from '../filesystem/turns.ts'
import { parseTree } from './commit.ts'
import { digitsOf } from './layout.ts'
import type { Repository } from './repository.ts'

/*
 * A tree whose files are named by ids, as Git keeps its notes: a folder with many files becomes folders of two hex
 * digits, so that a change writes a few small trees anew, however many files there are.
 */

/** From so many files on a folder is divided. */
const mostFiles = 256
/** After so many trees others have a turn. */
const turnEvery = 32

/** The file of an id. @param tree the tree's own id @throws for a tree that is missing or damaged */
export function findInFanOut(objects: Repository['objects'], tree: string | undefined, id: string): string | undefined {
  let folder = tree
  for (let at = 0; folder !== undefined && at < id.length; at += 2) {
    const entries = entriesOf(objects, folder)
    const file = entries.get(id.slice(at))
    if (file !== undefined) return file
    folder = entries.get(id.slice(at, at + 2))
  }
  return undefined
}

/** A fan-out tree with some files set. */
export class FanOut {
  /** The trees that are new. */
  readonly trees: GitObject[] = []
  readonly #objects: Repository['objects']
  readonly #format: ObjectFormat

  constructor(objects: Repository['objects']) {
    this.#objects = objects
    this.#format = objects.format
  }

  /** Sets files. Returns the id of the tree. @param tree what it is now; `undefined`: empty */
  set(tree: string | undefined, files: ReadonlyMap<string, string>): Promise<string> {
    return this.#set(tree, [...files])
  }

  /** @param files what is left of each name below this folder */
  async #set(tree: string | undefined, files: readonly (readonly [name: string, oid: string])[]): Promise<string> {
    if (this.trees.length % turnEvery === 0) await nextTurn()
    const entries = new Map(tree === undefined ? [] : entriesOf(this.#objects, tree))
    let below = files
    const isDivided = [...entries.keys()].some(isFolder)
    if (!isDivided) {
      for (const [name, oid] of files) entries.set(name, oid)
      if (entries.size <= mostFiles || isFolder(files[0]![0])) return this.#put(entries)
      below = [...entries].filter(([name]) => name.length === files[0]![0].length)
      for (const [name] of below) entries.delete(name)
    }
    const folders = new Map<string, [name: string, oid: string][]>()
    for (const [name, oid] of below) {
      const folder = name.slice(0, 2)
      const inside = folders.get(folder)
      if (inside === undefined) folders.set(folder, [[name.slice(2), oid]])
      else inside.push([name.slice(2), oid])
      // A name that is here in full, as others may have written it, moves down.
      entries.delete(name)
    }
    for (const [folder, inside] of folders) entries.set(folder, await this.#set(entries.get(folder), inside))
    return this.#put(entries)
  }

  #put(entries: ReadonlyMap<string, string>): string {
    const list: GitTreeEntry[] = [...entries].map(([name, oid]) => ({
      mode: isFolder(name) ? '40000' : '100644',
      name,
      oid,
    }))
    // Of hex digits this is Git's order.
    list.sort((a, b) => (a.name < b.name ? -1 : 1))
    const tree = gitObject(this.#format, 'tree', list)
    this.trees.push(tree)
    return tree.oid
  }
}

function isFolder(name: string): boolean {
  return name.length === 2
}

function entriesOf(objects: Repository['objects'], tree: string): ReadonlyMap<string, string> {
  const found = objects.read(tree)
  const entries = found?.type === 'tree' ? parseTree(found.bytes, digitsOf[objects.format] / 2) : undefined
  if (entries === undefined) throw new RangeError(`tree ${tree} is missing or damaged`)
  return entries
}
