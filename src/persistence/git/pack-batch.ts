import type { ObjectFormat } from '../../actors/contracts/unit.ts'
import type { GitObject } from '../../actors/identity/index.ts'
import { inTurns } from '../filesystem/turns.ts'
import type { ObjectBatch } from './depot.ts'
import { type Pack, PackWriter } from './pack-writer.ts'
import type { PackingThread, ThreadBatch } from './packing-thread.ts'
import { type CommitBase, type CommittedUnit, RunCommits, type Tip } from './run-commits.ts'

/** A batch that becomes a pack: made in this thread while it is small, and from there on in one of its own. */
export class PackBatch implements ObjectBatch {
  readonly #thread: PackingThread
  readonly #writer: PackWriter
  readonly #commits: RunCommits
  #units = 0
  #elsewhere: ThreadBatch | undefined

  constructor(format: ObjectFormat, thread: PackingThread) {
    this.#thread = thread
    this.#writer = new PackWriter(format)
    this.#commits = new RunCommits(format, object => this.#writer.add(object))
  }

  get size(): number {
    return (this.#elsewhere ?? this.#writer).size
  }

  add(object: GitObject): void {
    if (this.#elsewhere === undefined) this.#writer.add(object)
    else this.#elsewhere.add(object)
  }

  async commit(run: string, base: CommitBase, units: readonly CommittedUnit[]): Promise<void> {
    if (this.#elsewhere !== undefined) return this.#elsewhere.commit(run, base, units)
    await inTurns(this.#commits.commit(run, base, units))
    this.#units += units.length
    if (this.#units >= this.#thread.worthwhile)
      this.#elsewhere = this.#thread.takeOver(this.#writer.draft(), this.#commits.tips)
  }

  async tips(): Promise<ReadonlyMap<string, Tip>> {
    return this.#elsewhere?.tips() ?? this.#commits.tips
  }

  /** The pack. Nothing can be added afterwards. */
  finish(): Promise<Pack> {
    return this.#elsewhere?.finish() ?? inTurns(this.#writer.finish())
  }

  drop(): void {
    this.#elsewhere?.drop()
  }
}
