import { isDeepStrictEqual } from 'node:util'
import { readCommit } from './branch.ts'
import { provenanceRef, runPrefix } from './layout.ts'
import { type RecordedFlush, type RunProvenance, readFlush } from './provenance.ts'
import { ProvenanceIndex } from './provenance-index.ts'
import { badProvenance } from './provenance-line.ts'
import { isZero, type PushedRef, refused } from './pushed-ref.ts'
import type { Repository } from './repository.ts'

/** A position that a push says was taken, though no unit that it brings shows it. */
interface Claim {
  readonly run: string
  readonly source: string
  readonly position: bigint | number
}

/**
 * What a push records of how units were decided. No id covers it, and the last word on a unit counts: so a push may say it
 * of units of which nothing is recorded, as of those that it adds, and change nothing that is.
 */
export class PushedProvenance {
  readonly #repository: Repository
  readonly #pushed: ReadonlyMap<string, PushedRef>
  #index: ProvenanceIndex | undefined

  constructor(repository: Repository, pushed: readonly PushedRef[]) {
    this.#repository = repository
    this.#pushed = new Map(pushed.map(ref => [ref.name, ref]))
  }

  /** Units of a run of which it is recorded, after the push, how they were decided. */
  recorded(run: string): ReadonlySet<number> {
    const seqs = new Set<number>()
    for (const [seq] of this.#after.units(run, 0, Number.POSITIVE_INFINITY)) seqs.add(seq)
    return seqs
  }

  /** @returns the runs that it says something of @throws PUSH_REFUSED, COMMIT_DAMAGED */
  check(): readonly string[] {
    const ref = this.#pushed.get(provenanceRef)
    if (ref === undefined) return []
    const flushes = this.#fresh(ref)
    const before = new ProvenanceIndex(this.#repository)
    before.learn(isZero(ref.old) ? undefined : ref.old)
    const claims: Claim[] = []
    const runs = new Set(flushes.flatMap(flush => [...flush.runs()]))
    for (const run of runs) {
      const [from, to] = this.#seqs(ref, run)
      this.#checkUnits(ref, run, before, to)
      claims.push(...checkBeside(ref, run, before.run(run), this.#after.run(run), to > from))
    }
    this.#checkClaims(ref, claims)
    return [...runs]
  }

  get #after(): ProvenanceIndex {
    if (this.#index === undefined) {
      this.#index = new ProvenanceIndex(this.#repository)
      this.#index.learn(this.#pushed.get(provenanceRef)?.fresh ?? this.#repository.refs.get(provenanceRef))
    }
    return this.#index
  }

  /** The flushes that it brings: what was recorded is a chain of commits that only grows. */
  #fresh(ref: PushedRef): RecordedFlush[] {
    const flushes: RecordedFlush[] = []
    const old = isZero(ref.old) ? undefined : ref.old
    for (let commit: string | undefined = ref.fresh; commit !== old; ) {
      if (commit === undefined) throw refused(ref, `would lose ${old}`)
      const flush = readFlush(this.#repository, commit)
      if (flush.file === undefined) throw badProvenance(commit, 'it records nothing')
      flushes.push(flush)
      commit = flush.parent
    }
    return flushes
  }

  /** Up to which unit a run is there before the push, and after it. */
  #seqs(ref: PushedRef, run: string): readonly [from: number, to: number] {
    const name = runPrefix + run
    const there = this.#repository.refs.get(name)
    const fresh = this.#pushed.get(name)?.fresh ?? there
    if (fresh === undefined) {
      throw refused(ref, `says how units of run ${run} were recorded, which is not here`, { run }, together)
    }
    const seqOf = (oid: string): number => readCommit(this.#repository, run, oid).seq
    return [there === undefined ? -1 : seqOf(there), seqOf(fresh)]
  }

  #checkUnits(ref: PushedRef, run: string, before: ProvenanceIndex, last: number): void {
    const after = this.#after.units(run, 0, Number.POSITIVE_INFINITY)
    const next = (): readonly [seq: number, unit: unknown] | undefined => {
      const { value, done } = after.next()
      return done ? undefined : value
    }
    let at = next()
    for (const [seq, unit] of before.units(run, 0, Number.POSITIVE_INFINITY)) {
      while (at !== undefined && at[0] < seq) at = next()
      if (at?.[0] !== seq || !isDeepStrictEqual(at[1], unit))
        throw refused(ref, `would change how unit ${seq} of run ${run} was recorded`, { run, seq }, kept)
    }
    for (; at !== undefined; at = next()) {
      if (at[0] > last)
        throw refused(
          ref,
          `records unit ${at[0]} of run ${run}, which goes up to ${last}`,
          { run, seq: at[0] },
          together,
        )
    }
  }

  /**
   * A refused record moves a position without a unit. That is believed up to where units show that the source got: a
   * position that it never had would make a run take all that still comes for duplicates.
   */
  #checkClaims(ref: PushedRef, claims: readonly Claim[]): void {
    let open = claims
    for (let commit: string | undefined = ref.fresh; open.length > 0; ) {
      const flush: RecordedFlush | undefined = commit === undefined ? undefined : readFlush(this.#repository, commit)
      if (flush === undefined) {
        const { run, source, position } = open[0]!
        const what = `takes run ${run} to position ${position} of source '${source}', which no unit has`
        throw refused(ref, what, { run, source, position: String(position) }, 'Push it with a unit that follows there.')
      }
      for (const { units } of flush.lines()) {
        for (const { sources = [] } of units) {
          for (const { id, position } of sources) {
            if (open.length > 0) open = open.filter(claim => claim.source !== id || claim.position > position)
          }
        }
      }
      commit = flush.parent
    }
  }
}

const together = 'Push the runs along: git push --all.'
const kept = 'What is recorded stays: fetch, and push only what follows.'

/** What is kept beside a run may go on, and never back. @param grows whether the push brings units of it */
function checkBeside(
  ref: PushedRef,
  run: string,
  before: RunProvenance | undefined,
  after: RunProvenance | undefined,
  grows: boolean,
): readonly Claim[] {
  if (before === undefined || after === undefined) return []
  const claims: Claim[] = []
  const wrong = (what: string): never => {
    throw refused(ref, `would change ${what} of run ${run}`, { run }, kept)
  }
  if (after.time !== before.time || after.created !== before.created) wrong('how the creation was recorded')
  for (const [source, position] of Object.entries(before.beside.sources)) {
    const taken = after.beside.sources[source]
    if (taken === undefined || taken < position) wrong(`the position of source '${source}'`)
  }
  if (grows) return []
  if (after.status !== before.status) wrong('the status')
  if (before.value !== undefined && !isDeepStrictEqual(after.value, before.value)) wrong('the state')
  // A run that has ended takes nothing any more.
  if (after.status !== 'active') return []
  for (const [source, position] of Object.entries(after.beside.sources)) {
    if (before.beside.sources[source] !== position) claims.push({ run, source, position })
  }
  return claims
}
