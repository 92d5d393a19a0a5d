import type { Unit } from '../../actors/contracts/unit.ts'
import type { GitObject } from '../../actors/identity/index.ts'
import type { GitFiles } from './files.ts'
import { provenanceRef } from './layout.ts'
import { PackWriter } from './pack-writer.ts'
import { provenanceCommit, unitsLine } from './provenance.ts'
import { publishPack } from './publication.ts'
import type { RefChange } from './refs.ts'
import type { Repository } from './repository.ts'

/** What becomes one pack and one change of refs. */
export class Flush {
  readonly #repository: Repository
  readonly #pack: PackWriter
  readonly #changes = new Map<string, RefChange>()
  readonly #runs = new Set<string>()
  #text = ''
  #units = 0
  #last = 0

  constructor(repository: Repository) {
    this.#repository = repository
    this.#pack = new PackWriter(repository.objectFormat)
  }

  get isEmpty(): boolean {
    return this.#text === ''
  }

  /** In bytes. */
  get size(): number {
    return this.#pack.size + this.#text.length
  }

  objects(objects: readonly GitObject[]): void {
    for (const object of objects) this.#pack.add(object)
  }

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
  async publish(files: GitFiles, folder: string): Promise<number> {
    const { objectFormat, refs } = this.#repository
    const before = refs.get(provenanceRef)
    const how = { runs: this.#runs.size, units: this.#units, at: this.#last }
    const provenance = provenanceCommit(objectFormat, before, this.#text, how)
    this.objects(provenance.objects)
    this.set(provenanceRef, before, provenance.oid)
    const { release } = await publishPack(files, folder, this.#pack.finish())
    await refs.set([...this.#changes.values()])
    await release()
    return this.#units
  }
}
