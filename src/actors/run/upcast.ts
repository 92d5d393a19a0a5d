import type { RecordedEvent } from '../contracts/json.ts'
import type { Origin, Unit } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyEvents, type EventLimits } from '../json/event-copy.ts'
import type { Decided, Decision } from '../machine/decision.ts'
import type { Effect } from '../machine/effect.ts'
import { type Migration, migrationFailed } from '../machine/migration.ts'
import type { Program } from '../machine/program.ts'
import { isPath, nextTimer, type RunState, type Timer, timerOrigin } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import type { Lineage } from './lineage.ts'

/** What is recorded was taken once. */
const unlimited: EventLimits = { maxBytes: Number.POSITIVE_INFINITY, maxDepth: 256, maxBatch: Number.POSITIVE_INFINITY }

/**
 * The past of a run as a later machine sees it: its history, with its events mapped, decided anew. Outcomes of invocations go
 * to what is pending at their place, and are dropped where nothing is; the machine's own timers fall due before later units.
 */
export class Upcast {
  readonly program: Program
  readonly #lineage: Lineage
  readonly #recorded: boolean
  readonly #system: ActorSystem
  #steps: readonly Migration[]
  #state: RunState | undefined
  /** What the steps of the last unit left to be said and done. */
  #outputs: RecordedEvent[] = []
  #effects: Effect[] = []
  #at = 0
  /** Why it leads nowhere. */
  #failure: XMachinesError | undefined
  /** A step has ended the run by throwing, which it should not have done if the run goes on. */
  #fatal: XMachinesError | undefined

  /** @param from the machine that the history begins with @param recorded whether the run has gone over by these events already */
  constructor(lineage: Lineage, program: Program, from: string, input: unknown, recorded: boolean) {
    this.#recorded = recorded
    this.program = program
    this.#lineage = lineage
    this.#system = program.createSystem(input)
    this.#steps = lineage.way(from, program)?.steps ?? []
  }

  /** Where the run stands. @throws `MIGRATION_FAILED` */
  get standing(): { readonly system: ActorSystem; readonly state: RunState } {
    if (this.#failure !== undefined) throw this.#failure
    return { system: this.#system, state: this.#state! }
  }

  /** What the last unit comes to. @throws `MIGRATION_FAILED` */
  get decided(): Decided {
    const { state } = this.standing
    return { kind: 'decided', state, outputs: this.#outputs, effects: this.#effects, fatal: undefined }
  }

  /** Applies a unit of the past. Gives whether it could: a step may draw randomness while ids are not known. */
  apply(unit: Unit, seed: (() => string) | undefined): boolean {
    if (this.#failure !== undefined) return true
    try {
      return this.#apply(unit, seed)
    } catch (thrown) {
      this.#failure = migrationFailed(
        `unit ${unit.seq} of run ${unit.run} cannot be decided by ${this.program.record.id} ${this.program.record.version}: ${messageOf(thrown).replace(/\.$/, '')}`,
        thrown,
        { run: unit.run, seq: unit.seq },
      )
      return true
    }
  }

  #apply(unit: Unit, seed: (() => string) | undefined): boolean {
    const { program } = this
    this.#outputs = []
    this.#effects = []
    if (this.#state === undefined) {
      const { snapshot } = unit.creation!
      this.#take(program.initial(this.#system, unit.at, seed!, snapshot, true))
    } else if (unit.machine !== undefined) {
      this.#steps = unit.machine === program.record.oid ? [] : this.#stepsFrom(unit.machine)
    } else {
      if (this.#fatal !== undefined) throw this.#fatal
      for (let n = 1; ; n++) {
        const timer = nextTimer(this.#state)
        if (timer === undefined || timer.due > unit.at) break
        if (!this.#fire(timer, unit, numbered(seed, n))) return false
      }
      if (!this.#follow(unit, seed)) return false
    }
    this.#at = unit.at
    return true
  }

  #stepsFrom(machine: string): readonly Migration[] {
    const way = this.#lineage.way(machine, this.program)
    if (way?.by !== 'event') throw new Error(`no migration by events leads there from the machine ${machine}`)
    return way.steps
  }

  #fire(timer: Timer, { seq }: Unit, seed: (() => string) | undefined): boolean {
    this.#at = Math.max(this.#at, timer.due)
    return this.#decide({ seq, at: this.#at, events: [], origin: timerOrigin(timer), seed })
  }

  #follow(unit: Unit, seed: (() => string) | undefined): boolean {
    const { seq, at, origin } = unit
    if (this.#state!.snapshot.status !== 'active') return true
    switch (origin.kind) {
      case 'timer':
        return true
      case 'effect': {
        const pending = this.#pendingAt(origin)
        return pending === undefined || this.#decide({ seq, at, events: unit.events, origin: pending, seed })
      }
      case 'outside':
      case 'mail': {
        const events = unit.events.flatMap(event => this.#mapped(event))
        return events.length === 0 || this.#decide({ seq, at, events, origin, seed })
      }
      default:
        return this.#decide({ seq, at, events: unit.events, origin, seed })
    }
  }

  #decide(input: Omit<Parameters<Program['decide']>[2], 'recorded'>): boolean {
    const decision: Decision = this.program.decide(this.#system, this.#state!, { ...input, recorded: true })
    if (decision.kind === 'starved') return false
    if (decision.kind === 'decided') {
      this.#take(decision)
      return true
    }
    // The machine ends within the batch: what follows has no receiver.
    if (!XMachinesError.is(decision.error, 'RUN_FINISHED')) throw decision.error
    return input.events.every(
      (event, n) =>
        this.#state!.snapshot.status !== 'active' ||
        this.#decide({ ...input, events: [event], seed: numbered(input.seed, n) }),
    )
  }

  #take({ state, outputs, effects, fatal }: Decided): void {
    this.#fatal = fatal
    this.#state = state
    this.#outputs.push(...outputs)
    this.#effects.push(...effects)
  }

  #pendingAt({ actor, entered }: Extract<Origin, { kind: 'effect' }>): Origin | undefined {
    const there = [...this.#state!.table.invocations.values()].filter(({ path }) => isPath(path, actor))
    const pending = there.find(invocation => invocation.entered === entered) ?? there[0]
    return pending === undefined ? undefined : { kind: 'effect', actor: pending.path, entered: pending.entered }
  }

  #mapped(event: RecordedEvent): readonly RecordedEvent[] {
    return this.#steps.reduce<readonly RecordedEvent[]>(
      (events, step) =>
        events.flatMap(one => {
          const map = (): unknown => step.event!(structuredClone(one))
          const mapped = this.#recorded ? map() : this.program.mapped(map)
          return mapped === null || mapped === undefined ? [] : copyEvents(mapped, unlimited)
        }),
      [event],
    )
  }
}

/** Steps that are no units of their own draw other randomness than the unit that they come with. */
function numbered(seed: (() => string) | undefined, n: number): (() => string) | undefined {
  return seed === undefined ? undefined : () => `${seed()} ${n}`
}
