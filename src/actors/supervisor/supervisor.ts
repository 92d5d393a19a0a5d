import type { PartitionLease } from '../contracts/broker.ts'
import type { AbortOptions, Store } from '../contracts/store.ts'
import type { MeasuredLease } from '../contracts/telemetry.ts'
import type { TimeoutHandle } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { HostKeeper } from '../host/host.ts'
import { childWards } from '../host/ward.ts'
import { journalOf } from '../run/journal.ts'
import type { UnitNotice, UnitsOptions } from '../run/unit-feed.ts'
import { Pauses } from './backoff.ts'
import { caughtUp } from './caught-up.ts'
import { Counts } from './counts.ts'
import { EventLog, type Happening, type SupervisorEvent } from './events.ts'
import { GroupOffsets } from './group-offsets.ts'
import { LeaseLife } from './lease.ts'
import type { LeaseHome } from './lease-home.ts'
import { type SupervisorWork, startLife, supervisorMachine } from './lifecycle.ts'
import type { Settings } from './options.ts'
import type { Outbox } from './outbox.ts'
import { Residents } from './residents.ts'
import { Sender } from './sender.ts'
import type { LeaseStatus, SupervisorStatus } from './status.ts'

/** Drives runs with the records of a broker. Made by `supervise`. */
export interface Supervisor extends AsyncDisposable {
  /** Where its runs are kept. */
  readonly store: Store
  /**
   * Resolves when all records that the topics hold at the call are settled and committed, whichever member of the group
   * holds them, and the outputs of their runs are sent.
   *
   * @throws rejects with `SUPERVISOR_STOPPED` while a lease of this supervisor stands stopped, or when it closes before;
   *   with `ABORTED`
   */
  caughtUp(options?: AbortOptions): Promise<void>
  status(): SupervisorStatus
  /** What happens: the newest 1,024 are kept for whoever reads. Ends with the supervisor. */
  readonly events: ReadableStream<SupervisorEvent>
  /**
   * The units that become durable from the call on, each once, in the order of their run, and before its sender is answered: those of
   * its runs, of their child runs, and of whatever else this process runs on the same store object. What other processes
   * write, or an import, is not among them. Each call is a reader of its own; nothing is done for a reader that is not there.
   *
   * Nobody waits for a reader. At most `buffer` notices wait for it, also while nobody reads the stream: cancel what
   * is not wanted. Once there are more, they are dropped, and one `lost` stands for them: read what is wanted of the store, then go on.
   * Ends with the supervisor, after what was under way then; errors with `ABORTED`.
   *
   * @throws TypeError for a buffer that cannot be meant
   */
  units(options?: UnitsOptions): ReadableStream<UnitNotice>
  /** Leaves the group: drains, commits, passivates and gives back every lease; closes the consumer. Idempotent. */
  close(): Promise<void>
}

/** How long an acknowledgement waits for an item of its run to go along with, ms. */
const writeDelay = 500

/** How long whoever measures waits for the broker to say where the topics end, ms. */
const askTimeout = 2000

/** A member of a group whose records drive runs. */
export class GroupSupervisor implements Supervisor, SupervisorWork, LeaseHome {
  readonly settings: Settings
  readonly residents: Residents
  readonly results: Sender | undefined
  readonly deadLetters: Sender | undefined
  readonly counts: Counts
  readonly #events: EventLog
  readonly #pauses: Pauses
  readonly #life
  readonly #closed: Promise<void>
  readonly #unmeasured: (() => void) | undefined
  readonly #leases = new Set<LeaseLife>()
  /** Looks after the child runs of its runs: they belong to no partition. */
  readonly #children: HostKeeper | undefined
  readonly #offsets: GroupOffsets
  #failure: XMachinesError | undefined
  readonly #toWrite = new Set<Outbox>()
  #writeTimer: TimeoutHandle | undefined
  #progress: { readonly promise: Promise<void>; readonly resolve: () => void } | undefined

  constructor(settings: Settings) {
    const { environment, backoff, results, deadLetters, consumer, terms } = settings
    consumer.agreeOn?.(terms)
    this.settings = settings
    this.counts = new Counts(settings.consumer.group, settings.telemetry)
    this.#offsets = new GroupOffsets(settings.consumer)
    this.residents = new Residents(settings.residents, settings.idle, environment)
    this.#events = new EventLog(environment)
    this.#pauses = new Pauses(environment)
    const sending = { pauses: this.#pauses, backoff }
    this.results = results && new Sender(results, sending)
    this.deadLetters = deadLetters && new Sender(deadLetters, sending)
    this.#unmeasured = settings.telemetry?.leases(() => this.#measure())
    this.#children = this.#attendChildren()
    const life = startLife(supervisorMachine, { work: this }, environment)
    this.#life = life
    this.#closed = new Promise(resolve => life.subscribe({ complete: () => resolve() }))
    life.start()
  }

  get events(): ReadableStream<SupervisorEvent> {
    return this.#events.stream
  }

  get store(): Store {
    return this.settings.store
  }

  units(options: UnitsOptions = {}): ReadableStream<UnitNotice> {
    const journal = journalOf(this.store)
    return journal.feed.open(
      options,
      this.#closed.then(() => journal.answered()),
    )
  }

  caughtUp({ signal }: AbortOptions = {}): Promise<void> {
    const { store, consumer, results, namespace } = this.settings
    return caughtUp(
      {
        store,
        consumer,
        pauses: this.#pauses,
        sendsResults: results !== undefined,
        namespaceOf: topic => namespace ?? topic,
        committed: (topic, partition) => this.#lease(topic, partition)?.committedTo,
        holds: (topic, partition) => this.#lease(topic, partition)?.commitMoves === false,
        flush: async () => {
          await Promise.all([...this.#leases].map(lease => lease.flush()))
        },
        progress: () => this.#nextProgress(),
        check: () => this.#check(),
      },
      signal,
    )
  }

  status(): SupervisorStatus {
    void this.#askOffsets()
    const { value } = this.#life.getSnapshot()
    const { duplicates, deadLettered, outputsSent, fencedAppends, drains, leasesLost } = this.counts
    return {
      state: typeof value === 'string' ? value : value.open,
      leases: this.#standings(),
      residents: this.residents.size,
      parked: this.#sorted().flatMap(lease => lease.parkedRuns.all),
      duplicates,
      deadLettered,
      outputsSent,
      fencedAppends,
      drains,
      leasesLost,
    }
  }

  close(): Promise<void> {
    this.#send('CLOSE')
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  // SupervisorWork

  async follow(): Promise<void> {
    for await (const lease of this.settings.consumer.leases) {
      this.#take(lease)
      this.#send('LEASED')
    }
  }

  async leave(): Promise<void> {
    // It revokes the leases, and waits until they are given back.
    const closing = this.settings.consumer.close().catch(() => {})
    await Promise.all([...this.#leases].map(lease => lease.ended))
    await closing
    await this.#children?.close()
  }

  fail(error: XMachinesError): void {
    this.#failure = error
    this.tell({ type: 'failed', error })
    this.progressed()
  }

  end(): void {
    this.#unmeasured?.()
    this.#pauses.end()
    this.residents.end()
    if (this.#writeTimer !== undefined) this.settings.environment.clearTimeout(this.#writeTimer)
    this.#events.finish()
    this.progressed()
  }

  // LeaseHome

  writeSoon(outbox: Outbox): void {
    this.#toWrite.add(outbox)
    this.#writeTimer ??= this.settings.environment.setTimeout(() => {
      this.#writeTimer = undefined
      const due = [...this.#toWrite]
      this.#toWrite.clear()
      for (const each of due) each.write()
    }, writeDelay)
  }

  tell(happening: Happening): void {
    this.#events.tell(happening)
  }

  progressed(): void {
    const progress = this.#progress
    this.#progress = undefined
    progress?.resolve()
  }

  /** Of the machines that it was given, those that are no versions of its runs' are their children's. */
  #attendChildren(): HostKeeper | undefined {
    const { environment, store, programs, namespace, consumer, residents, idle, inspect, telemetry } = this.settings
    const wards = childWards(programs, namespace === undefined ? consumer.topics : [namespace])
    if (wards.length === 0) return undefined
    const keeper = new HostKeeper({ store, wards, residents, idle, inspect, telemetry }, environment)
    const listen = async (): Promise<void> => {
      for await (const event of keeper.events)
        if (event.type === 'failed') this.tell({ type: 'child-failed', run: event.run, error: event.error })
    }
    void listen()
    return keeper
  }

  #send(type: 'LEASED' | 'CLOSE'): void {
    if (this.#life.getSnapshot().status === 'active') this.#life.send({ type })
  }

  get leaseCount(): number {
    return this.#leases.size
  }

  #take(broker: PartitionLease): void {
    const lease = new LeaseLife(broker, this)
    this.#leases.add(lease)
    void lease.ended.then(() => {
      this.#leases.delete(lease)
      this.progressed()
    })
    lease.start()
  }

  #lease(topic: string, partition: number): LeaseLife | undefined {
    for (const lease of this.#leases) if (lease.topic === topic && lease.partition === partition) return lease
    return undefined
  }

  #nextProgress(): Promise<void> {
    if (this.#progress === undefined) {
      let resolve!: () => void
      const promise = new Promise<void>(settle => (resolve = settle))
      this.#progress = { promise, resolve }
    }
    return this.#progress.promise
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure
    for (const { error } of this.#leases) if (error !== undefined) throw error
    if (this.#life.getSnapshot().status !== 'active')
      throw new XMachinesError('SUPERVISOR_STOPPED', 'The supervisor is closed. Start another one to go on.')
  }

  #sorted(): readonly LeaseLife[] {
    return [...this.#leases].sort((a, b) =>
      a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1,
    )
  }

  #standings(): readonly LeaseStatus[] {
    return this.#sorted().map(lease => lease.status(this.#offsets))
  }

  #askOffsets(): Promise<void> {
    const leases = [...this.#leases]
    return this.#offsets.ask(new Set(leases.filter(lease => lease.committedTo === undefined).map(({ topic }) => topic)))
  }

  async #measure(): Promise<readonly MeasuredLease[]> {
    await this.#pauses.wait(askTimeout, this.#askOffsets())
    const { group } = this.settings.consumer
    return this.#standings().map(
      ({ topic, partition, lag, fetchLag, backlog, oldestAge = 0, timeLag = 0, paused }) => ({
        topic,
        partition,
        group,
        lag,
        fetchLag,
        backlog,
        oldestAge,
        timeLag,
        paused,
      }),
    )
  }
}
