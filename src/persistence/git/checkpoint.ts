import type { Store } from '../../actors/contracts/store.ts'
import { type GitObject, gitBlob, gitCommit } from '../../actors/identity/index.ts'
import { nextTurn } from '../filesystem/turns.ts'
import { parseCommit } from './commit.ts'
import type { Depot, ObjectBatch } from './depot.ts'
import { FanOut } from './fan-out.ts'
import { notesRef, provenanceRef, runPrefix, snapshotsRef } from './layout.ts'
import { noteText } from './note.ts'
import { readFlush, type UnitProvenance } from './provenance.ts'
import type { RefChange } from './ref-change.ts'
import type { Repository } from './repository.ts'
import { commitAt, walkBack } from './run-history.ts'
import { readSnapshot, snapshotText, treeOf } from './snapshot-file.ts'

/** A state is worth its room when so many units need not be replayed. */
const snapshotEvery = 256
const mostLong = 10_000
const subject = /^how units were recorded, up to ([0-9a-f]+)$/

/** What was recorded of the units of a run. */
interface RunPart {
  from: number
  readonly units: Map<number, UnitProvenance>
}

/** How much is done at once. */
export interface CheckpointPiece {
  /** So many units, in whole flushes. */
  readonly most: number
  /** One flush in any case. */
  readonly atLeastOne: boolean
  /** No other will follow: states that were taken since the last look are looked for again. */
  readonly last: boolean
}

/** Where states come from. */
export type StateSource = Pick<Store, 'loadSnapshot' | 'location'>

/**
 * The side refs that people and readers want, and that no append waits for: notes on the commits of units, and newest
 * states of long runs. Both follow the provenance branch; how far they are is what the newest commit of the notes says.
 */
export class Checkpoints {
  readonly #repository: Repository
  readonly #depot: Depot
  #done: string | undefined
  /** Long runs that have grown since this process writes. */
  readonly #long = new Set<string>()

  constructor(repository: Repository, depot: Depot) {
    this.#repository = repository
    this.#depot = depot
  }

  /**
   * Brings them up to date, a piece at a time.
   *
   * @param store gives the states
   * @returns whether something is left
   * @throws RefMoved when somebody set them meanwhile, COMMIT_DAMAGED
   */
  async write(store: StateSource, { most, atLeastOne, last }: CheckpointPiece): Promise<boolean> {
    const head = this.#repository.refs.get(provenanceRef)
    const flushes = head === undefined || head === this.#done ? [] : this.#flushesUpTo(head)
    const parts = new Map<string, RunPart>()
    let units = 0
    let until: string | undefined
    let at = 0
    for (; at < flushes.length; at++) {
      const flush = flushes[at]!
      if (units + flush.count > most && !(at === 0 && atLeastOne)) break
      units += flush.count
      for (const { run, from, units: recorded } of flush.lines()) {
        let part = parts.get(run)
        if (part === undefined) parts.set(run, (part = { from, units: new Map() }))
        part.from = Math.min(part.from, from)
        for (let index = 0; index < recorded.length; index++) part.units.set(from + index, recorded[index]!)
        if (from + recorded.length > snapshotEvery && this.#long.size < mostLong) this.#long.add(run)
      }
      until = flush.commit
    }
    const long = last ? [...this.#long] : [...parts.keys()].filter(run => this.#long.has(run))
    const batch = this.#depot.batch()
    const changes = [
      await this.#change(batch, notesRef, await this.#notes(batch, parts), `how units were recorded, up to ${until}`),
      await this.#change(batch, snapshotsRef, await this.#states(batch, long, store), 'states of runs'),
    ].filter(change => change !== undefined)
    if (changes.length > 0) {
      await this.#depot.publish(batch, changes)
    }
    this.#done = until ?? this.#done
    return at < flushes.length
  }

  /** The flushes that are not in the notes, the oldest first. */
  #flushesUpTo(head: string): ReturnType<typeof readFlush>[] {
    this.#done ??= this.#noted()
    const flushes: ReturnType<typeof readFlush>[] = []
    for (let commit: string | undefined = head; commit !== undefined && commit !== this.#done; ) {
      const flush = readFlush(this.#repository, commit)
      flushes.push(flush)
      commit = flush.parent
    }
    return flushes.reverse()
  }

  /** How far the notes are. Whoever adds notes by hand commits on top of ours. */
  #noted(): string | undefined {
    const { refs, objects } = this.#repository
    for (let commit = refs.get(notesRef); commit !== undefined; ) {
      const found = objects.read(commit)
      const parsed = found && parseCommit(found.bytes)
      const until = parsed && subject.exec(parsed.subject)?.[1]
      if (until !== undefined) return until
      commit = parsed?.parents[0]
    }
    return undefined
  }

  /** The notes of units, by their commits. */
  async #notes(batch: ObjectBatch, parts: ReadonlyMap<string, RunPart>): Promise<Map<string, string>> {
    const notes = new Map<string, string>()
    let looked = 0
    for (const [run, { from, units }] of parts) {
      const head = this.#repository.refs.get(runPrefix + run)
      // A branch that got another name has no notes to get.
      if (head === undefined) continue
      // A fork's history begins with units of another run.
      for (const { oid, seq, run: owner } of walkBack(this.#repository, run, head, from)) {
        const provenance = owner === run ? units.get(seq) : undefined
        const text = provenance && noteText(provenance)
        if (text !== undefined) notes.set(oid, this.#add(batch, text))
        if (++looked % 512 === 0) await nextTurn()
      }
    }
    return notes
  }

  /** States of runs that are newer by enough than those that are kept. */
  async #states(batch: ObjectBatch, runs: readonly string[], store: StateSource): Promise<Map<string, string>> {
    const states = new Map<string, string>()
    for (const run of runs) {
      const head = this.#repository.refs.get(runPrefix + run)
      const stored = await store.loadSnapshot(run)
      if (head === undefined || stored === undefined) continue
      if (stored.seq < (readSnapshot(this.#repository, run)?.seq ?? 0) + snapshotEvery) continue
      // Its id ties it to the history. One that is ahead of the branch comes with the next checkpoint.
      const id = commitAt(this.#repository, run, head, stored.seq)
      if (id !== undefined) states.set(run, this.#add(batch, snapshotText({ ...stored, id })))
    }
    return states
  }

  #add(batch: ObjectBatch, text: string): string {
    const blob = gitBlob(this.#repository.objectFormat, Buffer.from(text))
    batch.add(blob)
    return blob.oid
  }

  async #change(
    batch: ObjectBatch,
    name: string,
    files: ReadonlyMap<string, string>,
    message: string,
  ): Promise<RefChange | undefined> {
    if (files.size === 0) return undefined
    const { objectFormat, objects, refs } = this.#repository
    const from = refs.get(name)
    const fanOut = new FanOut(objects)
    const tree = await fanOut.set(from && treeOf(objects, from), files)
    const author = 'xmachines <runs@xmachines.invalid> 0 +0000'
    const parents = from === undefined ? [] : [from]
    const commit: GitObject = gitCommit(objectFormat, {
      tree,
      parents,
      author,
      committer: author,
      message: `${message}\n`,
    })
    for (const object of [...fanOut.trees, commit]) batch.add(object)
    return { name, from, to: commit.oid }
  }
}
