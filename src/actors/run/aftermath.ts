import type { RecordedEvent } from '../contracts/json.ts'
import type { AppendItem } from '../contracts/store.ts'
import type { NewUnit } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyEvent, defaultEventLimits } from '../json/event-copy.ts'
import type { Effect } from '../machine/draft.ts'
import { nextTimer, type RunState } from '../machine/state.ts'
import { enterStep, leaveStep } from '../step.ts'
import { timerCommand } from './ahead.ts'
import { Invocations } from './invocations.ts'
import type { BesideDraft } from './outbox.ts'
import type { Resident } from './resident.ts'
import { type Sleeper, wakeUpsOf } from './timers.ts'

/** What a run does once units are durable: custom actions, invocations, timers. Nothing here changes the run but by commands. */
export class Aftermath implements Sleeper {
  readonly #resident: Resident
  #invocations: Invocations | undefined
  #stopped = false
  /** Whether the run is registered to be woken. */
  #armed = false

  constructor(resident: Resident) {
    this.#resident = resident
  }

  /** Invocations that run now. */
  get running(): number {
    return this.#invocations?.size ?? 0
  }

  /** What the store has to know of a state, so that somebody goes on with it if this process does not. */
  declare(state: RunState, item: { -readonly [K in keyof AppendItem]: AppendItem[K] }, beside: BesideDraft): void {
    const { held, time, environment } = this.#resident
    const { invocations } = state.table
    const timer = time === 'arrival' ? nextTimer(state)?.due : undefined
    const effects = invocations.size > 0 ? environment.now() : undefined
    item.due =
      held || (timer === undefined && effects === undefined)
        ? null
        : Math.min(timer ?? Number.POSITIVE_INFINITY, effects ?? Number.POSITIVE_INFINITY)
    const process = invocations.size > 0 && !held ? environment.process : null
    if (process !== this.#declared) beside.process = this.#declared = process
  }
  #declared: string | null = null

  /** The custom actions of a unit, once, in order. What they throw is told and changes nothing. */
  perform(unit: NewUnit, effects: readonly Effect[]): void {
    const before = enterStep({ at: unit.at, seed: undefined, effect: true, taken: 0, starved: false })
    try {
      for (const effect of effects) {
        try {
          if (effect.kind === 'receive') this.#invocations?.receive(effect.actor, effect.event)
          else effect.action.exec?.(effect.action.info, effect.action.params)
        } catch (thrown) {
          const name =
            effect.kind === 'action' ? `The action '${effect.action.type}'` : `The callback '${effect.actor.id}'`
          this.#resident.report(
            unit.seq,
            new XMachinesError(
              'EFFECT_FAILED',
              `${name} threw after unit ${unit.seq} was durable: ${messageOf(thrown)}`,
              { cause: thrown },
            ),
          )
        }
      }
    } finally {
      leaveStep(before)
    }
  }

  /** Runs what the durable state holds as pending, stops what it has left, and has itself woken for its next timer. */
  follow(state: RunState): void {
    if (this.#stopped) return
    const { table } = state
    if (table.invocations.size > 0 || this.#invocations !== undefined) {
      this.#invocations ??= new Invocations(
        (invocation, event) => this.#tell(invocation, event),
        this.#resident.environment,
      )
      this.#invocations.follow(table)
    }
    const due = this.#resident.time === 'arrival' ? nextTimer(state)?.due : undefined
    if (due === undefined && !this.#armed) return
    this.#armed = due !== undefined
    wakeUpsOf(this.#resident.environment).set(this, due)
  }

  /** Another process wrote these units: what they started is its own. */
  foreign(state: RunState): void {
    if (state.table.invocations.size === 0) return
    this.#invocations ??= new Invocations(
      (invocation, event) => this.#tell(invocation, event),
      this.#resident.environment,
    )
    this.#invocations.leave(state.table)
  }

  /** Fires at once what fell due while the run was not in memory. */
  catchUp(): void {
    const { environment, state, time } = this.#resident
    const due = time === 'arrival' ? nextTimer(state)?.due : undefined
    if (due !== undefined && due <= environment.now()) this.wake()
  }

  /** A timer is due: fires all that are, each as a unit of its own. */
  wake(): void {
    const resident = this.#resident
    const now = resident.environment.now()
    const due = [...resident.state.table.timers.values()]
      .filter(timer => timer.due <= now)
      .sort((a, b) => a.due - b.due || a.armed - b.armed || a.index - b.index)
    for (const timer of due) resident.submit({ ...timerCommand(timer), at: now })
    if (due.length === 0) this.follow(resident.state)
  }

  /** `self.send(…)` in a custom action: an event like any from outside, without a receipt. */
  sendToSelf(event: RecordedEvent): void {
    const resident = this.#resident
    const copy = copyEvent(event, defaultEventLimits)
    resident.submit({
      origin: { kind: 'outside' },
      events: [copy],
      settle: () => {},
      reject: error => resident.report(resident.seq, error),
    })
  }

  /** No new effect starts; promises in flight are awaited. */
  async close(timeout: number): Promise<void> {
    this.#stopped = true
    await this.#invocations?.close(timeout)
  }

  stop(): void {
    this.#stopped = true
    this.#invocations?.stop()
    if (this.#armed) wakeUpsOf(this.#resident.environment).set(this, undefined)
  }

  #tell({ path, entered }: { readonly path: readonly string[]; readonly entered: number }, event: RecordedEvent): void {
    const nothing = (): void => {}
    this.#resident.submit({
      origin: { kind: 'effect', actor: path, entered },
      events: [event],
      settle: nothing,
      reject: nothing,
    })
  }
}
