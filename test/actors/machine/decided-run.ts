import type { AnyStateMachine } from 'xstate'
import type { JsonValue, RecordedEvent } from '../../../src/actors/contracts/json.ts'
import type { Origin } from '../../../src/actors/contracts/unit.ts'
import { XMachinesError } from '../../../src/actors/errors.ts'
import { decodeState, encodeState } from '../../../src/actors/machine/codec.ts'
import type { Decision, StepInput } from '../../../src/actors/machine/decision.ts'
import { defineMachine, type ErrorPolicy } from '../../../src/actors/machine/definition.ts'
import { type Effect, nameOfEffect } from '../../../src/actors/machine/effect.ts'
import { Program } from '../../../src/actors/machine/program.ts'
import { nextTimer, type RunState } from '../../../src/actors/machine/state.ts'
import type { ActorSystem } from '../../../src/actors/machine/system.ts'
import type { OutsideEvent, Recorder } from '../../arbitraries/machine-description.ts'
import { Dumper } from './dump.ts'
import { errorText, type Sight, timerText } from './live-run.ts'

/** How a machine is run by us, beside the plain way. */
export interface Manner {
  /** Encode, to text and back, decode into a fresh system before every step. */
  readonly restored?: boolean
  /** Decide every unit twice, and look that the state before is untouched. */
  readonly twice?: boolean
  /** Freeze every state. */
  readonly frozen?: boolean
  /** Without the remembered selection and the short way. */
  readonly slow?: boolean
  /** A batch's events as units of their own. */
  readonly single?: boolean
  readonly errors?: ErrorPolicy
}

/** A machine stepped by {@link Program.decide}, with effects run after each step. */
export class DecidedRun {
  readonly program: Program
  system: ActorSystem
  state!: RunState
  seq = 0
  now = 0
  /** The last unit was refused. */
  refused: XMachinesError | undefined
  readonly #manner: Manner
  readonly #input: unknown
  readonly #dumper = new Dumper({ sessionId: 'x:0' })
  #emitted: unknown[] = []
  #told: string[] = []

  constructor(build: (record: Recorder) => AnyStateMachine, manner: Manner = {}, input?: unknown) {
    const machine = build(line => this.#told.push(line))
    this.#manner = manner
    this.#input = input
    this.program = new Program(defineMachine(machine, { errors: manner.errors ?? 'reject' }), 'sha1', !manner.slow)
    this.system = this.program.createSystem(input)
  }

  /** What the first step threw, if it did. */
  start(): Sight | XMachinesError {
    try {
      const decided = this.program.initial(this.system, 0, () => 'seed 0')
      this.#adopt(decided)
      return this.see()
    } catch (thrown) {
      if (XMachinesError.is(thrown)) return thrown
      throw thrown
    }
  }
  send(...events: readonly OutsideEvent[]): Sight {
    if (this.#manner.single === true) for (const event of events) this.#unit({ kind: 'outside' }, [event])
    else this.#unit({ kind: 'outside' }, events)
    return this.see()
  }
  stop(): Sight {
    this.#unit({ kind: 'stop', reason: 'test' }, [])
    return this.see()
  }
  /** What an invocation told. */
  tell(actor: readonly string[], entered: number, event: RecordedEvent): Sight {
    this.#unit({ kind: 'effect', actor, entered }, [event])
    return this.see()
  }
  /** Goes to `at`: everything due until then fires, each as a unit of its own. */
  pass(at: number): Sight {
    for (let timer = nextTimer(this.state); timer !== undefined && timer.due <= at; timer = nextTimer(this.state)) {
      this.now = Math.max(this.now, timer.due)
      this.#unit({ kind: 'timer', actor: [], armed: timer.armed, index: timer.index }, [])
    }
    this.now = at
    return this.see()
  }

  /** What happened since the last look, and how things stand. */
  see(): Sight {
    const { snapshot, table } = this.state
    const { error } = snapshot
    this.system.visible = this.state
    const named = table.timers.values().filter(timer => timer.named)
    const sight: Sight = {
      status: snapshot.status,
      error: errorText(XMachinesError.is(error) ? error.cause : error, this.#dumper),
      output: snapshot.output,
      emitted: this.#dumper.value(this.#emitted) as unknown[],
      told: this.#told.map(line => this.#dumper.text(line)),
      system: this.#dumper.system(this.system.root, table.actors.keys(), this.system.getAll()),
      due: [...table.timers.values()].map(timer => timer.due).sort((a, b) => a - b),
      timers: named.map(timer => timerText(timer, this.#dumper)).sort(),
    }
    this.#emitted = []
    this.#told = []
    return sight
  }

  /** The state as JSON text. */
  encoded(): string {
    return JSON.stringify(encodeState(this.system, this.state))
  }

  #unit(origin: Origin, events: readonly OutsideEvent[] | readonly RecordedEvent[]): void {
    if (this.#manner.restored === true) this.#restore()
    const seq = this.seq + 1
    const input: StepInput = {
      seq,
      at: this.now,
      events: events as unknown as readonly RecordedEvent[],
      origin,
      seed: () => `seed ${seq}`,
    }
    const before = this.#manner.twice === true ? this.encoded() : undefined
    let decision = this.program.decide(this.system, this.state, input)
    if (before !== undefined) decision = this.#again(decision, input, before)
    this.refused = decision.kind === 'refused' ? decision.error : undefined
    if (decision.kind === 'starved') throw new Error('starved with a seed')
    if (decision.kind === 'refused') return
    this.seq += 1
    this.#adopt(decision)
  }

  #adopt(decision: Extract<Decision, { kind: 'decided' }>): void {
    this.state = decision.state
    if (this.#manner.frozen === true) deepFreeze(this.state)
    this.system.visible = this.state
    this.#emitted.push(...decision.outputs)
    for (const effect of decision.effects) this.#run(effect)
  }

  /** What a run does once the unit is durable. */
  #run(effect: Effect): void {
    if (effect.kind === 'receive') {
      this.#told.push(`receive ${effect.actor.id} ${effect.event.type}`)
    } else if (effect.kind === 'mail') {
      this.#told.push(`mail ${effect.to.namespace}/${effect.to.key} ${effect.event.type}`)
    } else if (effect.kind === 'spawn') {
      this.#told.push(nameOfEffect(effect))
    } else if (effect.action.type === 'xstate.log') {
      const { label, value } = effect.action.params as { label?: string; value: unknown }
      this.#told.push(`log ${label === undefined ? '' : `${label} `}${String(value)}`)
    } else {
      effect.action.exec?.(effect.action.info, effect.action.params)
    }
  }

  #restore(): void {
    const text = this.encoded()
    this.system = this.program.createSystem(this.#input)
    this.state = decodeState(this.system, JSON.parse(text) as JsonValue)
    this.system.visible = this.state
    if (this.encoded() !== text) throw new Error(`restored differently:\n${text}\n${this.encoded()}`)
  }

  /** Decides once more, the same, and goes on with that. */
  #again(first: Decision, input: StepInput, before: string): Decision {
    if (this.encoded() !== before) throw new Error(`deciding changed the state:\n${before}\n${this.encoded()}`)
    // Read first: a reference knows only one last state, that of the latest decision to end its actor.
    const a = this.#text(first)
    const second = this.program.decide(this.system, this.state, input)
    if (this.encoded() !== before) throw new Error(`deciding twice changed the state:\n${before}\n${this.encoded()}`)
    const b = this.#text(second)
    if (a !== b) throw new Error(`decided differently:\n${a}\n${b}`)
    return second
  }

  #text(decision: Decision): string {
    if (decision.kind === 'refused') return `refused: ${decision.error.message}`
    if (decision.kind === 'starved') return 'starved'
    const { state, outputs, effects, fatal } = decision
    const names = effects.map(nameOfEffect)
    return JSON.stringify([encodeState(this.system, state), outputs, names, fatal?.message])
  }
}

const frozen = new WeakSet<object>()

/** Freezes snapshots, contexts and tables. References and machines are not state. */
function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || frozen.has(value)) return
  if ('sessionId' in value || '__xstatenode' in value || value instanceof Error) return
  frozen.add(value)
  if (value instanceof Map) return value.forEach(deepFreeze)
  for (const [key, item] of Object.entries(value)) if (key !== '_nodes') deepFreeze(item)
  Object.freeze(value)
}
