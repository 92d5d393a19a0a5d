import type { EmittedFrom } from 'xstate'
import { batchesOf } from '../batch-stream.ts'
import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { Store } from '../contracts/store.ts'
import type { ActorPath, Origin, RunName, SentMail, Unit } from '../contracts/unit.ts'
import { givenUnits } from '../given.ts'
import { pathOf } from '../machine/actor-ref.ts'
import type { Decided } from '../machine/decision.ts'
import { toDefinition } from '../machine/definition.ts'
import type { Effect } from '../machine/effect.ts'
import { type ActorTable, emptyTable } from '../machine/state.ts'
import { type Divergence, UnitComparison } from '../run/divergence.ts'
import { snapshotOf } from '../run/snapshot.ts'
import type { AnyMachine, MachineOf, Machines, RunSnapshot } from '../run/types.ts'
import { Past } from './past.ts'
import { newInvocations } from './pending-changes.ts'

/** Something that a unit left to be done. A replay shows it and does nothing of it. */
export type StepEffect =
  | { readonly kind: 'action'; readonly actor: ActorPath; readonly type: string }
  | { readonly kind: 'receive'; readonly actor: ActorPath; readonly type: string }
  | ({ readonly kind: 'mail'; readonly actor: ActorPath } & SentMail)
  | {
      readonly kind: 'spawn'
      readonly actor: ActorPath
      /** The child run. */
      readonly spawn: RunName
      /** The id of its machine. */
      readonly machine: string
      readonly input?: JsonValue
    }
  | { readonly kind: 'invoke'; readonly actor: ActorPath; readonly src: string; readonly input?: JsonValue }
  | { readonly kind: 'timer'; readonly actor: ActorPath; readonly id: string; readonly due: number }

/** One unit, decided again. */
export interface ReplayStep<TMachine extends AnyMachine = AnyMachine> {
  readonly seq: number
  /** The unit's time, ms. */
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly origin: Origin
  /** The state after the unit. */
  readonly snapshot: RunSnapshot<MachineOf<TMachine>>
  /** What the machine emits now. */
  readonly outputs: readonly EmittedFrom<MachineOf<TMachine>>[]
  /** What the unit leaves to be done: custom actions, mail, invocations and timers it starts. Shown, not run. */
  readonly effects: readonly StepEffect[]
  /** With `verify`: how what was decided now differs from what was recorded. The iteration ends after it. */
  readonly divergence?: Divergence
}

/** Options of {@link replay}. */
export interface ReplayOptions {
  /** The last seq to replay, inclusive. @default all units */
  readonly until?: number | undefined
  /** Compares the state, outputs and effects that are decided now with what was recorded, and stops at the first difference. @default false */
  readonly verify?: boolean | undefined
  /**
   * The store that the history is from. It knows the id and version of each machine, where a history has commits: needed where a
   * migration names the machine that it comes from (`from: '1'`) and that machine is not among those given. Without it, units of such
   * a machine are decided by the first one, as if they were its own.
   * @default none
   */
  readonly store?: Store | undefined
}

/**
 * Decides a history again, unit by unit: the same states, outputs and effects, and nothing is done.
 *
 * Of a list of machines the one that the run is of is taken; if none is, the first: a replay changes nothing, so it may well
 * try another version (`verify` then tells where it differs).
 *
 * @example
 * for await (const step of replay(machine, store.read(run.id))) console.log(step.seq, step.snapshot.value)
 *
 * @throws while iterating: `RUN_DAMAGED` when a unit cannot be decided, and whatever the stream errors with
 */
export function replay<TMachine extends AnyMachine>(
  machine: Machines<TMachine>,
  units: ReadableStream<Unit> | AsyncIterable<Unit>,
  options: ReplayOptions = {},
): AsyncIterableIterator<ReplayStep<TMachine>> {
  return new Replay(machine, batchesOf(givenUnits(units)), options) as unknown as AsyncIterableIterator<
    ReplayStep<TMachine>
  >
}

/** An iterator by hand: a generator costs as much as a third of a step. */
class Replay implements AsyncIterableIterator<Step> {
  readonly #past: Past
  readonly #batches: AsyncGenerator<readonly Unit[], void, void>
  readonly #until: number
  readonly #comparison: UnitComparison | undefined
  #batch: readonly Unit[] = []
  #index = 0
  #over = false

  constructor(
    machine: Machines,
    batches: AsyncGenerator<readonly Unit[], void, void>,
    { until = Number.POSITIVE_INFINITY, verify = false, store }: ReplayOptions,
  ) {
    this.#past = new Past(machine, store)
    this.#batches = batches
    this.#until = until
    this.#comparison = verify ? new UnitComparison() : undefined
  }

  next(): Promise<IteratorResult<Step, undefined>> {
    try {
      return this.#index < this.#batch.length
        ? Promise.resolve(this.#step(this.#batch[this.#index++]!))
        : this.#refill()
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async return(): Promise<IteratorResult<Step, undefined>> {
    this.#over = true
    this.#batch = []
    await this.#batches.return()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #refill(): Promise<IteratorResult<Step, undefined>> {
    while (!this.#over) {
      const next = await this.#batches.next()
      if (next.done) break
      if (next.value.length === 0) continue
      await this.#past.meet(next.value)
      this.#batch = next.value
      this.#index = 1
      return this.#end(this.#step(next.value[0]!))
    }
    return { done: true, value: undefined }
  }

  #step(unit: Unit): IteratorResult<Step, undefined> {
    if (this.#over || unit.seq > this.#until) {
      this.#over = true
      return { done: true, value: undefined }
    }
    const past = this.#past
    const before = past.place?.state.table
    const decided = past.decide(unit)
    const divergence = past.isSeenFromLater ? undefined : this.#comparison?.compare(unit, decided)
    const seen = divergence && past.setAside(unit, divergence)
    if (seen !== undefined) return { done: false, value: new Step(unit, seen, before, undefined) }
    if (divergence !== undefined) this.#over = true
    return { done: false, value: new Step(unit, decided, before, divergence) }
  }

  /** Lets go of the source once the iteration is over. */
  async #end(result: IteratorResult<Step, undefined>): Promise<IteratorResult<Step, undefined>> {
    if (result.done) await this.#batches.return()
    return result
  }
}

/** What a step shows is made when it is looked at: a replay mostly looks at the last one. */
class Step {
  readonly #unit: Unit
  readonly #decided: Decided
  readonly #before: ActorTable | undefined
  readonly divergence: Divergence | undefined

  constructor(unit: Unit, decided: Decided, before: ActorTable | undefined, divergence: Divergence | undefined) {
    this.#unit = unit
    this.#decided = decided
    this.#before = before
    this.divergence = divergence
  }

  get seq(): number {
    return this.#unit.seq
  }
  get at(): number {
    return this.#unit.at
  }
  get events(): readonly RecordedEvent[] {
    return this.#unit.events
  }
  get origin(): Origin {
    return this.#unit.origin
  }
  get outputs(): readonly RecordedEvent[] {
    return this.#decided.outputs
  }
  get snapshot(): RunSnapshot {
    const { run, seq, at } = this.#unit
    return snapshotOf(run, seq, at, this.#decided.state.snapshot)
  }
  get effects(): readonly StepEffect[] {
    return effectsOf(this.#decided, this.#before)
  }
  toJSON(): object {
    const { seq, at, events, origin, outputs, effects, divergence } = this
    const { status, value, context, output } = this.snapshot
    return { seq, at, events, origin, status, value, context, output, outputs, effects, divergence }
  }
}

function effectsOf({ effects, state }: Decided, before: ActorTable | undefined): readonly StepEffect[] {
  const { table } = state
  const shown = effects.map(shownEffect)
  for (const { actor, path } of newInvocations(table, before ?? emptyTable)) {
    const input = table.actors.get(actor)?.input
    shown.push({
      kind: 'invoke',
      actor: path,
      src: String(actor.src),
      ...(input === undefined ? undefined : { input: input as JsonValue }),
    })
  }
  for (const [key, { source, id, due }] of table.timers)
    if (!before?.timers.has(key)) shown.push({ kind: 'timer', actor: pathOf(source), id, due })
  return shown
}

function shownEffect(effect: Effect): StepEffect {
  const actor = pathOf(effect.actor)
  switch (effect.kind) {
    case 'action':
      return { kind: 'action', actor, type: effect.action.type }
    case 'receive':
      return { kind: 'receive', actor, type: effect.event.type }
    case 'mail':
      return { kind: 'mail', actor, to: effect.to, event: effect.event }
    case 'spawn': {
      const { spawn, input } = effect
      const machine = toDefinition(effect.machine).machine.id
      return { kind: 'spawn', actor, spawn, machine, ...(input !== undefined && { input }) }
    }
  }
}
