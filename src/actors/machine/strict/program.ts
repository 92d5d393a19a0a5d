import type { JsonValue } from '../../contracts/json.ts'
import type { ObjectFormat } from '../../contracts/unit.ts'
import type { XMachinesError } from '../../errors.ts'
import { type Decided, type Decision, isGoverned, type Refused, type Starved, type StepInput } from '../decision.ts'
import type { MachineDefinition } from '../definition.ts'
import { Draft } from '../draft.ts'
import { type Migration, migrationFailed } from '../migration.ts'
import type { Standing } from '../persisted-state.ts'
import { type MigrationInput, Program } from '../program.ts'
import type { RunState } from '../state.ts'
import type { ActorSystem } from '../system.ts'
import { differ, firstDifference } from './difference.ts'
import { withTraps } from './globals.ts'
import { InPlaceChanges } from './in-place.ts'
import { nameParts } from './names.ts'
import { notDeterministic } from './strict-errors.ts'
import { type Watch, watch } from './watch.ts'

/** An attempt, and how it went. */
interface Attempt<T> {
  readonly draft: Draft
  readonly went: T
}

/**
 * A program whose steps are held to their rules: each is decided twice and compared, with traps in place of what answers
 * otherwise at another time or place, and what it was given may not be changed. What is recorded is past that.
 */
export class StrictProgram extends Program {
  readonly #chosen: () => boolean

  /** @param share the chance of a unit to be decided strictly */
  constructor(definition: MachineDefinition, format: ObjectFormat, share: number) {
    const chosen = (): boolean => share === 1 || Math.random() < share
    super(definition, format, true, machine => nameParts(machine, chosen))
    this.#chosen = chosen
  }

  /** @throws also `STEP_IMPURE`, `STEP_MUTATES`, `STEP_NOT_DETERMINISTIC` */
  override initial(
    system: ActorSystem,
    at: number,
    seed: () => string,
    snapshot?: JsonValue,
    recorded = false,
  ): Decided {
    if (recorded || !this.#chosen()) return super.initial(system, at, seed, snapshot, recorded)
    const given = new InPlaceChanges()
    given.hold(system.root.options.input, 'input')
    given.hold(this.definition.machine.config.context, 'context')
    const attempt = (): Attempt<undefined> => {
      const draft = new Draft(system, undefined, 0, at)
      this.begin(draft, seed, snapshot)
      return { draft, went: undefined }
    }
    const held = withTraps(() => holdToRules(given, attempt))
    if ('violation' in held) throw held.violation
    return this.arrive(held.draft)
  }

  /**
   * A violation refuses a unit from outside. Any other unit can only be recorded, and a replay would take it without a word:
   * there it is thrown, and nothing is recorded.
   *
   * @throws `STEP_IMPURE`, `STEP_MUTATES`, `STEP_NOT_DETERMINISTIC`
   */
  override decide(system: ActorSystem, state: RunState, input: StepInput): Decision {
    if (input.recorded === true || !this.#chosen()) return super.decide(system, state, input)
    const attempt = (): Attempt<Refused | Starved | undefined> => {
      const draft = new Draft(system, state, input.seq, input.at)
      return { draft, went: this.attempt(draft, state, input) }
    }
    const given = givenTo(state, input.events)
    const held = withTraps(() => holdToRules(given, attempt))
    if (!('violation' in held)) return this.conclude(held.draft, state, input, held.went)
    if (isGoverned(input)) return { kind: 'refused', error: held.violation }
    throw held.violation
  }

  /** @throws `MIGRATION_FAILED`, caused by `STEP_IMPURE`, `STEP_MUTATES` or `STEP_NOT_DETERMINISTIC` */
  override migrate(
    system: ActorSystem,
    past: Standing,
    steps: readonly Migration[],
    input: MigrationInput,
  ): Decided | Starved {
    if (input.recorded === true || !this.#chosen()) return super.migrate(system, past, steps, input)
    const attempt = (): Attempt<Starved | undefined> => {
      const draft = new Draft(system, undefined, input.seq, input.at, past.state.table.booked)
      return { draft, went: this.goOver(draft, past, steps, input) }
    }
    const held = withTraps(() => holdToRules(givenTo(past.state, []), attempt))
    if ('violation' in held) throw broken(held.violation)
    return this.settle(held.draft, past, held.went)
  }

  /** @throws `STEP_IMPURE`, `STEP_NOT_DETERMINISTIC` */
  override mapped<T>(map: () => T): T {
    if (!this.#chosen()) return map()
    return withTraps(() => {
      const watching: Watch = { doing: '`event` of a migration', violation: undefined, suspects: undefined }
      const [first, second] = watch(watching, () => [map(), map()] as const)
      if (watching.violation !== undefined) throw watching.violation
      const difference = differ(first, second, 'what `event` gave')
      if (difference !== undefined) throw notDeterministic(...difference)
      return first
    })
  }
}

/** Nothing is recorded of a migration that breaks the rules of a step. */
function broken(violation: XMachinesError): XMachinesError {
  return migrationFailed(violation.message.replace(/\.$/, ''), violation)
}

/** What a unit may not change. */
function givenTo(state: RunState, events: StepInput['events']): InPlaceChanges {
  const changes = new InPlaceChanges()
  changes.hold(state.snapshot.context, 'context')
  for (const [ref, { context, input: given }] of state.table.actors) {
    changes.hold(context, `children.${ref.id}.context`)
    changes.hold(given, `children.${ref.id}.input`)
  }
  for (const { event } of state.table.timers.values()) changes.hold(event, `the delayed event '${event.type}'`)
  for (const event of events) changes.hold(event, `the event '${event.type}'`)
  return changes
}

/** Attempts a step twice. What stands is the first attempt; the second leaves no trace. */
function holdToRules<T>(
  changes: InPlaceChanges,
  attempt: () => Attempt<T>,
): Attempt<T> | { readonly violation: XMachinesError } {
  const [first, violation] = attemptWatched(attempt, undefined)
  const changed = changes.first()
  if (changed !== undefined) {
    changes.undo()
    return { violation: violation ?? whoChanged(changes, attempt) ?? changed(undefined) }
  }
  if (violation !== undefined) return { violation }
  const [second, again] = attemptWatched(attempt, undefined)
  const changedThen = changes.first()
  if (changedThen !== undefined) {
    changes.undo()
    return { violation: changedThen(undefined) }
  }
  if (again !== undefined) return { violation: again }
  const difference = firstDifference(first!, second!)
  return difference === undefined ? first! : { violation: notDeterministic(...difference) }
}

/** Decides once more and looks after each part of the machine. */
function whoChanged<T>(changes: InPlaceChanges, attempt: () => Attempt<T>): XMachinesError | undefined {
  try {
    return attemptWatched(attempt, changes)[1]
  } finally {
    changes.undo()
  }
}

function attemptWatched<T>(
  attempt: () => Attempt<T>,
  suspects: InPlaceChanges | undefined,
): readonly [Attempt<T> | undefined, XMachinesError | undefined] {
  const watching: Watch = { doing: undefined, violation: undefined, suspects }
  try {
    const made = watch(watching, attempt)
    return [made, watching.violation]
  } catch (thrown) {
    if (watching.violation === undefined) throw thrown
    return [undefined, watching.violation]
  }
}
