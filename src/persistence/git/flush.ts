import type { Unit } from '../../actors/contracts/unit.ts'
import type { GitObject } from '../../actors/identity/index.ts'
import type { Depot, ObjectBatch } from './depot.ts'
import { provenanceRef } from './layout.ts'
import { provenanceCommit, unitsLine } from './provenance.ts'
import type { RefChange } from './ref-change.ts'
import type { Repository } from './repository.ts'

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
    for (const object of objects) this.object(object)
  }

  /** Adds a copy of an object. */
  readonly object = (object: GitObject): void => this.#batch.add(object)

  /** Whether a ref will be set. */
  sets(name: string): boolean {
    return this.#changes.has(name)
  }

  /** Sets a ref. @param from what it is before this flush; `undefined`: not there */
  set(name: string, from: string | undefined, to: string): void {
    const change = this.#changes.get(name)
    this.#changes.set(name, { name, from: change === undefined ? from : change.from, to })
  }

  /** Says how units were recorded that follow each other. */
  units(run: string, units: readonly Unit[]): void {
    this.line(run, unitsLine(run, units[0]!.seq, units))
    this.#units += units.length
    this.#last = Math.max(this.#last, units[units.length - 1]!.at)
  }

  /** Adds a line of a run. */
  line(run: string, text: string): void {
    this.#text += text
    this.#runs.add(run)
  }

  /** Makes it durable. Returns how many units it holds. @throws RefMoved, and what a write throws: then no branch was moved */
  async publish(): Promise<number> {
    const { objectFormat, refs } = this.#repository
    const before = refs.get(provenanceRef)
    const how = { runs: this.#runs.size, units: this.#units, at: this.#last }
    const provenance = provenanceCommit(objectFormat, before, this.#text, how)
    this.objects(provenance.objects)
    this.set(provenanceRef, before, provenance.oid)
    await this.#depot.publish(this.#batch, [...this.#changes.values()])
    return this.#units
  }
}
