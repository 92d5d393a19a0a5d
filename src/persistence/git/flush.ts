import type { Unit } from '../../actors/contracts/unit.ts'
import type { GitObject } from '../../actors/identity/index.ts'
import type { Depot, ObjectBatch } from './depot.ts'
import { provenanceRef, runPrefix } from './layout.ts'
import { provenanceCommit, unitsLine } from './provenance.ts'
import type { RefChange } from './ref-change.ts'
import type { Repository } from './repository.ts'
import type { CommitBase, Tip } from './run-commits.ts'

/** What is published at once: objects, and one change of refs. */
export class Flush {
  readonly #repository: Repository
  readonly #depot: Depot
  readonly #batch: ObjectBatch
  readonly #changes = new Map<string, RefChange>()
  readonly #runs = new Set<string>()
  #text = ''
  #units = 0
  #last = 0

  constructor(repository: Repository, depot: Depot) {
    this.#repository = repository
    this.#depot = depot
    this.#batch = depot.batch()
  }

  get isEmpty(): boolean {
    return this.#text === ''
  }

  /** In bytes. */
  get size(): number {
    return this.#batch.size + this.#text.length
  }

  objects(objects: readonly GitObject[]): void {
    for (const object of objects) this.#batch.add(object)
  }

  /** Whether a ref will be set. */
  sets(name: string): boolean {
    return this.#changes.has(name)
  }

  /** Sets a ref. @param from what it is before this flush, where that was not said before; `undefined`: not there */
  set(name: string, from: string | undefined, to: string): void {
    const change = this.#changes.get(name)
    this.#changes.set(name, { name, from: change === undefined ? from : change.from, to })
  }

  /** Commits units that follow each other, and says how they were recorded. @param base where the run stands before this flush */
  async units(run: string, base: CommitBase, units: readonly Unit[]): Promise<void> {
    const name = runPrefix + run
    // Where it goes is known in the end.
    if (!this.sets(name)) this.set(name, base.oid, base.oid)
    this.line(run, unitsLine(run, units[0]!.seq, units))
    this.#units += units.length
    this.#last = Math.max(this.#last, units[units.length - 1]!.at)
    await this.#batch.commit(run, base, units)
  }

  /** Adds a line of a run. */
  line(run: string, text: string): void {
    this.#text += text
    this.#runs.add(run)
  }

  /** Makes it durable. Returns how many units it holds, and where their runs stand now. @throws RefMoved, and what a write throws: then no branch was moved */
  async publish(): Promise<{ readonly units: number; readonly tips: ReadonlyMap<string, Tip> }> {
    const { objectFormat, refs } = this.#repository
    try {
      const tips = await this.#batch.tips()
      for (const [run, { oid }] of tips) this.set(runPrefix + run, undefined, oid)
      const before = refs.get(provenanceRef)
      const how = { runs: this.#runs.size, units: this.#units, at: this.#last }
      const provenance = provenanceCommit(objectFormat, before, this.#text, how)
      this.objects(provenance.objects)
      this.set(provenanceRef, before, provenance.oid)
      await this.#depot.publish(this.#batch, [...this.#changes.values()])
      return { units: this.#units, tips }
    } finally {
      this.drop()
    }
  }

  /** Forgets what is not published. */
  drop(): void {
    this.#batch.drop()
  }
}
