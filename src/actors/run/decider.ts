import type { Beside } from '../contracts/store.ts'
import type { NewUnit, Origin } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { Ahead } from './ahead.ts'
import type { Command, Pending } from './command.ts'
import { asStoreError } from './journal.ts'
import type { Resident } from './resident.ts'
import type { ResidentStart } from './resident-start.ts'
import { endlessTimers, undecided } from './run-errors.ts'
import type { RunWriter } from './run-writer.ts'

type TimerOrigin = Extract<Origin, { kind: 'timer' }>

/** Timers that may be armed and fall due at one instant, one after the other. */
const chainLimit = 5000
/** Timers that fire before one command until they are durable: a long time may pass at once. More than {@link chainLimit}. */
const fireLimit = 8192

/** Decides commands at once, ahead of the append that makes them durable, or once what has to be awaited for them is there. */
export class Decider {
  readonly #resident: Resident
  readonly #writer: RunWriter
  readonly #ahead: Ahead
  /** Not decided yet, in order. */
  #waiting: Command[] = []
  /** How many things have to be awaited, and how many of them while what is decided must stay pending. */
  #blocked = 0
  #frozen = 0

  constructor(resident: Resident, writer: RunWriter, start: ResidentStart) {
    this.#resident = resident
    this.#writer = writer
    this.#ahead = new Ahead(start)
  }

  /** Commands that wait for something. */
  get waiting(): number {
    return this.#waiting.length
  }
  /** Something has to be awaited before anything more is decided. */
  get blocked(): boolean {
    return this.#blocked > 0
  }
  /** What waits, waits for the schema of the first of them. */
  get checking(): boolean {
    return this.#waiting[0]?.checking !== undefined
  }
  /** What is decided must not be appended now. */
  get frozen(): boolean {
    return this.#frozen > 0
  }

  /** Decides it, or has it wait. */
  take(command: Command): void {
    if (command.signal?.aborted) return command.reject(abortedBefore(command.signal))
    if (this.#blocked > 0) {
      this.#waiting.push(command)
      this.#listen(command)
    } else if (command.checking !== undefined)
      this.block([command], () => unlessAborted(command.checking!, command.signal), false)
    else if (command.requestId !== undefined && !this.#ahead.remembersRequests)
      this.block([command], () =>
        this.#ahead.rememberRequests(this.#resident.store, this.#resident.created, this.#writer.pending),
      )
    else this.#decide(command)
  }

  /** The creation of a run, which is decided already. */
  first(
    { seq, at, state }: ResidentStart,
    { creation, outputs, effects }: NonNullable<ResidentStart['first']>,
    command: Command,
  ): Pending {
    const mail = this.#ahead.sentBy(effects, state, command.origin)
    const unit: NewUnit = {
      seq,
      at,
      events: [],
      origin: command.origin,
      outputs,
      ...(mail && { mail }),
      ...(command.source && { sources: [command.source] }),
      ...command.beside,
      state: this.#ahead.hashOf(state, effects),
      creation,
    }
    return { kind: 'applied', command, unit, state, effects, fatal: undefined, refusal: undefined }
  }

  /** Falls back to what is durable. */
  reset(kept: Pick<Beside, 'sources' | 'linked'>): void {
    this.#ahead.reset(this.#resident, kept)
  }

  /**
   * Holds deciding back until `work` is done; `again` is decided first then.
   * @param frozen whether what is decided already must stay pending meanwhile
   */
  block(again: readonly Command[], work: () => Promise<void>, frozen = true): void {
    this.#blocked++
    if (frozen) this.#frozen++
    this.#waiting = [...again, ...this.#waiting]
    for (const command of again) this.#listen(command)
    work().then(
      () => {
        this.#blocked--
        if (frozen) this.#frozen--
        if (this.#resident.over !== undefined || this.#blocked > 0) return
        for (const command of this.clear()) this.#resident.submit(command)
        this.#resident.unblocked()
      },
      thrown => this.#resident.end(asStoreError(thrown)),
    )
  }

  /** Nothing waits any more. Gives what did. */
  clear(): readonly Command[] {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { signal } of waiting) signal?.removeEventListener('abort', this.#dropAborted)
    return waiting
  }

  /** A caller's signal is heard while its command waits. Listening twice to one signal is listening once. */
  #listen({ signal }: Command): void {
    signal?.addEventListener('abort', this.#dropAborted, { once: true })
  }

  readonly #dropAborted = (): void => {
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ signal }) => signal?.aborted !== true)
    for (const command of waiting) if (command.signal?.aborted) command.reject(abortedBefore(command.signal))
    this.#resident.tellDrained()
  }

  #decide(command: Command): void {
    try {
      this.#tryToDecide(command)
    } catch (thrown) {
      // A policy of the machine, strict mode, or a defect: the unit is neither applied nor refused.
      const error = XMachinesError.is(thrown) ? thrown : undecided(this.#resident.run, thrown)
      command.reject(error)
      // What the run caused itself cannot be refused, and nobody would send it again: it stays pending in the store.
      if (command.origin.kind !== 'outside') this.#resident.end(error)
    }
  }

  #tryToDecide(command: Command): void {
    if (command.withdrawn === true) return this.#drop(command)
    const stopped = this.#fireBefore(command)
    if (stopped === 'starved') return this.#starve(command)
    if (stopped === 'many') return this.block([command], () => this.#writer.caughtUp(), false)
    const pending = this.#ahead.decide(command)
    if (pending === 'starved') return this.#starve(command)
    if (pending === undefined) return this.#drop(command)
    command.decided?.()
    this.#writer.push(pending)
  }

  /**
   * Under source time: fires what falls due before the command; nothing of it where that has no end.
   * @returns why there is more to fire: randomness is asked for, or so many wait for the store already
   */
  #fireBefore(command: Command): 'starved' | 'many' | undefined {
    const ahead = this.#ahead
    let due = ahead.dueBefore(command)
    if (due === undefined) return undefined
    const before = ahead.place
    const fired: Pending[] = []
    let instant = before
    let chained = 0
    for (; due !== undefined && fired.length < fireLimit; due = ahead.dueBefore(command)) {
      const timer = ahead.decide(due)
      if (timer === 'starved') break
      if (timer !== undefined) fired.push(timer)
      if (ahead.place.at > instant.at) {
        instant = ahead.place
        chained = 0
      } else if ((due.origin as TimerOrigin).armed > instant.seq && ++chained > chainLimit) {
        ahead.stand(before)
        if (command.origin.kind === 'stop') return undefined
        throw endlessTimers(this.#resident.run, instant.at)
      }
    }
    for (const timer of fired) this.#writer.push(timer)
    if (due === undefined) return undefined
    return fired.length < fireLimit ? 'starved' : 'many'
  }

  /** An outcome or a timer that is gone: no unit, and nobody to tell. */
  #drop(command: Command): void {
    const { seq, at, state } = this.#resident
    command.settle({ kind: 'unchanged', seq, at, outputs: [], state, duplicate: true })
    this.#resident.tellDrained()
  }

  /** The step draws randomness and the id of the head is not known: it is computed from the history, once. */
  #starve(command: Command): void {
    const { store, created, seq } = this.#resident
    this.block([command], () => this.#ahead.identify(store, created ? seq : undefined, this.#writer.pending))
  }
}

function abortedBefore({ reason }: AbortSignal): XMachinesError {
  return new XMachinesError('ABORTED', 'The caller aborted before the unit was decided.', { cause: reason })
}

/** What is waited for no longer than until `signal` fires. */
function unlessAborted(work: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return work
  return new Promise((resolve, reject) => {
    const done = (): void => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done, { once: true })
    work.then(done, reject)
  })
}
