import type { AnyStateMachine, EventObject } from 'xstate'
import type { JsonValue } from '../contracts/json.ts'
import type { MachineRecord } from '../contracts/store.ts'
import type { ObjectFormat } from '../contracts/unit.ts'
import type { XMachinesError } from '../errors.ts'
import { machineId } from '../identity/commits.ts'
import { enterStep, leaveStep, type Step } from '../step.ts'
import type { ActorRef } from './actor-ref.ts'
import { adoptSnapshot } from './adoption.ts'
import { carryOver, withError } from './carry-over.ts'
import { escalation } from './child-end.ts'
import { type Decided, type Decision, isGoverned, type Refused, type Starved, type StepInput } from './decision.ts'
import type { MachineDefinition } from './definition.ts'
import { Draft } from './draft.ts'
import { type Migration, migrationFailed } from './migration.ts'
import { normalisedDefinition } from './normalised.ts'
import { readTold } from './outcome.ts'
import type { Standing } from './persisted-state.ts'
import { findProblem } from './problem.ts'
import { rememberSelection } from './selection.ts'
import { emptyTable, findInvocation, findTimer, type RunState } from './state.ts'
import { damaged, finished, noAnswer, unhandled } from './step-errors.ts'
import { ActorSystem } from './system.ts'
import { type LiveMachineSnapshot, type LiveSnapshot, ProcessingStatus } from './xstate.ts'

const starved: Starved = { kind: 'starved' }
const nothing: readonly never[] = Object.freeze([])

/** What the step of a migration needs to know of its unit. */
export type MigrationInput = Pick<StepInput, 'seq' | 'at' | 'seed' | 'recorded'>

/**
 * A machine made ready to be run: its identity, and `decide`, the pure function from a state and a unit to the next state.
 * One for each machine and hash, however many runs it has; what belongs to one run is in its {@link ActorSystem}.
 */
export class Program {
  readonly definition: MachineDefinition
  /** What the store keeps of the machine; `record.oid` is its commit. */
  readonly record: MachineRecord
  /** Whether any step has asked for randomness: from then on, runs keep their head's id at hand. */
  drawsRandomness = false
  readonly #machine: AnyStateMachine

  /**
   * @param quick `false` leaves every step to XState alone: for the tests that compare
   * @param prepare what else is done to the machine, a copy that nobody else has
   */
  constructor(
    definition: MachineDefinition,
    format: ObjectFormat,
    quick = true,
    prepare?: (machine: AnyStateMachine) => void,
  ) {
    this.definition = definition
    // A copy of its own: methods of it are replaced, which the author's machine must not notice.
    this.#machine = definition.machine.provide({})
    prepare?.(this.#machine)
    if (quick) rememberSelection(this.#machine)
    const identity = {
      id: this.#machine.id,
      version: definition.version,
      definition: normalisedDefinition(definition.machine),
    }
    this.record = { oid: machineId(format, identity), ...identity }
  }

  /** The actor system of one run: the identities of its actors. */
  createSystem(input: unknown): ActorSystem {
    return new ActorSystem(this.#machine, input)
  }

  /**
   * The first step: seq 0. With a `snapshot` of XState's own, the run starts in that state, and nothing is entered.
   * @param recorded it is in the history already
   * @throws `STEP_FAILED` when the machine throws, `STATE_NOT_JSON`, `OUTPUT_NOT_JSON`, `MACHINE_UNSUPPORTED`, `SNAPSHOT_INVALID`
   */
  initial(system: ActorSystem, at: number, seed: () => string, snapshot?: JsonValue, recorded = false): Decided {
    const draft = new Draft(system, undefined, 0, at)
    this.begin(draft, seed, snapshot, recorded)
    return this.arrive(draft)
  }

  /**
   * The next step. Pure: the same state and input give the same decision, and neither is changed.
   * A unit from outside can be refused; every other is recorded, and ends the run if its step throws (semantics 13).
   */
  decide(system: ActorSystem, state: RunState, input: StepInput): Decision {
    const draft = new Draft(system, state, input.seq, input.at)
    return this.conclude(draft, state, input, this.attempt(draft, state, input))
  }

  /**
   * The step of a migration: from where a run stood with another machine to where it stands with this one.
   * @throws `MIGRATION_FAILED`
   */
  migrate(system: ActorSystem, past: Standing, steps: readonly Migration[], input: MigrationInput): Decided | Starved {
    const draft = new Draft(system, undefined, input.seq, input.at, past.state.table.booked)
    return this.settle(draft, past, this.goOver(draft, past, steps, input))
  }

  /** What a migration's `event` makes of an event of the past: code of the author's, which is held to the rules of a step where steps are. */
  mapped<T>(map: () => T): T {
    return map()
  }

  /** The step of a migration, in a draft that may be dropped. */
  protected goOver(
    draft: Draft,
    past: Standing,
    steps: readonly Migration[],
    { at, seed, recorded = false }: MigrationInput,
  ): Starved | undefined {
    const { system } = draft
    const step: Step = { at, seed, taken: 0, starved: false }
    const before = enterStep(step)
    system.draft = draft
    try {
      carryOver(draft, past, steps, recorded)
    } catch (thrown) {
      if (!step.starved) throw thrown
    } finally {
      system.draft = undefined
      leaveStep(before)
    }
    if (step.starved || step.taken > 0) this.drawsRandomness = true
    return step.starved ? starved : undefined
  }

  /** A migration stands, unless something is wrong with what it came to. */
  protected settle(draft: Draft, past: Standing, went: Starved | undefined): Decided | Starved {
    if (went !== undefined) return went
    if (past.state.snapshot.status !== 'active') return stands(draft, withError(draft.result()))
    const problem = findProblem(draft, undefined)
    if (problem !== undefined) throw migrationFailed(problem.message.replace(/\.$/, ''), problem)
    return stands(draft, draft.result())
  }

  /** The first step, in a draft that may be dropped. */
  protected begin(draft: Draft, seed: () => string, snapshot: JsonValue | undefined, recorded = false): void {
    const { system } = draft
    const step: Step = { at: draft.at, seed, taken: 0, starved: false }
    const before = enterStep(step)
    system.draft = draft
    try {
      const { root } = system
      if (snapshot === undefined) {
        draft.begin(root, initialSnapshot(root))
        draft.start(root)
      } else adoptSnapshot(draft, snapshot, recorded)
      if (step.taken > 0) this.drawsRandomness = true
    } finally {
      system.draft = undefined
      leaveStep(before)
    }
  }

  /** The first step stands, unless something is wrong with it. */
  protected arrive(draft: Draft): Decided {
    const problem = findProblem(draft, undefined)
    if (problem !== undefined) throw problem
    return stands(draft, draft.result())
  }

  /** A step, in a draft that may be dropped. Returns why there is nothing to conclude, where that is known before its end. */
  protected attempt(draft: Draft, state: RunState, input: StepInput): Refused | Starved | undefined {
    const { system } = draft
    const step: Step = { at: input.at, seed: input.seed, taken: 0, starved: false }
    const before = enterStep(step)
    system.draft = draft
    try {
      const refused = this.#feed(draft, state, input, step)
      if (step.starved || step.taken > 0) this.drawsRandomness = true
      if (step.starved) return starved
      return refused === undefined ? undefined : { kind: 'refused', error: refused }
    } finally {
      system.draft = undefined
      leaveStep(before)
    }
  }

  /** Checks what an attempt arrived at and decides whether it stands. */
  protected conclude(
    draft: Draft,
    before: RunState,
    input: StepInput,
    attempted: Refused | Starved | undefined,
  ): Decision {
    if (attempted !== undefined) return attempted
    const problem = findProblem(draft, before)
    if (problem === undefined) return stands(draft, draft.result())
    if (isGoverned(input) && this.#policy(problem) === 'reject') return { kind: 'refused', error: problem }
    // What XState itself ended stands as XState left it; what it took no offence at, as it was before the unit.
    if (draft.refusal === undefined && draft.snapshot.status === 'error') return stands(draft, draft.result(), problem)
    const snapshot = Object.assign({}, before.snapshot, { status: 'error' as const, error: problem })
    return {
      kind: 'decided',
      state: ended({ snapshot, table: before.table }),
      outputs: nothing,
      effects: nothing,
      fatal: problem,
    }
  }

  /** Hands the unit to its actors. Returns why it is refused, where that is known before the step's end. */
  #feed(draft: Draft, state: RunState, input: StepInput, step: Step): XMachinesError | undefined {
    const { root } = draft.system
    const { origin } = input
    switch (origin.kind) {
      case 'timer': {
        const timer = findTimer(state, origin)
        if (timer === undefined) throw damaged(input, 'its timer is not armed')
        draft.fire(timer)
        return undefined
      }
      case 'effect': {
        const invocation = findInvocation(state, origin)
        if (invocation === undefined) throw damaged(input, 'its invocation is not pending')
        for (const event of input.events) {
          const told = readTold(event)
          draft.send(told.to === 'self' ? invocation.actor : (invocation.actor._parent as ActorRef), told.event)
        }
        return undefined
      }
      case 'stop':
        if (state.snapshot.status !== 'active') return finished(state.snapshot.status, { type: 'stop' })
        draft.stop(root)
        return undefined
      case 'undelivered':
      case 'child': {
        const event = input.events[0]!
        if (state.snapshot.status !== 'active') return finished(state.snapshot.status, event)
        draft.refusal = escalation(event)
        if (draft.refusal === undefined) draft.send(root, event)
        return undefined
      }
      case 'outside':
      case 'mail':
        break
      default:
        throw damaged(input, `this version does not decide units of origin '${origin.kind}'`)
    }
    const refuses = this.definition.unhandled === 'reject' && input.recorded !== true
    const events = input.events as readonly EventObject[]
    for (let index = 0; index < events.length; index++) {
      const event = events[index]!
      const { status } = draft.snapshot
      // An error that an event of this unit caused is what the unit comes to.
      if (status === 'error' && state.snapshot.status === 'active') return undefined
      if (status !== 'active') return finished(status, event)
      if (refuses && !this.#takes(draft.snapshot, event, step)) return unhandled(draft.snapshot, event)
      draft.send(root, event)
    }
    return undefined
  }

  /** Whether anything in the root takes the event. Leaves no trace, so that a replay, which does not ask, draws the same randomness. */
  #takes(snapshot: LiveMachineSnapshot, event: EventObject, step: Step): boolean {
    const { taken } = step
    try {
      return this.#machine.getTransitionData(snapshot as never, event).length > 0
    } catch {
      return true // the step will throw it again, and the machine's policy for errors says what becomes of it
    } finally {
      step.taken = taken
    }
  }

  #policy(error: XMachinesError): 'reject' | 'fatal' {
    if (error.code !== 'STEP_FAILED') return 'reject'
    const { errors } = this.definition
    if (typeof errors !== 'function') return errors
    const answer = errors(error.cause)
    if (answer !== 'reject' && answer !== 'fatal') throw noAnswer(answer)
    return answer
  }
}

function stands(draft: Draft, state: RunState, fatal?: XMachinesError): Decided {
  draft.keep()
  return {
    kind: 'decided',
    state: state.snapshot.status === 'active' ? state : ended(state),
    outputs: draft.outputs ?? nothing,
    effects: draft.effects ?? nothing,
    fatal,
  }
}

/** The root's first snapshot. XState before 5.32.6 throws what makes it fail, as its Actor's constructor expects. */
function initialSnapshot(root: ActorRef): LiveSnapshot {
  try {
    return root.behaviour.getInitialSnapshot(root.scope, root.options.input)
  } catch (error) {
    return { status: 'error', output: undefined, error }
  }
}

/** A finished run has nothing pending, whatever XState leaves behind. */
function ended({ snapshot, table }: RunState): RunState {
  for (const [ref, last] of table.actors) ref.last = { snapshot: last, status: ProcessingStatus.Stopped }
  return { snapshot, table: { ...emptyTable, booked: table.booked } }
}
