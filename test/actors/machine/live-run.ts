import { type AnyActorRef, type AnyStateMachine, createActor, SimulatedClock } from 'xstate'
import type { LiveRef } from '../../../src/actors/machine/xstate.ts'
import type { OutsideEvent, Recorder } from '../../arbitraries/machine-description.ts'
import { Dumper, type SystemDump } from './dump.ts'

/** What can be seen of a run after a step: the same for a real actor and for ours. */
export interface Sight {
  readonly status: string
  readonly error: string | undefined
  readonly output: unknown
  /** Of the step: emitted events, and what custom actions and `log` told, in order. */
  readonly emitted: readonly unknown[]
  readonly told: readonly string[]
  readonly system: SystemDump
  /** When timers fall due, in order; and those that `cancel` can name. */
  readonly due: readonly number[]
  readonly timers: readonly string[]
}

interface ScheduledEvent {
  readonly source: LiveRef
  readonly target: LiveRef
  readonly event: { readonly type: string }
  readonly id: string
}

/** A real actor under a simulated clock. */
export class LiveRun {
  readonly actor: AnyActorRef
  readonly #clock = new SimulatedClock()
  readonly #dumper: Dumper
  readonly #actors: LiveRef[] = []
  #emitted: unknown[] = []
  #told: string[] = []

  constructor(build: (record: Recorder) => AnyStateMachine, input?: unknown) {
    const machine = build(line => this.#told.push(line))
    this.actor = createActor(machine, {
      id: machine.id,
      input: input as never,
      clock: this.#clock,
      logger: (...args: unknown[]) => this.#told.push(`log ${args.join(' ')}`),
      inspect: event => {
        if (event.type === '@xstate.actor') this.#actors.push(event.actorRef as unknown as LiveRef)
      },
    })
    this.#dumper = new Dumper(this.actor)
    this.actor.subscribe({ error: () => {} })
    this.actor.on('*', event => this.#emitted.push(event))
  }

  get now(): number {
    return this.#clock.now()
  }
  get status(): string {
    return (this.actor.getSnapshot() as { status: string }).status
  }

  start(): Sight {
    this.actor.start()
    return this.see()
  }
  send(...events: readonly OutsideEvent[]): Sight {
    for (const event of events) this.actor.send(event)
    return this.see()
  }
  stop(): Sight {
    ;(this.actor as unknown as { stop(): void }).stop()
    return this.see()
  }
  /** Goes to `at`: everything due until then fires. */
  pass(at: number): Sight {
    this.#clock.set(at)
    return this.see()
  }

  /** What happened since the last look, and how things stand. */
  see(): Sight {
    const { actor } = this
    const snapshot = actor.getSnapshot() as { status: string; output?: unknown; error?: unknown }
    const running = this.#actors.filter(ref => ref._processingStatus === 1)
    const { timeouts } = this.#clock as unknown as { timeouts: Map<number, { start: number; timeout: number }> }
    const sight: Sight = {
      status: snapshot.status,
      error: errorText(snapshot.error, this.#dumper),
      output: snapshot.output,
      emitted: this.#dumper.value(this.#emitted) as unknown[],
      told: this.#told.map(line => this.#dumper.text(line)),
      system: this.#dumper.system(actor as unknown as LiveRef, running, actor.system.getAll() as never),
      due: [...timeouts.values()].map(({ start, timeout }) => start + timeout).sort((a, b) => a - b),
      timers: this.#named(),
    }
    this.#emitted = []
    this.#told = []
    return sight
  }

  #named(): string[] {
    const { _scheduledEvents: scheduled } = this.actor.system.getSnapshot() as unknown as {
      _scheduledEvents: Record<string, ScheduledEvent>
    }
    return Object.values(scheduled)
      .map(timer => timerText(timer, this.#dumper))
      .sort()
  }
}

/** Ids that nobody gave are random in XState and counted by us. */
export function timerText({ source, target, event, id }: ScheduledEvent, dumper: Dumper): string {
  const name = /^t\d$|^xstate\./.test(id) ? id : 'anonymous'
  return `${dumper.session(source)} ${name} ${dumper.text(event.type)} → ${dumper.session(target)}`
}

/** The text of an error, whatever was thrown. */
export function errorText(error: unknown, dumper: Dumper): string | undefined {
  if (error === undefined) return undefined
  return dumper.text(error instanceof Error ? error.message : String(error))
}
