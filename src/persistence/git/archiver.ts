import { batchesOf } from '../../actors/batch-stream.ts'
import type { RunHead, Store } from '../../actors/contracts/store.ts'
import type { NewUnit, Unit } from '../../actors/contracts/unit.ts'
import { machineCommit, runCommit } from '../../actors/identity/index.ts'
import { Turns } from '../filesystem/turns.ts'
import { type BranchHead, readHead } from './branch.ts'
import { checkBranches } from './branch-names.ts'
import { type CheckpointPiece, Checkpoints, type StateSource } from './checkpoint.ts'
import type { Depot } from './depot.ts'
import { badCommit, differs, foreign, sourceFailure, untidied, writeFailure } from './failures.ts'
import { Flush } from './flush.ts'
import { IdTable } from './id-table.ts'
import { machinePrefix, runPrefix } from './layout.ts'
import { besideLine, unitsLine } from './provenance.ts'
import { RefMoved } from './ref-change.ts'
import type { Repository } from './repository.ts'

/** What an archiver has done so far. */
export interface ArchiveCounts {
  /** Units that were committed, creations not counted. */
  units: number
  /** Packs that were written. */
  flushes: number
}

/** Where a run stands: commit and machine as they are in the repository, the rest with what is in hand. */
interface Known extends BranchHead {
  /** The creation's time, where it is known. */
  readonly created: number | undefined
  /** Whether the store was seen to have the same. */
  readonly compared: boolean
}

/** A pack is closed when it is so long, in bytes. */
const longestPack = 8 << 20

/** Commits what a store has and the repository has not. Where it stands is what the branches say, and nothing else. */
export class Archiver {
  readonly counts: ArchiveCounts = { units: 0, flushes: 0 }
  readonly #repository: Repository
  readonly #depot: Depot
  readonly #checkpoints: Checkpoints
  /** Where runs stand that moved: those in hand, and the last ones before; the least recently moved first. */
  readonly #known = new Map<string, Known>()
  readonly #mostKnown: number
  /** Of each run the revision that was taken: a listing is compared with it, and looks at no branch. */
  readonly #revisions = new IdTable()
  readonly #turns = new Turns()
  /** Whether branches may be somebody else's work. */
  #doubts = false
  #drops = 0
  #flush: Flush

  /** @param mostKnown so many runs need not be looked up when they move again */
  constructor(repository: Repository, depot: Depot, { mostKnown = 65_536 } = {}) {
    this.#mostKnown = mostKnown
    this.#repository = repository
    this.#depot = depot
    this.#checkpoints = new Checkpoints(repository, depot)
    this.#flush = new Flush(repository, depot)
  }

  /**
   * Takes over what a process left that ended in the middle, and refuses branches that are not ours.
   *
   * @param areOurs the branches are known to be
   * @throws STORE_FOREIGN
   */
  async begin({ areOurs = false } = {}): Promise<void> {
    const { gitdir, objectFormat, refs, shallow } = this.#repository
    if (shallow.size > 0) throw foreign(gitdir, 'is a shallow clone', 'Run `git fetch --unshallow` there first.')
    await this.#depot.begin()
    if (!areOurs) checkBranches(gitdir, objectFormat, refs.all().keys())
  }

  /** Whether nothing has happened to a run since it was taken. */
  isTaken({ run, revision }: RunHead): boolean {
    return this.#revisions.get(run) === revision
  }

  /** Takes a run up to `head`. What is taken is in the repository after `commit`. @throws ARCHIVE_DIFFERS */
  async take(store: Store, head: RunHead): Promise<void> {
    const { run, seq, fork } = head
    const known = this.#where(run)
    // Whoever pushed units that the store has not got: they stay.
    if (known !== undefined && known.seq > seq) return
    // What is kept beside it was written with its last unit; what has changed since is written with the next one.
    if (known?.seq === seq && this.#revisions.get(run) === undefined) {
      // Of a run that has ended, no later unit would ever show that this is another history.
      const isAnother = known.at !== undefined && known.at !== head.at
      if ((this.#doubts || isAnother) && !known.compared) await this.#compare(store, head, known)
      this.#revisions.set(run, head.revision)
      return
    }
    if (known === undefined && fork?.creation?.fork !== undefined) await this.#takeParent(store, fork.creation.fork)
    let at = known
    if (at === undefined && fork !== undefined) at = await this.#begin(store, run, fork)
    if (at !== undefined && at.seq < seq && !at.compared) at = await this.#compare(store, head, at)
    const from = at === undefined ? 0 : at.seq + 1
    for await (const batch of from > seq ? [] : batchesOf(store.read(run, { from, to: seq, ids: false }))) {
      let units = batch
      if (at === undefined) {
        at = await this.#begin(store, run, batch[0]!)
        units = batch.slice(1)
      }
      if (units.length > 0) at = await this.#units(store, head, at, units)
    }
    if (at === undefined) throw badCommit(run, run, 'the store that is archived has not got its first unit')
    if (at.created === undefined) at = { ...at, created: await createdOf(store, head) }
    this.#keep(run, at)
    this.#flush.line(run, besideLine(head, at.created!))
    this.#revisions.set(run, head.revision)
  }

  /** Makes durable what was taken. Resolves when the branches say so. @throws RefMoved, and what has a code */
  async commit(): Promise<void> {
    const flush = this.#flush
    if (flush.isEmpty) return
    this.#flush = new Flush(this.#repository, this.#depot)
    try {
      const { units, tips } = await flush.publish()
      this.counts.units += units
      this.counts.flushes++
      for (const [run, tip] of tips) this.#known.set(run, { ...this.#known.get(run)!, ...tip })
    } catch (error) {
      this.forget()
      throw error instanceof RefMoved ? error : writeFailure(error, this.#repository.gitdir)
    }
    // Their branches say now where they stand.
    for (const run of this.#known.keys()) {
      if (this.#known.size <= this.#mostKnown) break
      this.#known.delete(run)
    }
    await this.#tidy()
  }

  /** Brings the side refs up to date with what is committed. @returns whether something is left */
  async checkpoint(store: StateSource, how: CheckpointPiece): Promise<boolean> {
    const { gitdir } = this.#repository
    const states: StateSource = {
      loadSnapshot: run =>
        store.loadSnapshot(run).catch(error => {
          throw sourceFailure(error, store.location, gitdir)
        }),
      location: store.location,
    }
    const isLeft = await this.#checkpoints.write(states, how).catch(error => {
      throw error instanceof RefMoved ? error : writeFailure(error, gitdir)
    })
    await this.#tidy()
    return isLeft
  }

  /** How often what was in hand was dropped, runs among it that `take` was done with. */
  get drops(): number {
    return this.#drops
  }

  /** Drops what is in hand: the branches say again where it stands. */
  forget(): void {
    this.#drops++
    this.#doubts = true
    this.#flush.drop()
    this.#flush = new Flush(this.#repository, this.#depot)
    this.#known.clear()
    this.#revisions.clear()
  }

  async #tidy(): Promise<void> {
    await this.#depot.tidy().catch(error => {
      throw untidied(error, this.#repository.gitdir)
    })
  }

  #ref(name: string): string | undefined {
    try {
      return this.#repository.refs.get(name)
    } catch (error) {
      throw writeFailure(error, this.#repository.gitdir)
    }
  }

  #where(run: string): Known | undefined {
    const known = this.#known.get(run)
    if (known !== undefined) return known
    const oid = this.#ref(runPrefix + run)
    if (oid === undefined) return undefined
    return { ...readHead(this.#repository, run, oid), created: undefined, compared: oid === run }
  }

  #keep(run: string, known: Known): void {
    this.#known.delete(run)
    this.#known.set(run, known)
  }

  /** The shared units of a fork lie on the branch of the run that has them. */
  async #takeParent(store: Store, { run, at }: { readonly run: string; readonly at: number }): Promise<void> {
    if ((this.#where(run)?.seq ?? -1) >= at) return
    const parent = await store.head(run)
    if (parent !== undefined) await this.take(store, parent)
  }

  async #begin(store: Store, run: string, first: NewUnit): Promise<Known> {
    const { creation } = first
    if (creation === undefined) throw badCommit(run, run, `unit ${first.seq} of the store holds no creation`)
    const { oid, objects } = runCommit(this.#repository.objectFormat, creation)
    if (oid !== run) throw differs(run, first.seq, `its creation has the id ${oid}`)
    await this.#machine(store, creation.machine)
    this.#flush.objects(objects)
    this.#flush.set(runPrefix + run, undefined, oid)
    this.#flush.line(run, unitsLine(run, first.seq, [first]))
    const { machine } = creation
    return { oid, seq: first.seq, machine, at: undefined, created: first.at, compared: true }
  }

  async #units(store: Store, head: RunHead, from: Known, batch: readonly Unit[]): Promise<Known> {
    const { run } = head
    // The creation's time is part of the first commit after it.
    const created = from.created ?? (from.oid === run ? await createdOf(store, head) : undefined)
    for (const { machine } of batch) if (machine !== undefined) await this.#machine(store, machine)
    const { seq, at } = batch[batch.length - 1]!
    this.#keep(run, { ...from, seq, at, created, compared: true })
    await this.#flush.units(run, { oid: from.oid, machine: from.machine, created }, batch).catch(error => {
      throw writeFailure(error, this.#repository.gitdir)
    })
    if (this.#turns.areDue) await this.#turns.give()
    if (this.#flush.size >= longestPack) await this.commit()
    return this.#known.get(run)!
  }

  async #machine(store: Store, oid: string): Promise<void> {
    const ref = machinePrefix + oid
    if (this.#flush.sets(ref) || this.#ref(ref) !== undefined) return
    const record = await store.machine(oid)
    const commit = record && machineCommit(this.#repository.objectFormat, record)
    if (commit?.oid !== oid) {
      throw badCommit('-', oid, 'the store that is archived has not got this machine as its id says')
    }
    this.#flush.objects(commit.objects)
    this.#flush.set(ref, undefined, oid)
  }

  async #compare(store: Store, { run }: RunHead, known: Known): Promise<Known> {
    for await (const unit of store.read(run, { from: known.seq, to: known.seq })) {
      if (unit.id !== known.oid)
        throw differs(run, known.seq, `the branch has ${known.oid} there, the store ${unit.id}`)
    }
    return { ...known, compared: true }
  }
}

async function firstUnit(store: Store, run: string): Promise<Unit> {
  for await (const unit of store.read(run, { from: 0, to: 0, ids: false })) return unit
  throw badCommit(run, run, 'the store that is archived has not got its first unit')
}

async function createdOf(store: Store, { run, fork }: RunHead): Promise<number> {
  return (fork ?? (await firstUnit(store, run))).at
}
