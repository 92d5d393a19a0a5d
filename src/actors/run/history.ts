import { batchesOf } from '../batch-stream.ts'
import type { RunHead, Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { decodeState, stateFormat } from '../machine/codec.ts'
import type { Decided } from '../machine/decision.ts'
import type { Program } from '../machine/program.ts'
import type { RunState } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import { diverged, UnitComparison } from './divergence.ts'

/** What the randomness of a unit derives from (semantics 6). */
export function seedOf(previousId: string, seq: number): string {
  return `${previousId} ${seq}`
}

/** A state with its place in the history. */
export interface Place {
  readonly system: ActorSystem
  readonly state: RunState
  readonly seq: number
  readonly at: number
}

/**
 * Folds recorded units into the state that they lead to: what recovery, replay and verification are made of.
 * Runs no effect, and no policy of today refuses what is recorded.
 */
export class HistoryFold {
  readonly program: Program
  readonly #comparison: UnitComparison | undefined
  #place: Place | undefined
  #last: Unit | undefined

  /**
   * @param from where to go on; nothing: at the creation
   * @param compares a unit that comes out otherwise than recorded is refused with `REPLAY_DIVERGED`
   */
  constructor(program: Program, from: Place | undefined, compares: boolean) {
    this.program = program
    this.#place = from
    this.#comparison = compares ? new UnitComparison() : undefined
  }

  get place(): Place | undefined {
    return this.#place
  }

  /** The unit that the place stands after: the randomness of the next one derives from its id. */
  follow(unit: Unit): void {
    this.#last = unit
  }

  /** Applies a unit. `undefined`: the step draws randomness and the units were read without ids. */
  apply(unit: Unit): Decided | undefined {
    const decided = this.#place === undefined ? this.#begin(unit) : this.#next(this.#place, unit)
    this.#last = unit
    const divergence = decided === undefined ? undefined : this.#comparison?.compare(unit, decided)
    if (divergence !== undefined) throw diverged(unit.run, divergence)
    return decided
  }

  #begin(unit: Unit): Decided {
    if (unit.creation === undefined) throw damaged(unit, 'the history does not begin with its creation')
    const { input, snapshot } = unit.creation
    const system = this.program.createSystem(input)
    const decided = this.program.initial(system, unit.at, () => seedOf(unit.run, 0), snapshot, true)
    this.#place = { system, state: decided.state, seq: unit.seq, at: unit.at }
    return decided
  }

  #next(place: Place, unit: Unit): Decided | undefined {
    if (unit.seq !== place.seq + 1) throw damaged(unit, `it follows unit ${place.seq}`)
    const last = this.#last
    let seed: (() => string) | undefined
    if (last !== undefined) {
      seed = () => {
        try {
          // The first unit of a fork follows the fork's own commit.
          return seedOf(last.run === unit.run ? last.id : unit.run, unit.seq)
        } catch (thrown) {
          if (!XMachinesError.is(thrown, 'UNIT_ID_UNKNOWN')) throw thrown
          unnamed = true
          return ''
        }
      }
    }
    let unnamed = false
    const { seq, at, events, origin } = unit
    const decision = this.program.decide(place.system, place.state, { seq, at, events, origin, seed, recorded: true })
    if (decision.kind === 'starved' || unnamed) return undefined
    if (decision.kind === 'refused') throw damaged(unit, decision.error.message, decision.error)
    this.#place = { system: place.system, state: decision.state, seq, at }
    return decision
  }
}

function damaged(unit: Unit, why: string, cause?: unknown): XMachinesError {
  const text = `Unit ${unit.seq} of run ${unit.run} cannot be decided again: ${why}. Fork before it, or restore the store from a copy.`
  return new XMachinesError('RUN_DAMAGED', text, { details: { run: unit.run, seq: unit.seq }, cause })
}

/** The state of a run at unit `to`: from the newest usable snapshot and the units after it, or from all units. */
export async function recover(
  store: Store,
  head: RunHead,
  program: Program,
  options: { readonly to?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<Place> {
  const { to = head.seq, signal } = options
  const snapshot = await usableSnapshot(store, head, program, to, signal)
  if (snapshot !== undefined) {
    const place = await fold(store, head.run, new HistoryFold(program, snapshot, true), {
      from: snapshot.seq + 1,
      to,
      ids: false,
      signal,
    })
    if (place !== undefined) return { ...place, at: to === head.seq ? head.at : place.at }
  }
  // Ids cost as much as the steps: they are read where the machine draws randomness, which may show only on the way.
  const cheap = program.drawsRandomness
    ? undefined
    : await fold(store, head.run, new HistoryFold(program, undefined, true), { to, ids: false, signal })
  const place =
    cheap ?? (await fold(store, head.run, new HistoryFold(program, undefined, true), { to, ids: true, signal }))
  if (place === undefined)
    throw new XMachinesError('RUN_DAMAGED', `The history of run ${head.run} is empty.`, { details: { run: head.run } })
  return place
}

async function usableSnapshot(
  store: Store,
  head: RunHead,
  program: Program,
  to: number,
  signal: AbortSignal | undefined,
): Promise<Place | undefined> {
  if (program.drawsRandomness) return undefined
  const stored = await store.loadSnapshot(head.run, { atMost: to, signal })
  if (stored === undefined || stored.machine !== program.record.oid || stored.format !== stateFormat) return undefined
  const system = program.createSystem(undefined)
  return { system, state: decodeState(system, stored.state), seq: stored.seq, at: 0 }
}

/** `undefined`: a step draws randomness and the units were read without ids. */
async function fold(
  store: Store,
  run: string,
  onto: HistoryFold,
  range: {
    readonly from?: number
    readonly to: number
    readonly ids: boolean
    readonly signal: AbortSignal | undefined
  },
): Promise<Place | undefined> {
  if (onto.place?.seq === range.to) return onto.place
  for await (const batch of batchesOf(store.read(run, range))) {
    for (const unit of batch) if (onto.apply(unit) === undefined) return undefined
  }
  return onto.place
}
