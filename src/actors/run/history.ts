import { batchesOf } from '../batch-stream.ts'
import type { RunHead, Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { decodeState, stateFormat } from '../machine/codec.ts'
import type { Decided } from '../machine/decision.ts'
import type { Standing } from '../machine/persisted-state.ts'
import type { Program } from '../machine/program.ts'
import type { RunState } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import { type Divergence, diverged, UnitComparison } from './divergence.ts'
import type { Lineage } from './lineage.ts'
import { noWay, unknownMachine } from './mismatch.ts'
import { Upcast } from './upcast.ts'

/** What the randomness of a unit derives from (semantics 6). */
export function seedOf(previousId: string, seq: number): string {
  return `${previousId} ${seq}`
}

/** A state with its place in the history, and the machine that the run is of there. */
export interface Place {
  readonly program: Program
  readonly system: ActorSystem
  readonly state: RunState
  readonly seq: number
  readonly at: number
}

/** How to fold. */
export interface FoldOptions {
  /** Where to go on. @default at the creation */
  readonly from?: Place | undefined
  /** A unit that comes out otherwise than recorded is refused with `REPLAY_DIVERGED`. @default false */
  readonly compares?: boolean | undefined
  /** Decides histories of machines that are not known, as if it were theirs. @default they are refused */
  readonly fallback?: Program | undefined
  /** Whether migrations by events may come: the past is then decided by their machines too. @default true */
  readonly upcasts?: boolean | undefined
  /** `false`: it goes over to a later machine just now, which is held to its rules. @default true */
  readonly recorded?: boolean | undefined
}

/**
 * Folds recorded units into the state that they lead to: what recovery, replay and verification are made of.
 * Runs no effect, and no policy of today refuses what is recorded. A migration takes it to the program of another machine.
 */
export class HistoryFold {
  readonly lineage: Lineage
  readonly #fallback: Program | undefined
  readonly #comparison: UnitComparison | undefined
  /** Whether it began at the creation. */
  readonly #whole: boolean
  readonly #recorded: boolean
  #upcasts: readonly Upcast[] | undefined
  #place: Place | undefined
  #last: Unit | undefined
  /** Which machine the units are of, if it is not the place's. */
  #foreign: string | undefined
  /** Units of a machine that is not known are seen from this one, which they go over to later. */
  #seenFrom: Program | undefined
  /** Why a machine that a migration by events names is not asked any more. */
  #strayed: XMachinesError | undefined
  /** Randomness was asked for, and the units were read without ids. */
  #unnamed = false

  constructor(
    lineage: Lineage,
    { from, compares = false, fallback, upcasts = true, recorded = true }: FoldOptions = {},
  ) {
    this.lineage = lineage
    this.#fallback = fallback
    this.#place = from
    this.#whole = from === undefined
    this.#recorded = recorded
    this.#comparison = compares ? new UnitComparison() : undefined
    if (from !== undefined || !upcasts) this.#upcasts = []
  }

  get place(): Place | undefined {
    return this.#place
  }
  /** The machine that the run is of where the fold stands, while it is decided by another one in its place. */
  get foreign(): string | undefined {
    return this.#foreign
  }

  /** Whether what is decided now is what a later machine makes of it: not to be compared with what was recorded. */
  get seenFromLater(): boolean {
    return this.#seenFrom !== undefined
  }

  /** Why it cannot be decided by its own machine where the fold stands. */
  unknown(run: string, seq: number): XMachinesError {
    return this.#strayed ?? unknownMachine(run, seq, this.#foreign!, this.lineage)
  }

  /** The unit that the place stands after: the randomness of the next one derives from its id. */
  follow(unit: Unit): void {
    this.#last = unit
  }

  /**
   * Applies a unit. `undefined`: it needs what the units so far did not give: their ids, or the history from its beginning.
   * @param recorded `false`: it is not in the history, so there is nothing to compare it with
   */
  apply(unit: Unit, recorded = true): Decided | undefined {
    const place = this.#place
    const decided =
      place === undefined
        ? this.#begin(unit)
        : unit.machine !== undefined
          ? this.#goOver(place, unit, unit.machine, recorded)
          : this.#seenFrom === undefined
            ? this.#next(place, unit)
            : this.#see(unit)
    this.#last = unit
    if (decided === undefined || this.#unnamed) return undefined
    // What another machine makes of it is not what was recorded.
    if (this.#seenFrom !== undefined || !recorded) return decided
    const divergence = this.#comparison?.compare(unit, decided)
    if (divergence === undefined) return decided
    if (!this.#whole && this.#laterThan(this.#place!).length > 0) return undefined
    const seen = this.setAside(unit, divergence)
    if (seen === undefined) throw diverged(unit.run, divergence)
    return seen
  }

  /**
   * The place's machine does not decide as it once did. Where only a migration by events names it, it need not be known, and may
   * have changed since: from this unit on the later machine decides. Gives what that makes of it; `undefined`: it is not so.
   */
  setAside(unit: Unit, divergence: Divergence): Decided | undefined {
    const later = this.#laterThan(this.#place!)
    const seen = this.#upcasts!.find(({ program }) => later.includes(program))
    if (seen === undefined) return undefined
    this.#strayed = diverged(unit.run, divergence)
    this.#foreign = this.#place!.program.record.oid
    this.#seenFrom = seen.program
    return this.#arriveSeen(unit)
  }

  /** The machines that may decide the past in the place of one that was not given itself. */
  #laterThan({ program }: Place): readonly Program[] {
    return this.lineage.programs.includes(program) ? [] : this.lineage.reachableByEvents(program.record.oid)
  }

  #begin(unit: Unit): Decided | undefined {
    if (unit.creation === undefined) throw damaged(unit, 'the history does not begin with its creation')
    const { machine, input, snapshot } = unit.creation
    const seed = (): string => seedOf(unit.run, 0)
    this.#upcasts ??= this.lineage
      .reachableByEvents(machine)
      .map(program => new Upcast(this.lineage, program, machine, input, this.#recorded))
    for (const upcast of this.#upcasts) upcast.apply(unit, seed)
    const own = this.lineage.find(machine)
    if (own === undefined) {
      this.#foreign = machine
      this.#seenFrom = this.#upcasts[0]?.program
      if (this.#seenFrom !== undefined) return this.#see(unit)
    }
    const program = own ?? this.#fallback
    if (program === undefined) throw unknownMachine(unit.run, unit.seq, machine, this.lineage)
    const system = program.createSystem(input)
    const decided = program.initial(system, unit.at, seed, snapshot, true)
    this.#place = { program, system, state: decided.state, seq: unit.seq, at: unit.at }
    return decided
  }

  #next(place: Place, unit: Unit): Decided | undefined {
    if (unit.seq !== place.seq + 1) throw damaged(unit, `it follows unit ${place.seq}`)
    const { seq, at, events, origin } = unit
    const { program, system, state } = place
    const seed = this.#seedOf(unit)
    if (!this.#upcast(unit, seed)) return undefined
    const decision = program.decide(system, state, { seq, at, events, origin, seed, recorded: true })
    if (decision.kind === 'starved') return undefined
    if (decision.kind === 'refused') throw damaged(unit, decision.error.message, decision.error)
    this.#place = { program, system, state: decision.state, seq, at }
    return decision
  }

  /** The machine that the history was decided with is not known: what a later one makes of it. */
  #see(unit: Unit): Decided | undefined {
    if (this.#place !== undefined && !this.#upcast(unit, this.#seedOf(unit))) return undefined
    return this.#arriveSeen(unit)
  }

  #arriveSeen(unit: Unit): Decided {
    const upcast = this.#upcasts!.find(one => one.program === this.#seenFrom)!
    this.#arrive(unit, upcast.program, upcast.standing)
    return upcast.decided
  }

  /** A migration (semantics 26). */
  #goOver(place: Place, unit: Unit, machine: string, recorded: boolean): Decided | undefined {
    const { seq, at, origin } = unit
    if (seq !== place.seq + 1) throw damaged(unit, `it follows unit ${place.seq}`)
    const seed = this.#seedOf(unit)
    if (!this.#upcast(unit, seed)) return undefined
    const program = this.lineage.find(machine)
    const from = origin.kind === 'migration' ? origin.from : place.program.record.oid
    const way = program === undefined ? undefined : this.lineage.way(from, program)
    const seen = this.#upcasts![0]
    if ((program === undefined || way === undefined) && seen !== undefined) {
      this.#foreign = machine
      this.#seenFrom = seen.program
      return this.#arrive(unit, seen.program, seen.standing)
    }
    if (program === undefined || way === undefined) {
      if (this.#fallback === undefined) throw noWay(unit.run, seq, from, machine, this.lineage)
      this.#foreign = machine === place.program.record.oid ? undefined : machine
      return this.#arrive(unit, place.program, place)
    }
    if (way.by === 'event') {
      const upcast = this.#upcasts!.find(one => one.program === program)
      if (upcast !== undefined) {
        this.#foreign = this.#seenFrom = undefined
        return this.#arrive(unit, program, upcast.standing)
      }
      if (this.#whole) throw noWay(unit.run, seq, from, machine, this.lineage)
      return undefined
    }
    if (this.#foreign !== undefined) {
      if (place.program !== program || this.#fallback === undefined) throw this.unknown(unit.run, seq)
      this.#foreign = undefined
      return this.#arrive(unit, program, place)
    }
    const system = program.createSystem(undefined)
    const decided = program.migrate(system, place, way.steps, { seq, at, seed, recorded })
    if (decided.kind === 'starved') return undefined
    this.#place = { program, system, state: decided.state, seq, at }
    return decided
  }

  #arrive({ seq, at }: Unit, program: Program, { system, state }: Standing): Decided {
    this.#place = { program, system, state, seq, at }
    return { kind: 'decided', state, outputs: [], effects: [], fatal: undefined }
  }

  #upcast(unit: Unit, seed: (() => string) | undefined): boolean {
    for (const upcast of this.#upcasts!) if (!upcast.apply(unit, seed)) return false
    return !this.#unnamed
  }

  #seedOf(unit: Unit): (() => string) | undefined {
    const last = this.#last
    if (last === undefined) return undefined
    return () => {
      try {
        // The first unit of a fork follows the fork's own commit.
        return seedOf(last.run === unit.run ? last.id : unit.run, unit.seq)
      } catch (thrown) {
        if (!XMachinesError.is(thrown, 'UNIT_ID_UNKNOWN')) throw thrown
        this.#unnamed = true
        return ''
      }
    }
  }
}

function damaged(unit: Unit, why: string, cause?: unknown): XMachinesError {
  const text = `Unit ${unit.seq} of run ${unit.run} cannot be decided again: ${why}. Fork before it, or restore the store from a copy.`
  return new XMachinesError('RUN_DAMAGED', text, { details: { run: unit.run, seq: unit.seq }, cause })
}

/** What to recover. */
export interface RecoverOptions {
  /** The unit to stand after. @default the head */
  readonly to?: number | undefined
  /** A unit that is not in the history (yet), to be applied on top. */
  readonly next?: Unit | undefined
  /** What a later machine makes of it will do where its own is not known. @default `MACHINE_MISMATCH` */
  readonly seen?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** A recovered place, with what the last unit that was applied came to. */
export interface Recovered extends Place {
  readonly decided: Decided | undefined
}

/**
 * The state of a run at unit `to`: from the newest usable snapshot and the units after it, or from all units.
 *
 * @throws `MACHINE_MISMATCH` when a machine or a migration is not known that it takes; `MIGRATION_FAILED`, `REPLAY_DIVERGED`, `RUN_DAMAGED`
 */
export async function recover(
  store: Store,
  head: RunHead,
  lineage: Lineage,
  { to = head.seq, next, seen, signal }: RecoverOptions = {},
): Promise<Recovered> {
  const read = { to, next, seen, signal }
  const snapshot = await usableSnapshot(store, head, lineage, to, signal)
  if (snapshot !== undefined) {
    const fold = new HistoryFold(lineage, { from: snapshot, compares: true })
    const found = await folded(store, head, fold, { ...read, from: snapshot.seq + 1, ids: false })
    if (found !== undefined) return { ...found, at: to === head.seq && next === undefined ? head.at : found.at }
  }
  const upcasts = await learnMachines(store, head, lineage, { next, signal })
  // Ids cost as much as the steps: they are read where the machine draws randomness, which may show only on the way.
  const known = lineage.find(head.machine)
  for (const ids of known?.drawsRandomness === true ? [true] : [false, true]) {
    const found = await folded(
      store,
      head,
      new HistoryFold(lineage, { compares: true, upcasts, recorded: next === undefined }),
      { ...read, ids },
    )
    if (found !== undefined) return found
  }
  throw new XMachinesError('RUN_DAMAGED', `The history of run ${head.run} is empty.`, { details: { run: head.run } })
}

/**
 * Whether the history may go over to a machine by its events: most never do, and are not decided twice. If so, the lineage
 * learns what the machines on the way are called.
 */
export async function learnMachines(
  store: Store,
  head: RunHead,
  lineage: Lineage,
  options: Pick<RecoverOptions, 'next' | 'signal'> = {},
): Promise<boolean> {
  if (!lineage.migrates) return false
  const { next, signal } = options
  await lineage.learn(store, head.machine, signal)
  for await (const batch of batchesOf(store.read(head.run, { to: head.seq, ids: false, signal }))) {
    for (const { creation, machine = creation?.machine } of batch) {
      if (creation !== undefined && machine === (next?.machine ?? head.machine)) return false
      if (machine !== undefined) await lineage.learn(store, machine, signal)
    }
  }
  return true
}

async function usableSnapshot(
  store: Store,
  head: RunHead,
  lineage: Lineage,
  to: number,
  signal: AbortSignal | undefined,
): Promise<Place | undefined> {
  const stored = await store.loadSnapshot(head.run, { atMost: to, signal })
  if (stored === undefined || stored.format !== stateFormat) return undefined
  const program = lineage.find(stored.machine)
  if (program === undefined || program.drawsRandomness) return undefined
  const system = program.createSystem(undefined)
  return { program, system, state: decodeState(system, stored.state), seq: stored.seq, at: 0 }
}

/** `undefined`: the fold needs more than it was given. */
async function folded(
  store: Store,
  { run }: RunHead,
  onto: HistoryFold,
  {
    next,
    seen = false,
    ...range
  }: RecoverOptions & { readonly to: number; readonly from?: number | undefined; readonly ids: boolean },
): Promise<Recovered | undefined> {
  let decided: Decided | undefined
  if (onto.place?.seq !== range.to) {
    for await (const batch of batchesOf(store.read(run, range))) {
      for (const unit of batch) if ((decided = onto.apply(unit)) === undefined) return undefined
    }
  }
  if (next !== undefined && (decided = onto.apply(next, false)) === undefined) return undefined
  const { place, foreign } = onto
  if (foreign !== undefined && !seen) throw onto.unknown(run, range.to)
  return place === undefined ? undefined : { ...place, decided }
}
