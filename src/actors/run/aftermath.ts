import type { RecordedEvent } from '../contracts/json.ts'
import type { AppendItem, Beside } from '../contracts/store.ts'
import type { NewUnit } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyEvent, defaultEventLimits } from '../json/event-copy.ts'
import type { Effect, Received } from '../machine/effect.ts'
import { type ActorTable, nextTimer, type RunState } from '../machine/state.ts'
import { enterStep, leaveStep } from '../step.ts'
import { timerCommand } from './ahead.ts'
import { Invocations, type InvocationsHome, type Whose } from './invocations.ts'
import { mailboxLimit } from './mailbox-limit.ts'
import type { BesideDraft } from './outbox.ts'
import { livingOwners, Owners, ownerOf } from './owners.ts'
import { presenceOf } from './presence.ts'
import type { Resident } from './resident.ts'
import { Succession } from './succession.ts'
import { type Sleeper, wakeUpsOf } from './timers.ts'

/** What is kept of a run's invocations. */
export type Attempted = Pick<Beside, 'attempts' | 'process' | 'owners'>

/** Of a run that is new. */
export const emptyHanded: Attempted = { attempts: {}, process: null, owners: {} }
const noShares = { attempts: undefined, shares: { all: new Set<string>(), others: [] } }
const noneLiving: ReadonlyMap<string, number> = new Map()

/** What a run does once units are durable: custom actions, invocations, timers. Nothing here changes the run but by commands. */
export class Aftermath implements Sleeper {
  readonly #resident: Resident
  /** The attempts of invocations that were durable when the run came into memory. */
  #made: Beside['attempts']
  #invocations: Invocations | undefined
  #stopped = false
  /** Nothing of it runs any more. */
  #closed = false
  /** Whether the run is registered to be woken. */
  #armed = false
  readonly #owners: Owners
  #present = false
  /** The run has ended here: an append that is answered only now says nothing of this process any more. */
  #over = false
  /** Made when another process has effects of the run in flight. */
  #succession: Succession | undefined

  constructor(resident: Resident, kept: Attempted) {
    this.#resident = resident
    this.#made = kept.attempts
    this.#owners = new Owners(resident.environment.process, kept)
  }

  /** Invocations that run now, or wait to. */
  get running(): number {
    return this.#invocations?.size ?? 0
  }

  /** Something of it is to be made durable: attempts that are to start, or that what is still pending is left to others. */
  get wanting(): boolean {
    if (this.#closed) return this.#owners.lingers
    return this.#invocations?.wanting === true || (this.#owners.leaderless && !this.#stopped)
  }

  /** What the store has to know of a state, so that somebody goes on with it if this process does not. */
  declare(state: RunState, item: { -readonly [K in keyof AppendItem]: AppendItem[K] }, beside: BesideDraft): void {
    const { held, time, environment, lease } = this.#resident
    const { table } = state
    const { size } = table.invocations
    const invocations = held ? undefined : this.#invocationsOf(table)
    const { attempts, shares } = invocations?.offer(table) ?? noShares
    if (attempts !== undefined) beside.attempts = attempts
    this.#owners.offer(shares, this.#closed, beside)
    this.#attend()
    const due = time === 'arrival' ? nextTimer(state)?.due : undefined
    // What a living process has in flight needs nobody, unless another one owns the run's partition by then.
    const left = size > 0 && (lease !== undefined || this.#owners.process === null)
    item.due = held || (due === undefined && !left) ? null : left ? Math.min(due ?? Infinity, environment.now()) : due!
  }

  /** The item is durable, or nothing of it is. Gives whether it said anything of attempts. */
  settled(durable: boolean): boolean {
    this.#owners.settled(durable)
    this.#attend()
    return this.#invocations?.settled(durable) === true
  }

  /** The custom actions of a unit, once, in order. What they throw is told and changes nothing. */
  perform(unit: NewUnit, effects: readonly Effect[]): void {
    const { telemetry } = this.#resident
    if (telemetry === undefined) this.#perform(unit, effects)
    else telemetry.within(unit.trace, () => this.#perform(unit, effects))
  }

  #perform(unit: NewUnit, effects: readonly Effect[]): void {
    const before = enterStep({ at: unit.at, seed: undefined, effect: true, taken: 0, starved: false })
    try {
      for (const effect of effects) {
        if (effect.kind === 'receive') this.#invocations?.receive(effect.actor, effect.event)
        else if (effect.kind === 'action') this.#act(unit.seq, effect.action)
      }
    } finally {
      leaveStep(before)
    }
  }

  /** Another process took the steps that sent this: callbacks that run here are to hear it all the same. */
  overhear(received: readonly Received[]): void {
    for (const { actor, event } of received) this.#invocations?.overhear(actor, event)
  }

  /** One action. Of an async one, what it rejects with is told too: nobody else hears it. */
  #act(seq: number, { type, exec, info, params }: Extract<Effect, { kind: 'action' }>['action']): void {
    const threw = (thrown: unknown): void =>
      this.#report(seq, `The action '${type}' threw after unit ${seq} was durable`, thrown)
    try {
      const returned: unknown = exec?.(info, params)
      if (returned instanceof Promise) returned.catch(threw)
    } catch (thrown) {
      threw(thrown)
    }
  }

  /** Runs what the durable state holds as pending, stops what it has left, and has itself woken for its next timer. */
  follow(state: RunState): void {
    if (this.#stopped) return
    this.#invocationsOf(state.table)?.follow(state.table)
    const due = this.#resident.time === 'arrival' ? nextTimer(state)?.due : undefined
    if (due === undefined && !this.#armed) return
    this.#armed = due !== undefined
    wakeUpsOf(this.#resident.environment).set(this, due)
  }

  /**
   * Others may have written: what living processes have in flight is theirs, and looked after from here. What nobody has (any
   * more) is this one's.
   *
   * @param own what becomes of what this process has, and of which nothing is known here
   * @returns whether anything is to be gone on with
   */
  async share(kept: Attempted, own: 'ours' | 'nobody', mayGoOn = true): Promise<boolean> {
    const { store, environment, lease } = this.#resident
    // A lease ends whatever anybody had before it.
    const living = lease === undefined ? await livingOwners(kept, store, environment) : noneLiving
    const whose = (key: string): Whose => {
      const owner = ownerOf(kept, key)
      if (owner === environment.process) return own
      return mayGoOn && (owner === null || !living.has(owner)) ? 'nobody' : 'theirs'
    }
    this.#made = kept.attempts
    this.#owners.reset(kept)
    this.#attend()
    const { table } = this.#resident.state
    const goesOn = this.#invocationsOf(table)?.share(table, kept.attempts, whose) === true
    const isWatched = living.size > 0 && !this.#stopped
    if (isWatched) this.#succession ??= new Succession(this.#resident)
    this.#succession?.watch(isWatched ? Math.min(...living.values()) : undefined)
    return goesOn
  }

  /** This process may not write: what does not run yet is left to whoever may. */
  forgo(): void {
    this.#invocations?.forgo()
    this.#owners.forgo()
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
      ambient: true,
      settle: () => {},
      reject: error => resident.report(resident.seq, error),
    })
  }

  /** No new effect starts; promises in flight are awaited. */
  async close(timeout: number): Promise<void> {
    this.#stopped = true
    this.#succession?.watch(undefined)
    await this.#invocations?.close(timeout)
    this.#closed = true
  }

  /** @param reason why, where it is not a close */
  stop(reason: XMachinesError | undefined): void {
    this.#stopped = true
    this.#succession?.watch(undefined)
    this.#invocations?.stop(reason)
    this.#over = true
    this.#attend()
    const { run, lease, store, environment } = this.#resident
    if (reason !== undefined && lease === undefined && this.#invocations !== undefined)
      presenceOf(store, environment).disown(run)
    if (this.#armed) wakeUpsOf(this.#resident.environment).set(this, undefined)
  }

  /** This process is there for as long as effects of the run are its own. */
  #attend(): void {
    const { store, environment } = this.#resident
    const present = this.#owners.present && !this.#over
    if (present === this.#present) return
    this.#present = present
    if (present) presenceOf(store, environment).enter()
    else presenceOf(store, environment).leave()
  }

  /** Made with the first invocation: most runs have none. */
  #invocationsOf(table: ActorTable): Invocations | undefined {
    if (table.invocations.size > 0) this.#invocations ??= new Invocations(this.#home(), this.#made)
    return this.#invocations
  }

  #home(): InvocationsHome {
    const resident = this.#resident
    const nothing = (): void => {}
    return {
      run: resident.run,
      environment: resident.environment,
      rules: resident.program.definition.invocations,
      telemetry: resident.telemetry,
      full: () => (resident.backlog < mailboxLimit ? undefined : resident.backlog),
      tell: ({ path, entered }, event, beside) =>
        resident.submit({
          origin: { kind: 'effect', actor: path, entered },
          events: [event],
          beside,
          settle: nothing,
          reject: nothing,
        }),
      want: () => resident.touch(),
      failed: (what, thrown) => this.#report(resident.seq, what, thrown),
    }
  }

  #report(seq: number, what: string, thrown: unknown): void {
    this.#resident.report(seq, new XMachinesError('EFFECT_FAILED', `${what}: ${messageOf(thrown)}`, { cause: thrown }))
  }
}
