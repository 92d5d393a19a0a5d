import type { Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { Environment, TimeoutHandle } from '../environment.ts'
import { asError, type XMachinesError } from '../errors.ts'
import type { Inspect } from '../machine/inspection.ts'
import { LivePort } from '../run/live-port.ts'
import { hold } from '../run/loading.ts'
import { type House, nurseryOf } from '../run/nursery.ts'
import type { Observer } from '../run/observer.ts'
import { closeTimeout, residencyOf } from '../run/residency.ts'
import type { Resident } from '../run/resident.ts'
import { runClosed } from '../run/run-errors.ts'
import { inspectResident } from '../run/run-inspection.ts'
import { Attention } from '../supervisor/attention.ts'
import { defaultBackoff, Pauses } from '../supervisor/backoff.ts'
import { mayPass } from '../supervisor/failures.ts'
import { Residents, type Resting } from '../supervisor/residents.ts'
import type { Ward } from './ward.ts'

/**
 * What happened in a host.
 *
 * - `woken`: a run that nobody had open needed something (a timer, an effect that a process left behind). It is in memory, and
 *   the timers that were due have fired.
 * - `failed`: such a run cannot be opened; without `run`, the store could not be asked.
 */
export type HostEvent = {
  /** ms since 1970 */
  readonly at: number
  /** How many events were dropped before this one because nobody read them. */
  readonly lost?: number
} & (
  | { readonly type: 'woken'; readonly run: string }
  | { readonly type: 'failed'; readonly run: string | undefined; readonly error: XMachinesError }
)

/** What a host is made of. */
export interface HostSettings {
  readonly store: Store
  /** Each with a namespace of its own. */
  readonly wards: readonly Ward[]
  readonly residents: number
  readonly idle: number
  readonly inspect: Inspect | undefined
  readonly telemetry: Telemetry | undefined
}

/** How many events wait for a reader. */
const eventsKept = 1024
/** How often a host looks for what dead processes have left behind, ms. */
const patrol = 10_000

/** Keeps runs in memory that were used lately, and wakes those that need something: what a supervisor does, without a broker. */
export class HostKeeper implements House {
  readonly #settings: HostSettings
  readonly #environment: Environment
  readonly #attentions: readonly Attention[]
  readonly #withdraw: () => void
  readonly #residents: Residents
  readonly #pauses: Pauses
  readonly #lodgers = new Map<string, Lodger>()
  readonly #events = new LivePort<HostEvent>(eventsKept, [], (event, lost) => ({ ...event, lost }))
  readonly #leaving = new Set<Promise<void>>()
  #patrol: TimeoutHandle | undefined
  #failures = 0
  #over = false

  constructor(settings: HostSettings, environment: Environment) {
    this.#settings = settings
    this.#environment = environment
    this.#residents = new Residents(settings.residents, settings.idle, environment)
    this.#pauses = new Pauses(environment)
    this.#attentions = settings.wards.map(ward => this.#attentionFor(ward))
    this.#withdraw = nurseryOf(settings.store).offer(this)
    this.#round()
  }

  get events(): ReadableStream<HostEvent> {
    return this.#events.stream
  }

  get over(): boolean {
    return this.#over
  }

  takes(namespace: string, machine: string): boolean {
    if (this.#over) return false
    const ward = this.#settings.wards.find(one => one.namespace === namespace)
    return ward?.programs.some(({ record }) => record.oid === machine) === true
  }

  #attentionFor(ward: Ward): Attention {
    const attention: Attention = new Attention(
      { namespace: ward.namespace },
      {
        store: this.#settings.store,
        environment: this.#environment,
        awake: this.#lodgers,
        wake: run => this.#wake(run, ward, attention),
        pause: error => this.#pause(error),
        stop: error => this.#tell({ type: 'failed', run: undefined, error }),
      },
    )
    return attention
  }

  /** Keeps a run in memory that somebody holds just now, until it has not been used for long. */
  async lodge(resident: Resident): Promise<void> {
    const { store } = this.#settings
    const { run } = resident
    if (this.#over || this.#lodgers.has(run)) return
    await this.#residents.admit()
    // Held once more, by the host; whoever holds it already makes sure that it is there, unless it ends meanwhile.
    const held = await residencyOf(store)
      .hold(run, async () => stillThere(resident))
      .catch(gone)
    if (this.#over || this.#lodgers.has(run) || held === undefined || held.over !== undefined) {
      this.#residents.leave()
      return held && residencyOf(store).release(held, closeTimeout)
    }
    const lodger = new Lodger(held, this.#residents, () => this.#letGo(lodger, true))
    this.#lodgers.set(run, lodger)
    held.watch(lodger)
    if (this.#settings.inspect !== undefined) inspectResident(held, this.#settings.inspect)
    this.#residents.rest(lodger)
  }

  /** Lets go of all runs: what is in flight is drained, and nothing is woken any more. */
  async close(): Promise<void> {
    if (!this.#over) {
      this.#over = true
      this.#withdraw()
      for (const attention of this.#attentions) attention.end()
      this.#pauses.end()
      if (this.#patrol !== undefined) this.#environment.clearTimeout(this.#patrol)
      for (const lodger of [...this.#lodgers.values()]) this.#letGo(lodger, false)
      this.#residents.end()
    }
    await Promise.all(this.#leaving)
    this.#events.finish()
  }

  /** Looks for what is due, now and every so often: another process may have left something behind. */
  #round(): void {
    for (const attention of this.#attentions) attention.look()
    this.#patrol = this.#environment.setTimeout(() => this.#round(), patrol)
  }

  async #wake(run: string, { programs }: Ward, attention: Attention): Promise<void> {
    const { store, telemetry } = this.#settings
    try {
      const there = residencyOf(store).has(run)
      const { resident } = await hold(store, programs, { id: run, telemetry }, this.#environment, undefined)
      // Somebody else has it open, and does not know of what another process has written.
      if (there) resident.notice()
      this.#failures = 0
      await this.lodge(resident)
      await resident.drained()
      this.#tell({ type: 'woken', run })
      await residencyOf(store).release(resident, closeTimeout)
    } catch (thrown) {
      if (this.#over) return
      const error = asError(thrown, 'STORE_UNAVAILABLE')
      if (!mayPass(error)) return this.#tell({ type: 'failed', run, error })
      if (await this.#pause(error)) attention.lookAgain(run)
    }
  }

  async #pause(error: XMachinesError): Promise<boolean> {
    this.#failures++
    if (this.#failures === 1) this.#tell({ type: 'failed', run: undefined, error })
    await this.#pauses.wait(defaultBackoff(this.#failures))
    return !this.#over
  }

  #letGo(lodger: Lodger, passivated: boolean): void {
    const { resident } = lodger
    if (this.#lodgers.get(resident.run) !== lodger) return
    this.#lodgers.delete(resident.run)
    resident.unwatch(lodger)
    this.#residents.rouse(lodger)
    const leaving = residencyOf(this.#settings.store)
      .release(resident, closeTimeout)
      .catch(() => {}) // the run has told its handles
      .then(() => {
        this.#residents.leave(passivated)
        this.#leaving.delete(leaving)
        // What it left undone, or is to do later, is in the store now.
        if (!this.#over) this.#attentionOf(resident)?.lookAgain(resident.run)
      })
    this.#leaving.add(leaving)
  }

  #attentionOf({ name }: Resident): Attention | undefined {
    return this.#attentions[this.#settings.wards.findIndex(({ namespace }) => namespace === name.namespace)]
  }

  #tell(event: { readonly type: 'woken'; readonly run: string } | Omit<Extract<HostEvent, { type: 'failed' }>, 'at'>) {
    this.#events.push({ at: this.#environment.now(), ...event })
  }
}

/** @throws where it has ended: it is not to be held, and asking again would not help */
function stillThere(resident: Resident): Resident {
  if (resident.over !== undefined) throw resident.over.error ?? runClosed(resident.run)
  return resident
}

/** Whoever had the run open is told by the run itself. */
function gone(): undefined {}

/** A run that a host keeps in memory. */
class Lodger implements Resting, Observer {
  readonly resident: Resident
  readonly #residents: Residents
  readonly #leave: () => void
  restingSince: number | undefined
  previous: Resting | undefined
  next: Resting | undefined

  constructor(resident: Resident, residents: Residents, leave: () => void) {
    this.resident = resident
    this.#residents = residents
    this.#leave = leave
  }

  get busy(): boolean {
    return this.resident.busy
  }
  passivate(): void {
    this.#leave()
  }
  /** Used just now: the last in line to go. */
  adopted(): void {
    this.#residents.rouse(this)
    this.#residents.rest(this)
  }
  refused(): void {}
  ended(): void {
    this.#leave()
  }
}
