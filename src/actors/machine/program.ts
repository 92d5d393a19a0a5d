import type { AnyStateMachine, EventObject } from 'xstate'
import type { RecordedEvent } from '../contracts/json.ts'
import type { MachineRecord } from '../contracts/store.ts'
import type { ObjectFormat, Origin } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { machineId } from '../identity/commits.ts'
import { copyJson } from '../json/json-copy.ts'
import { enterStep, leaveStep, type Step } from '../step.ts'
import type { ActorRef } from './actor-ref.ts'
import { type MachineDefinition, toDefinition } from './definition.ts'
import { Draft, type Effect } from './draft.ts'
import { normalisedDefinition } from './normalised.ts'
import { readTold } from './outcome.ts'
import { Selection } from './selection.ts'
import { emptyTable, findInvocation, findTimer, type RunState } from './state.ts'
import { findFlaw } from './state-json.ts'
import { damaged, finished, outputNotJson, stateNotJson, stepFailed, unhandled } from './step-errors.ts'
import { ActorSystem } from './system.ts'
import { type LiveMachineSnapshot, type LiveSnapshot, ProcessingStatus } from './xstate.ts'

/** What is decided: the content of a unit, and the seed of its randomness. */
export interface StepInput {
  readonly seq: number
  readonly at: number
  readonly events: readonly RecordedEvent[]
  readonly origin: Origin
  /** Gives `<id of the unit before> <seq>`; absent while that id is not known: a step that asks for randomness is then {@link Starved}. */
  readonly seed?: (() => string) | undefined
  /** The unit is in the history already: no policy of today refuses it (semantics 13). */
  readonly recorded?: boolean | undefined
}

/** The step was taken. */
export interface Decided {
  readonly kind: 'decided'
  readonly state: RunState
  readonly outputs: readonly RecordedEvent[]
  readonly effects: readonly Effect[]
  /** Why the run ended with this unit, where it did not end by itself. */
  readonly fatal: XMachinesError | undefined
}

/** The unit is refused: nothing of it happened. */
export interface Refused {
  readonly kind: 'refused'
  readonly error: XMachinesError
}

/** The step needs the id of the unit before: decide again with a seed. Nothing of it happened. */
export interface Starved {
  readonly kind: 'starved'
}

export type Decision = Decided | Refused | Starved

const starved: Starved = { kind: 'starved' }
const nothing: readonly never[] = Object.freeze([])

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
  readonly #selection: Selection | undefined

  /** @param quick `false` leaves every step to XState alone: for the tests that compare */
  constructor(definition: MachineDefinition, format: ObjectFormat, quick = true) {
    this.definition = definition
    // A copy of its own: selection replaces a method, which the author's machine must not notice.
    this.#machine = definition.machine.provide({})
    this.#selection = quick ? new Selection(this.#machine) : undefined
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
   * The first step: seq 0.
   * @throws `STEP_FAILED` when the machine throws, `STATE_NOT_JSON`, `OUTPUT_NOT_JSON`, `MACHINE_UNSUPPORTED`
   */
  initial(system: ActorSystem, at: number, seed: () => string): Decided {
    const step: Step = { at, seed, taken: 0, starved: false }
    const draft = new Draft(system, undefined, emptyTable, 0, at)
    const before = enterStep(step)
    system.draft = draft
    try {
      const { root } = system
      draft.begin(root, root.behaviour.getInitialSnapshot(root.scope, root.options.input))
      draft.start(root)
      if (step.taken > 0) this.drawsRandomness = true
      const decided = this.#settle(draft, undefined)
      if (decided.kind === 'refused') throw decided.error
      if (decided.fatal !== undefined) throw decided.fatal
      return decided
    } finally {
      system.draft = undefined
      leaveStep(before)
    }
  }

  /**
   * The next step. Pure: the same state and input give the same decision, and neither is changed.
   * A unit from outside can be refused; every other is recorded, and ends the run if its step throws (semantics 13).
   */
  decide(system: ActorSystem, state: RunState, input: StepInput): Decision {
    if (input.events.length === 1 && input.origin.kind === 'outside') {
      const quick = this.#assignOnly(system, state, input)
      if (quick !== undefined) return quick
    }
    const step: Step = { at: input.at, seed: input.seed, taken: 0, starved: false }
    const draft = new Draft(system, state, state.table, input.seq, input.at)
    const before = enterStep(step)
    system.draft = draft
    try {
      const refused = this.#feed(draft, state, input)
      if (step.starved || step.taken > 0) this.drawsRandomness = true
      if (step.starved) return starved
      if (refused !== undefined) return { kind: 'refused', error: refused }
      return this.#settle(draft, state, isGoverned(input))
    } finally {
      system.draft = undefined
      leaveStep(before)
    }
  }

  /** Whether anything in the root takes the event: for `unhandled: 'reject'`. */
  #takes(snapshot: LiveMachineSnapshot, event: EventObject): boolean {
    return this.#machine.getTransitionData(snapshot as never, event).length > 0
  }

  /** The way without a draft, for an event that only assigns. Whatever is unusual about it goes the whole way. */
  #assignOnly(system: ActorSystem, state: RunState, input: StepInput): Decision | undefined {
    const { snapshot } = state
    if (snapshot.status !== 'active' || this.definition.unhandled === 'reject') return undefined
    const step: Step = { at: input.at, seed: input.seed, taken: 0, starved: false }
    const before = enterStep(step)
    let next: LiveMachineSnapshot | undefined
    try {
      next = this.#selection?.assign(snapshot, input.events[0] as EventObject, system.root.scope)
    } catch {
      return undefined
    } finally {
      leaveStep(before)
    }
    if (next === undefined || step.starved) return undefined
    if (next === snapshot) return { kind: 'decided', state, outputs: nothing, effects: nothing, fatal: undefined }
    if (next.children !== snapshot.children || findFlaw(next.context, snapshot.context, '') !== undefined)
      return undefined
    return {
      kind: 'decided',
      state: { snapshot: next, table: state.table },
      outputs: nothing,
      effects: nothing,
      fatal: undefined,
    }
  }

  /** Hands the unit to its actors. Returns why it is refused, where that is known before the step's end. */
  #feed(draft: Draft, state: RunState, input: StepInput): XMachinesError | undefined {
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
        draft.stop(root)
        return undefined
      case 'outside':
        break
      default:
        throw damaged(input, `this version does not decide units of origin '${origin.kind}'`)
    }
    for (const event of input.events as readonly EventObject[]) {
      const { status } = draft.snapshot
      if (status === 'error' && state.snapshot.status === 'active') return undefined
      if (status !== 'active') return finished(status, event)
      if (this.definition.unhandled === 'reject' && input.recorded !== true) {
        try {
          if (!this.#takes(draft.snapshot, event)) return unhandled(draft.snapshot, event)
        } catch (thrown) {
          return stepFailed(thrown)
        }
      }
      draft.send(root, event)
    }
    return undefined
  }

  /** Checks what the step arrived at and decides whether it stands. A first step that does not is always refused. */
  #settle(draft: Draft, before: RunState | undefined, governed = true): Decided | Refused {
    const outputs: RecordedEvent[] = []
    const problem = this.#problem(draft, before) ?? collectOutputs(draft, outputs)
    if (problem === undefined)
      return { kind: 'decided', state: ended(draft.result()), outputs, effects: draft.effects, fatal: undefined }
    if (before === undefined || (governed && this.#policy(problem) === 'reject'))
      return { kind: 'refused', error: problem }
    return {
      kind: 'decided',
      state: failed(draft, before, problem),
      outputs: nothing,
      effects: nothing,
      fatal: problem,
    }
  }

  #problem(draft: Draft, before: RunState | undefined): XMachinesError | undefined {
    if (draft.refusal !== undefined) return draft.refusal
    const { snapshot } = draft
    if (snapshot.status === 'error') return stepFailed(snapshot.error)
    const flaw = findFlaw(snapshot.context, before?.snapshot.context, 'context')
    if (flaw !== undefined) return stateNotJson(flaw)
    const badOutput = findFlaw(snapshot.output ?? null, undefined, 'output')
    if (badOutput !== undefined) return outputNotJson(badOutput)
    const { table } = draft
    if (before !== undefined && table === before.table) return undefined
    for (const [ref, cell] of table.cells) {
      const previous = before?.table.cells.get(ref)?.snapshot as LiveSnapshot | undefined
      if (previous === cell.snapshot) continue
      for (const part of ['context', 'input', 'output'] as const) {
        const found = findFlaw(cell.snapshot[part] ?? null, previous?.[part], `children.${ref.id}.${part}`)
        if (found !== undefined) return stateNotJson(found)
      }
    }
    for (const [key, timer] of table.timers) {
      if (before?.table.timers.has(key)) continue
      const found = findFlaw(timer.event, undefined, `the delayed event '${timer.event.type}'`)
      if (found !== undefined) return stateNotJson(found)
    }
    return undefined
  }

  #policy(error: XMachinesError): 'reject' | 'fatal' {
    if (error.code !== 'STEP_FAILED') return 'reject'
    const { errors } = this.definition
    return typeof errors === 'function' ? errors(error.cause) : errors
  }
}

const programs = new WeakMap<object, Partial<Record<ObjectFormat, Program>>>()

/** The program of a machine or definition: made once, refused as `defineMachine` refuses. */
export function programOf(machine: AnyStateMachine | MachineDefinition, format: ObjectFormat): Program {
  let made = programs.get(machine)
  if (made === undefined) programs.set(machine, (made = {}))
  return (made[format] ??= new Program(toDefinition(machine), format))
}

/** Events from outside (and, later, mail) are subject to the machine's policies; what the run itself caused is not. */
function isGoverned({ origin, recorded }: StepInput): boolean {
  return recorded !== true && (origin.kind === 'outside' || origin.kind === 'mail')
}

/** Copies what the machine emitted. Returns the first that cannot be recorded. */
function collectOutputs(draft: Draft, outputs: RecordedEvent[]): XMachinesError | undefined {
  try {
    for (const event of draft.outputs) {
      const what = { code: 'OUTPUT_NOT_JSON', name: `The emitted event '${event.type}'` } as const
      outputs.push(copyJson(event, what, { undefinedIsAbsent: true }) as RecordedEvent)
    }
    return undefined
  } catch (thrown) {
    if (XMachinesError.is(thrown)) return thrown
    throw thrown
  }
}

/** A finished run has nothing pending, whatever XState leaves behind. */
function ended(state: RunState): RunState {
  if (state.snapshot.status === 'active') return state
  for (const [ref, cell] of state.table.cells)
    ref.last ??= { snapshot: cell.snapshot, status: ProcessingStatus.Stopped }
  return { snapshot: state.snapshot, table: { ...emptyTable, booked: state.table.booked } }
}

/** The state of a run that a unit ended: as it was before, with the error. */
function failed(draft: Draft, before: RunState | undefined, error: XMachinesError): RunState {
  const snapshot =
    draft.snapshot.status === 'error'
      ? draft.snapshot
      : Object.assign({}, before?.snapshot ?? draft.snapshot, { status: 'error' as const, error })
  return ended({ snapshot, table: draft.table })
}
