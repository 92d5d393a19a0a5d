import type { ObjectFormat } from '../../../actors/contracts/unit.ts'
import type { GitObject } from '../../../actors/identity/index.ts'
import { inTurns } from '../../filesystem/turns.ts'
import { parseCommit, parseTree } from '../commit.ts'
import type { Depot, ObjectBatch } from '../depot.ts'
import { cutRefs, namelessRef } from '../failures.ts'
import { digitsOf, ownRef, runPrefix } from '../layout.ts'
import { type RefChange, RefMoved } from '../ref-change.ts'
import { type CommitBase, type CommittedUnit, RunCommits, type Tip } from '../run-commits.ts'
import type { FsFiles } from './caller-fs.ts'
import type { LooseObjects } from './loose-objects.ts'

/** The refs of a repository that one process alone writes to: known since the open, each a file of its own. */
export class FsRefs {
  readonly #files: FsFiles
  readonly #refs = new Map<string, string>()

  constructor(files: FsFiles) {
    this.#files = files
  }

  /** Reads all of them: packed ones, and those that lie in files, which count for more. */
  async load(): Promise<void> {
    const packed = await this.#files.text('packed-refs')
    // Git always writes a first line: without its end, refs are missing of which nobody would know.
    if (packed !== undefined && !packed.endsWith('\n'))
      throw cutRefs(`${this.#files.gitdir}/packed-refs`, packed.length)
    for (const line of (packed ?? '').split('\n')) {
      const [, oid, name] = /^([0-9a-f]{40,64}) (refs\/.+)$/.exec(line) ?? []
      if (name !== undefined) this.#refs.set(name, oid!)
    }
    await this.#folder('refs')
  }

  all(): ReadonlyMap<string, string> {
    return this.#refs
  }

  get(name: string): string | undefined {
    return this.#refs.get(name)
  }

  /** @throws RefMoved */
  async set(changes: readonly RefChange[]): Promise<void> {
    for (const change of changes) {
      const found = this.#refs.get(change.name)
      if (found !== change.from) throw new RefMoved(change, found)
    }
    // A branch that has a unit says that all of the unit is there: what was recorded of it comes before, should this be cut off.
    const isRun = ({ name }: RefChange): number => Number(name.startsWith(runPrefix))
    for (const { name, to } of [...changes].sort((a, b) => isRun(a) - isRun(b))) {
      await this.#files.write(name, `${to}\n`)
      this.#refs.set(name, to)
    }
  }

  async #folder(path: string): Promise<void> {
    for (const name of await this.#files.list(path)) {
      const inside = `${path}/${name}`
      const text = await this.#files.text(inside)
      if (text === undefined) await this.#folder(inside)
      else if (name.endsWith('.new')) continue
      else if (/^[0-9a-f]{40,64}\s*$/.test(text)) this.#refs.set(inside, text.trim())
      else if (ownRef(inside) !== undefined && !text.startsWith('ref:'))
        throw namelessRef(`${this.#files.gitdir}/${inside}`, inside)
    }
  }
}

/** So many files are written at a time. */
const together = 32

class Batch implements ObjectBatch {
  readonly objects = new Map<string, GitObject>()
  size = 0
  readonly #commits: RunCommits

  constructor(format: ObjectFormat) {
    this.#commits = new RunCommits(format, object => this.add(object))
  }

  add(object: GitObject): void {
    if (this.objects.has(object.oid)) return
    this.objects.set(object.oid, { ...object, bytes: object.bytes.slice() })
    this.size += object.bytes.length
  }

  commit(run: string, base: CommitBase, units: readonly CommittedUnit[]): Promise<void> {
    return inTurns(this.#commits.commit(run, base, units))
  }

  async tips(): Promise<ReadonlyMap<string, Tip>> {
    return this.#commits.tips
  }

  drop(): void {
    this.objects.clear()
  }
}

/** Writes each object and each ref as a file: all objects first, so that no ref leads to what is not there. */
export function fsDepot(files: FsFiles, refs: FsRefs, objects: LooseObjects): Depot {
  return {
    begin: async () => {},
    batch: () => new Batch(objects.format),
    async publish(batch, changes) {
      const { objects: fresh } = batch as Batch
      const left = fresh.values()
      const write = async (): Promise<void> => {
        for (const object of left) await objects.write(object)
      }
      await Promise.all(Array.from({ length: together }, write))
      await files.flush()
      await refs.set(changes)
      await files.flush()
      // Where a branch stands is read from its last commit.
      for (const { name, to } of changes) if (name.startsWith(runPrefix)) objects.keep(commitWith(fresh, to, objects))
    },
    tidy: async () => {},
    close: async () => {},
  }
}

/** A commit with its tree and files. */
function commitWith(fresh: ReadonlyMap<string, GitObject>, oid: string, { format }: LooseObjects): GitObject[] {
  const commit = fresh.get(oid)
  const tree = commit && fresh.get(parseCommit(commit.bytes)!.tree)
  const files = tree && parseTree(tree.bytes, digitsOf[format] / 2)
  const all = [commit, tree, ...[...(files?.values() ?? [])].map(file => fresh.get(file))]
  return all.filter(object => object !== undefined)
}
