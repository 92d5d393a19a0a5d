import type { RunName } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import type { XMachinesError } from '../errors.ts'
import { LivePort } from '../run/live-port.ts'

/** The lease that something happened to. */
interface OfLease {
  readonly topic: string
  readonly partition: number
}

/** The run that something happened to. */
interface OfRun extends OfLease {
  /** The run's id, where it is known. */
  readonly run: string | undefined
  readonly key: string | undefined
}

/**
 * What happened under a supervisor.
 *
 * - `claimed`: the partition's epoch is this supervisor's; its records flow.
 * - `revoked`: the group wants it back; it drains. `released`: it is given back, after it has drained for `drainTime` ms; what was
 *   `unsettled` by then comes again elsewhere. `lost`: it was taken away.
 * - `expiring`: it has records that are stamped longer ago than their topic keeps records, which may delete them before they
 *   are read. Told once for a lease.
 * - `fenced`: the store refused an append: somebody else has claimed the partition. It is claimed again, or stops; where
 *   it drains already, what is in hand comes again elsewhere.
 * - `stopped`: the lease stands until a person did what `error` says.
 * - `stalled`: the store or the broker failed, or the topic of its results or dead letters; it is tried again for ever.
 * - `restarted`: a run could not be loaded or decided, and is tried again. `parked`: not any more.
 * - `ended`: a record ended its run with an error. It is recorded, and no dead letter.
 * - `dead-lettered`: a refused record is in the dead-letter topic.
 * - `unattended`: a run has spawned a child of a machine that this supervisor was not given: nobody wakes it once its parent goes
 *   out of memory here. Put `machine` into the list, or have a host look after it. Told once for a lease and a machine.
 * - `child-failed`: a child run needed something and cannot be opened; without `run`, the store could not be asked.
 * - `failed`: the stream of leases broke; nothing more is taken over.
 */
export type SupervisorEvent = {
  /** ms since 1970 */
  readonly at: number
  /** How many events were dropped before this one because nobody read them. */
  readonly lost?: number
} & (
  | ({ readonly type: 'claimed'; readonly epoch: number } & OfLease)
  | ({ readonly type: 'revoked' } & OfLease)
  | ({ readonly type: 'released'; readonly drainTime: number; readonly unsettled: number } & OfLease)
  | ({
      readonly type: 'lost' | 'fenced' | 'stopped' | 'stalled' | 'expiring'
      readonly error: XMachinesError
    } & OfLease)
  | ({ readonly type: 'restarted'; readonly attempt: number; readonly error: XMachinesError } & OfRun)
  | ({ readonly type: 'parked' | 'ended'; readonly error: XMachinesError } & OfRun)
  | ({
      readonly type: 'dead-lettered'
      readonly key: string | undefined
      readonly offset: number
      readonly code: string
    } & OfLease)
  | ({
      readonly type: 'unattended'
      /** The child's namespace, key and machine, by its commit. */
      readonly child: RunName & { readonly machine: string }
    } & OfRun)
  | { readonly type: 'child-failed'; readonly run: string | undefined; readonly error: XMachinesError }
  | { readonly type: 'failed'; readonly error: XMachinesError }
)

type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** An event before it is stamped. */
export type Happening = Without<SupervisorEvent, 'at' | 'lost'>

/** An event of a lease, before it is named. */
export type LeaseHappening = Without<Extract<Happening, OfLease>, 'topic' | 'partition'>

/** How many events wait for a reader. */
const kept = 1024

/** The stream of events: the newest are kept for whoever reads, older ones are dropped and counted. */
export class EventLog {
  readonly #environment: Environment
  readonly #port = new LivePort<SupervisorEvent>(kept, [], (event, lost) => ({ ...event, lost }))

  constructor(environment: Environment) {
    this.#environment = environment
  }

  get stream(): ReadableStream<SupervisorEvent> {
    return this.#port.stream
  }

  tell(happening: Happening): void {
    this.#port.push({ at: this.#environment.now(), ...happening } as SupervisorEvent)
  }

  finish(): void {
    this.#port.finish()
  }
}
