import type { EventObject } from 'xstate'
import type { BesideChange } from '../contracts/store.ts'
import type { ActorRef } from '../machine/actor-ref.ts'
import { defaultRules, type InvocationRules } from '../machine/invocation-policy.ts'
import type { ActorTable, Invocation } from '../machine/state.ts'
import { Attempts, invocationKey } from './attempts.ts'
import { stopped } from './invocation-errors.ts'
import type { Shares } from './owners.ts'
import { type InvocationHome, PendingInvocation } from './pending-invocation.ts'

/** What the invocations of a run need of it. */
export interface InvocationsHome extends Omit<InvocationHome, 'ended'> {
  readonly run: string
  /** Declared rules, by the name of the logic. */
  readonly rules: ReadonlyMap<string, InvocationRules>
}

/** Who has an invocation in flight: this process, in which whoever has it keeps it; another one that lives; or none. */
export type Whose = 'ours' | 'theirs' | 'nobody'

/**
 * The effects of one run that go on after a step: promises, callbacks, observables. They follow the durable state: what it
 * holds as pending runs, what it has left is stopped. Each attempt is durable before it starts; the first one goes along with
 * the unit that entered it.
 */
export class Invocations {
  readonly #home: InvocationsHome & InvocationHome
  readonly #attempts: Attempts
  readonly #pending = new Map<ActorRef, PendingInvocation>()
  /** Those whose first attempt is in the item that is on its way, with the unit that enters them. */
  readonly #entering = new Map<ActorRef, PendingInvocation>()
  /** What was sent to those that the state was found to hold just now, and that are not looked at yet. */
  readonly #early = new Map<ActorRef, EventObject[]>()
  /** No new attempt starts. */
  #closing = false
  #idle: (() => void)[] = []

  /** @param made the attempts that are durable */
  constructor(home: InvocationsHome, made: Readonly<Record<string, number>>) {
    this.#home = { ...home, ended: () => this.#checkIdle() }
    this.#attempts = new Attempts(made)
  }

  /** How many run, or wait to. */
  get size(): number {
    let size = 0
    for (const pending of this.#pending.values()) if (pending.active) size++
    return size
  }

  /** Whether an attempt is to be made durable. */
  get wanting(): boolean {
    for (const pending of this.#pending.values()) if (this.#wants(pending)) return true
    return false
  }

  // The item.

  /** What the next item says of attempts, if it leads to this table, and whose is what of it then. */
  offer(table: ActorTable): { readonly attempts: BesideChange['attempts']; readonly shares: Shares } {
    const all = new Set<string>()
    const others: string[] = []
    for (const [actor, invocation] of table.invocations) {
      const pending = this.#pending.get(actor) ?? this.#enter(invocation)
      if (this.#wants(pending)) this.#attempts.offer(pending.key, pending.attempt)
      all.add(pending.key)
      if (pending.isOthers) others.push(pending.key)
    }
    this.#attempts.keepOnly(all)
    return { attempts: this.#attempts.change, shares: { all, others } }
  }

  /** The item is durable, or nothing of it is. Gives whether it said anything of attempts. */
  settled(durable: boolean): boolean {
    for (const [actor, pending] of this.#entering) {
      if (durable && !this.#closing) this.#pending.set(actor, pending)
      else pending.leave()
    }
    this.#entering.clear()
    return this.#attempts.settled(durable)
  }

  /** What can start at once needs no item of its own: its first attempt goes along with the unit. */
  #enter(invocation: Invocation): PendingInvocation {
    const pending = this.#toPending(invocation)
    if (!this.#closing && this.#attempts.made(pending.key) === 0 && pending.enter())
      this.#entering.set(invocation.actor, pending)
    return pending
  }

  // Following the durable state.

  /** Starts what is pending and does not run, stops what runs and is not pending. */
  follow(table: ActorTable): void {
    this.#stopLeft(table)
    if (this.#closing) return
    for (const [actor, invocation] of table.invocations) {
      const pending = this.#pending.get(actor)
      if (pending === undefined) this.#goOn(invocation)
      else if (pending.ready && !this.#wants(pending)) pending.start()
    }
    this.#early.clear()
  }

  /**
   * Others may have written up to this table: what they have in flight is left to them, as is what they have attempted of ours.
   * What nobody has is gone on with by {@link follow}.
   *
   * @returns whether there is such
   */
  share(table: ActorTable, made: Readonly<Record<string, number>>, whose: (key: string) => Whose): boolean {
    this.settled(false)
    for (const pending of this.#pending.values())
      if ((made[pending.key] ?? 0) !== this.#attempts.made(pending.key) || whose(pending.key) === 'theirs')
        pending.yield()
    this.#attempts.reset(made)
    this.#stopLeft(table)
    let goesOn = false
    for (const [actor, invocation] of table.invocations) {
      const known = this.#pending.get(actor)
      if (known !== undefined && !known.left) continue
      const pending = known ?? this.#toPending(invocation)
      if (whose(pending.key) === 'nobody') {
        this.#pending.delete(actor)
        goesOn = true
      } else if (known === undefined) {
        pending.leave()
        this.#pending.set(actor, pending)
      }
    }
    return goesOn
  }

  /** This process may not write: what does not run yet is left to whoever may. */
  forgo(): void {
    this.settled(false)
    for (const pending of this.#pending.values()) pending.leave()
  }

  /** Hands an event to a callback's listeners; to one that does not run yet, when it does. {@link follow} comes after it. */
  receive(actor: ActorRef, event: EventObject): void {
    const pending = this.#pending.get(actor)
    if (pending !== undefined) return pending.receive(event)
    if (this.#closing) return
    const early = this.#early.get(actor)
    if (early === undefined) this.#early.set(actor, [event])
    else early.push(event)
  }

  /** Hands on what another process has the machine send to a callback, if that runs here or is about to. */
  overhear(actor: ActorRef, event: EventObject): void {
    this.#pending.get(actor)?.receive(event)
  }

  /** Stops callbacks and observables at once, awaits promises up to `timeout` ms, then aborts them. All stay pending. */
  async close(timeout: number): Promise<void> {
    const { environment } = this.#home
    const reason = stopped('its run was closed')
    this.#closing = true
    for (const pending of this.#pending.values()) pending.close(reason)
    if (this.size > 0)
      await new Promise<void>(resolve => {
        const deadline = environment.setTimeout(resolve, timeout)
        this.#idle.push(() => {
          environment.clearTimeout(deadline)
          resolve()
        })
      })
    this.stop(reason)
  }

  /** Stops everything at once: the lease is lost, or the process goes. */
  stop(reason: Error = stopped('its run was closed')): void {
    this.#closing = true
    for (const pending of this.#pending.values()) pending.stop(reason)
  }

  /** It was pending when the run was opened, or it could not start at once. */
  #goOn(invocation: Invocation): void {
    const pending = this.#toPending(invocation)
    this.#pending.set(invocation.actor, pending)
    for (const event of this.#early.get(invocation.actor) ?? []) pending.receive(event)
    pending.goOn(this.#attempts.made(pending.key))
  }

  #toPending(invocation: Invocation): PendingInvocation {
    const { run, rules } = this.#home
    return new PendingInvocation(this.#home, {
      invocation,
      key: invocationKey(run, invocation),
      rules: rules.get(String(invocation.actor.src)) ?? defaultRules,
    })
  }

  #wants({ ready, key, attempt }: PendingInvocation): boolean {
    return ready && this.#attempts.made(key) < attempt
  }

  #stopLeft(table: ActorTable): void {
    for (const [actor, pending] of this.#pending) {
      if (table.invocations.has(actor)) continue
      if (pending.active) pending.stop(stopped('its state was left'))
      this.#pending.delete(actor)
    }
  }

  #checkIdle(): void {
    if (this.#idle.length > 0 && this.size === 0) for (const idle of this.#idle.splice(0)) idle()
  }
}
