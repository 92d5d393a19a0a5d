import type { ActorRefFrom, AnyStateMachine, SnapshotFrom } from 'xstate'
import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { checkName } from '../identity/run-key.ts'
import { copyEvent, defaultEventLimits, type EventLimits } from '../json/event-copy.ts'
import type { Inspect } from '../machine/inspection.ts'
import { createActorRef } from './actor-ref.ts'
import type { AdoptedUnit, Command, Settlement } from './command.ts'
import type { Observer } from './observer.ts'
import { Ports } from './ports.ts'
import { plain } from './receipt.ts'
import { closeTimeout, residencyOf } from './residency.ts'
import type { Resident } from './resident.ts'
import { RunInspection } from './run-inspection.ts'
import { ApplyCommand, outside, SentCommand } from './sent-command.ts'
import { Settlers } from './settlers.ts'
import type {
  AnyMachine,
  ApplyOptions,
  CloseOptions,
  MachineOf,
  PortName,
  Receipt,
  Run,
  RunError,
  RunSnapshot,
  SentTo,
  SubscribeOptions,
} from './types.ts'

/** The events of `T` as the handle sees them: types are checked where it is made. */
type Machine = AnyStateMachine

/** A handle of a resident run. Whatever nobody touches is not made: an idle handle is two objects. */
export class RunHandle implements Run<Machine, { readonly type: string }>, Observer {
  readonly #resident: Resident
  readonly #limits: EventLimits
  /** The first unit that `out` shows. */
  readonly #from: number
  #watching = false
  /** It was closed, and all that it shows has come to its end. */
  #left = false
  #closed: Promise<void> | undefined
  #in: WritableStream<{ readonly type: string } | readonly { readonly type: string }[]> | undefined
  #out: ReadableStream | undefined
  #err: ReadableStream<RunError> | undefined
  #snapshot: ReadableStream<RunSnapshot> | undefined
  #ports: Ports | undefined
  #settlers: Settlers | undefined
  #actorRef: ActorRefFrom<Machine> | undefined
  readonly #listeners = new Set<Observer>()

  constructor(resident: Resident, from: number, limits: EventLimits) {
    this.#resident = resident
    this.#from = from
    this.#limits = limits
  }

  /** Shows the run to an inspector until the handle is closed. */
  inspect(inspect: Inspect): void {
    this.#watch()
    this.#listeners.add(new RunInspection(this.#resident, inspect))
  }

  get id(): string {
    return this.#resident.run
  }

  get ready(): Promise<void> {
    return this.#promises().ready.promise
  }

  get done(): Promise<never> {
    return this.#promises().done.promise as Promise<never>
  }

  get in(): WritableStream<{ readonly type: string } | readonly { readonly type: string }[]> {
    this.#in ??= new WritableStream({
      start: ({ signal }) => signal.addEventListener('abort', () => this.#ports?.letGo(), { once: true }),
      write: (chunk, { signal }) => this.#write(chunk, signal),
      close: () => this.close(),
      abort: () => this.close({ timeout: 0 }),
    })
    return this.#in
  }

  get out(): ReadableStream<never> {
    this.#out ??= this.subscribe('out', { from: this.#from })
    return this.#out as ReadableStream<never>
  }

  get err(): ReadableStream<RunError> {
    this.#err ??= this.subscribe('err')
    return this.#err
  }

  get snapshot(): ReadableStream<RunSnapshot> {
    this.#snapshot ??= this.subscribe('snapshot')
    return this.#snapshot
  }

  get actorRef(): ActorRefFrom<Machine> {
    this.#actorRef ??= createActorRef(this, this.#resident, {
      watch: observer => {
        this.#watch()
        this.#listeners.add(observer)
        return () => this.#listeners.delete(observer)
      },
      isClosed: () => this.#closed !== undefined,
    })
    return this.#actorRef
  }

  apply(events: unknown, options?: ApplyOptions): Promise<Receipt<Machine>> {
    return new Promise((resolve, reject) =>
      this.#submit(new ApplyCommand(this.#resident, events, options, this.#limits, resolve, reject)),
    )
  }

  advance(at: number): Promise<void> {
    if (this.#resident.time !== 'source')
      throw new TypeError("Expected a run with time: 'source': under 'arrival' time passes by the clock.")
    if (!Number.isFinite(at))
      throw new TypeError(`Expected \`at\` to be milliseconds since 1970, got \`${at}\` (${typeof at}).`)
    return new Promise((resolve, reject) =>
      this.#submit({ origin: outside, events: [], at, settle: () => resolve(), reject }),
    )
  }

  stop(reason: string): Promise<void> {
    checkName('reason', reason)
    const settled = (resolve: () => void, reject: (error: unknown) => void) => (settlement: Settlement) =>
      settlement.kind === 'refused' ? reject(settlement.error) : resolve()
    return new Promise<void>((resolve, reject) => {
      // It stands in the history as an event does, and is no larger.
      copyEvent({ type: 'stop', reason }, this.#limits)
      this.#submit({ origin: { kind: 'stop', reason }, events: [], settle: settled(resolve, reject), reject })
    })
  }

  getSnapshot(): SnapshotFrom<Machine> {
    return this.#resident.state.snapshot as unknown as SnapshotFrom<Machine>
  }

  subscribe<T extends PortName>(port: T, options: SubscribeOptions = {}): ReadableStream<never> {
    this.#watch()
    if (this.#ports === undefined) {
      this.#ports = new Ports(this.#resident)
      if (this.#left) this.#ports.finish()
    }
    return this.#ports.open(port, options) as ReadableStream<never>
  }

  close(options: CloseOptions = {}): Promise<void> {
    this.#closed ??= this.#close(options.timeout ?? closeTimeout)
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // Observer: what the resident tells.

  adopted(units: readonly AdoptedUnit[]): void {
    this.#ports?.adopted(units)
    for (const listener of this.#listeners) listener.adopted(units)
    const last = units[units.length - 1]!
    if (last.state.snapshot.status !== 'active') this.#finish(last)
  }

  refused(seq: number, events: readonly RecordedEvent[], error: XMachinesError): void {
    this.#ports?.report({
      runId: this.id,
      seq,
      events: events as readonly JsonValue[],
      error: plain(error),
      fatal: false,
    })
    for (const listener of this.#listeners) listener.refused(seq, events, error)
  }

  ended(error: XMachinesError | undefined): void {
    for (const listener of this.#listeners) listener.ended(error)
    if (error === undefined) return this.#ports?.finish()
    this.#ports?.fail(error)
    this.#settlers?.done.reject(error)
    void residencyOf(this.#resident.store).forget(this.#resident)
  }

  /** What a fork of this run needs to know. */
  get origin(): { readonly store: Resident['store']; readonly id: string; readonly program: Resident['program'] } {
    const { store, run, program } = this.#resident
    return { store, id: run, program }
  }

  /** The unit that a fork has in place of another: at that one's time, whatever the time mode, and also where that was a timer. */
  replaceWith(events: readonly RecordedEvent[], at: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (settlement: Settlement): void =>
        settlement.kind === 'refused' ? reject(settlement.error) : resolve()
      this.#resident.submit({ origin: outside, events, at, beforeTimers: true, settle, reject })
    })
  }

  // Sending.

  #submit(command: Command): void {
    if (this.#closed === undefined) return this.#resident.submit(command)
    command.reject(
      new XMachinesError(
        'RUN_CLOSED',
        `This handle of run ${this.id} is closed. Open the run again and send the event once more.`,
        { details: { run: this.id } },
      ),
    )
  }

  #write(chunk: unknown, signal: AbortSignal): Promise<void> {
    // An abort waits for the write under way: what is still held back here must not wait for a reader.
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#ports?.full === true) return this.#ports.progress().then(() => this.#write(chunk, signal))
    return new Promise((resolve, reject) =>
      this.#submit(new SentCommand(this.#resident, chunk, undefined, this.#limits, resolve, reject)),
    )
  }

  // Ends.

  /** The run came to its end: it takes no more, and there is no more to show. */
  #finish({ unit, state }: AdoptedUnit): void {
    const { status, output, error } = state.snapshot
    if (status === 'error') {
      const cause = XMachinesError.is(error)
        ? error
        : new XMachinesError('STEP_FAILED', `Unit ${unit.seq} ended the run: ${messageOf(error)}`, { cause: error })
      this.#ports?.report({
        runId: this.id,
        seq: unit.seq,
        events: unit.events as readonly JsonValue[],
        error: plain(cause),
        fatal: true,
      })
    }
    this.#ports?.finish()
    this.#settlers?.settle(status, output, error)
  }

  async #close(timeout: number): Promise<void> {
    await residencyOf(this.#resident.store).release(this.#resident, timeout)
    this.#left = true
    this.#ports?.finish()
    // Where others hold the run, it has not told them.
    for (const listener of this.#listeners) listener.ended(undefined)
    this.#listeners.clear()
    this.#settlers?.abandon(this.id)
    if (this.#watching) this.#resident.unwatch(this)
  }

  #watch(): void {
    if (this.#watching || this.#left) return
    this.#watching = true
    this.#resident.watch(this)
  }

  #promises(): Settlers {
    if (this.#settlers !== undefined) return this.#settlers
    this.#watch()
    const settlers = (this.#settlers = new Settlers())
    const { created, over, state } = this.#resident
    if (created) settlers.ready.resolve()
    else this.#resident.whenCreated().then(settlers.ready.resolve, settlers.ready.reject)
    if (over?.error !== undefined) settlers.done.reject(over.error)
    else if (created && state.snapshot.status !== 'active')
      settlers.settle(state.snapshot.status, state.snapshot.output, state.snapshot.error)
    else if (this.#closed !== undefined) settlers.abandon(this.id)
    return settlers
  }
}

/** A handle of a run that is in memory. @param from the first unit that its `out` shows */
export function handleOf<TMachine extends AnyMachine>(
  resident: Resident,
  from: number,
  limits: EventLimits = defaultEventLimits,
  inspect?: Inspect,
): Run<MachineOf<TMachine>, SentTo<TMachine>> {
  const made = new RunHandle(resident, from, limits)
  if (inspect !== undefined) made.inspect(inspect)
  return made as unknown as Run<MachineOf<TMachine>, SentTo<TMachine>>
}
