import type { BrokerRecord, PartitionLease } from '../contracts/broker.ts'
import type { Parked, Refusal } from '../contracts/store.ts'
import type { SentSpawn } from '../contracts/unit.ts'
import { asError, XMachinesError } from '../errors.ts'
import { Attention } from './attention.ts'
import { Pauses } from './backoff.ts'
import { Claims } from './claims.ts'
import { Epoch } from './epoch.ts'
import type { Happening, LeaseHappening } from './events.ts'
import { Gate } from './gate.ts'
import type { GroupOffsets } from './group-offsets.ts'
import type { Lane } from './lane.ts'
import type { LaneHome, LaneNames } from './lane-home.ts'
import { Lanes } from './lanes.ts'
import { leaseOver, leaseStopped } from './lease-errors.ts'
import type { LeaseHome } from './lease-home.ts'
import { LeaseRecords, type LeaseRecordsHome } from './lease-records.ts'
import { LeaseSending, type LeaseSendingHome } from './lease-sending.ts'
import { standingOf } from './lease-standing.ts'
import { type LeaseWork, leaseMachine, startLife } from './lifecycle.ts'
import type { Settings } from './options.ts'
import { ParkedRuns } from './parked-runs.ts'
import type { Residents } from './residents.ts'
import { Stall } from './stall.ts'
import type { LeaseStatus } from './status.ts'
import { Stopwatch } from './stopwatch.ts'
import { Unattended } from './unattended.ts'

/** The life of one lease: from claim to claim its records flow, until it is given back or gone. */
export class LeaseLife implements LeaseWork, LaneHome, LeaseRecordsHome, LeaseSendingHome {
  readonly settings: Settings
  readonly namespace: string
  readonly source: string
  readonly residents: Residents
  readonly pauses: Pauses
  readonly lanes: Lanes
  readonly records: LeaseRecords
  /** Resolves when it is given back, or gone. */
  readonly ended: Promise<void>
  readonly parkedRuns: ParkedRuns
  /** Fires when nothing more may be decided: where a refusal leaves no trace, nothing may overtake it. */
  readonly stopSignal: AbortSignal | undefined
  /** Runs from when the group wants it back to when it has nothing in hand, or the time for it is over. */
  draining: Stopwatch | undefined
  halted = false
  epoch!: Epoch
  readonly #home: LeaseHome
  readonly #broker: PartitionLease
  readonly #life
  readonly #claims: Claims
  readonly #stopping = new AbortController()
  readonly #gate = new Gate()
  #attention: Attention | undefined
  #released = false
  #error: XMachinesError | undefined
  readonly #stall: Stall
  readonly #sending: LeaseSending
  readonly #unattended: Unattended

  constructor(broker: PartitionLease, home: LeaseHome) {
    const { settings } = home
    this.#broker = broker
    this.#home = home
    this.settings = settings
    this.residents = home.residents
    this.namespace = settings.namespace ?? broker.topic
    const { consumer } = settings
    this.source =
      consumer.sourceId?.(broker.topic, broker.partition) ?? `${consumer.clusterId}/${broker.topic}/${broker.partition}`
    this.pauses = new Pauses(settings.environment)
    this.stopSignal = home.deadLetters === undefined ? this.#stopping.signal : undefined
    this.lanes = new Lanes(this)
    this.records = new LeaseRecords(broker, this)
    this.parkedRuns = new ParkedRuns(settings.maxParked)
    this.#stall = new Stall(this.pauses, settings.backoff)
    this.#sending = new LeaseSending(broker, home, this)
    this.#unattended = new Unattended(settings.store, happening => this.tell(happening))
    this.#claims = new Claims(settings, { namespace: this.namespace, partition: broker.partition })
    const { backoff, drain, environment } = settings
    const life = startLife(leaseMachine, { work: this, backoff, drain }, environment)
    this.#life = life
    this.ended = new Promise(resolve => life.subscribe({ complete: () => resolve() }))
  }

  get topic(): string {
    return this.#broker.topic
  }
  get partition(): number {
    return this.#broker.partition
  }
  get leaseCount(): number {
    return this.#home.leaseCount
  }
  /** What is known to be committed. */
  get committedTo(): number | undefined {
    return this.records.committedTo
  }
  /** Whether the commit may move without a word of this supervisor. */
  get commitMoves(): boolean {
    return this.#broker.committed !== undefined
  }
  /** Why it stands stopped. */
  get error(): XMachinesError | undefined {
    return this.#life.getSnapshot().matches('stopped') ? this.#error : undefined
  }

  start(): void {
    const { revoked, signal } = this.#broker
    this.#life.start()
    on(signal, () => this.#lost())
    on(revoked, () => this.revoke())
  }

  /** The group wants the partition back, or the supervisor closes. */
  revoke(): void {
    if (this.#life.getSnapshot().status !== 'active') return
    this.tell({ type: 'revoked' })
    this.#send('REVOKED')
  }

  /** Resolves when all that its runs have to send now is sent. */
  async flush(): Promise<void> {
    await this.epoch?.flush()
  }

  status(offsets: GroupOffsets): LeaseStatus {
    return standingOf(this, this.#life.getSnapshot().value, offsets)
  }

  // LeaseWork: what its life consists of.

  async claim(): Promise<void> {
    const { namespace, partition } = this
    try {
      const epoch = await this.#claims.claim()
      this.epoch = new Epoch({ namespace, partition, epoch }, this.#sending)
    } catch (thrown) {
      const error = asError(thrown, 'STORE_UNAVAILABLE')
      if (error.retryable) this.tell({ type: 'stalled', error })
      else this.#error ??= leaseStopped(this, error)
      throw error
    }
  }

  begin(): void {
    const { epoch, settings } = this
    this.tell({ type: 'claimed', epoch: epoch.lease.epoch })
    this.#gate.open()
    this.#attention = new Attention(
      { lease: { namespace: this.namespace, partition: this.partition } },
      {
        store: settings.store,
        environment: settings.environment,
        awake: this.lanes,
        notice: run => this.lanes.notice(run),
        wake: run => this.#wake(run),
        pause: error => {
          this.stalled(error)
          return this.ready()
        },
        stop: error => this.stop(error),
      },
    )
    this.#attention.look()
    this.records.read()
  }

  suspend(): void {
    this.#attention?.end()
    this.tell({ type: 'fenced', error: this.#error! })
    this.epoch.end(this.#error!)
  }

  async mayClaim(): Promise<boolean> {
    // It commits nothing new. Whom the broker does not assign the partition any more learns so.
    await this.#broker.commit(this.records.window.settledTo ?? 0)
    const hindrance = await this.#claims.hindrance()
    if (hindrance === undefined) return true
    this.#error = leaseStopped(this, hindrance)
    return false
  }

  stand(): void {
    this.#halt()
    this.lanes.halt()
    this.tell({ type: 'stopped', error: this.#error! })
    this.progressed()
  }

  async drain(): Promise<void> {
    this.draining = new Stopwatch(this.settings.environment)
    this.draining.start()
    this.records.stop()
    await this.records.window.allSettled()
    await this.epoch.flush()
    await this.records.flush()
    this.#halt()
    await this.lanes.close()
    await this.records.flush()
  }

  async release(): Promise<void> {
    const { draining } = this
    draining?.stop()
    const drainTime = draining?.time ?? 0
    const unsettled = this.records.window.open
    if (draining !== undefined) this.#home.counts.drained(this, drainTime)
    this.#halt()
    this.#end(leaseOver(this, 'was given back'))
    await this.#claims.release()
    // Taken away meanwhile, it has ended so.
    if (this.#broker.signal.aborted) return
    this.#released = true
    await this.#broker.release()
    this.tell({ type: 'released', drainTime, unsettled })
    this.progressed()
  }

  lose(): void {
    const { reason } = this.#broker.signal
    const error = XMachinesError.is(reason) ? reason : leaseOver(this, 'was taken away')
    this.#halt()
    this.#end(error)
    this.#home.counts.lost(this)
    this.tell({ type: 'lost', error })
    this.progressed()
  }

  // LaneHome: what its lanes tell.

  async ready(): Promise<boolean> {
    while (!this.halted) {
      if (this.#gate.waiting !== undefined) await this.#gate.waiting
      else if (this.#stall.waiting !== undefined) await this.#stall.waiting
      else return true
    }
    return false
  }

  duplicate(): void {
    this.#home.counts.duplicates++
  }

  stalled(error: XMachinesError): void {
    if (!this.halted && this.#stall.failed()) this.tell({ type: 'stalled', error })
  }

  recovered(): void {
    this.#stall.worked()
  }

  fenced(error: XMachinesError): void {
    if (this.halted || this.#gate.waiting !== undefined || this.#isPast(error)) return
    this.#gate.close()
    this.#error = error
    this.#send('FENCED')
    if (this.#life.getSnapshot().matches('unclaimed')) return
    // It drains, or stands: nothing of it can be settled any more.
    this.tell({ type: 'fenced', error })
    this.#halt()
    this.epoch.end(error)
    this.lanes.halt()
  }

  /** Told late, of a claim that is over: what met it goes on under the one that holds now. */
  #isPast({ details: { epoch } }: XMachinesError): boolean {
    return typeof epoch === 'number' && epoch < this.epoch.lease.epoch
  }

  stop(error: XMachinesError, record?: BrokerRecord): void {
    if (this.#stopping.signal.aborted) return
    this.#error = leaseStopped(this, error, record)
    this.#stopping.abort(this.#error)
    this.records.stop()
    this.#send('STOP')
    if (this.#life.getSnapshot().matches('draining')) this.#halt()
  }

  sendDeadLetter(refusal: Refusal): Promise<boolean> {
    return this.#sending.sendDeadLetter(refusal)
  }

  parked(run: string, key: string | undefined, parked: Parked): void {
    const { topic, partition } = this
    this.parkedRuns.add({ ...parked, run, key, topic, partition })
    this.#limitParked(parked.message)
  }

  unborn(key: string | undefined, error: XMachinesError): void {
    this.parkedRuns.addUnborn(key)
    this.#limitParked(error.message)
  }

  named(lane: Lane, run: string): void {
    this.lanes.name(lane, run)
    this.parkedRuns.remove(run, lane.key)
  }

  remove(lane: Lane): void {
    this.lanes.remove(lane)
  }

  wait(ms: number): Promise<void> {
    return this.pauses.wait(ms)
  }

  expect(due: number): void {
    this.#attention?.expect(due)
  }

  lookAgain(run: string): void {
    this.#attention?.lookAgain(run)
  }

  left(run: string): void {
    this.#attention?.left(run)
  }

  spawned(parent: LaneNames, sent: SentSpawn): void {
    this.#unattended.spawned(parent, sent)
  }

  tell(happening: LeaseHappening): void {
    this.#home.tell({ ...happening, topic: this.topic, partition: this.partition } as Happening)
  }

  // LeaseRecordsHome, LeaseSendingHome

  sendFailed(error: XMachinesError): void {
    this.stop(error)
    this.epoch?.end(error)
  }

  progressed(): void {
    this.#home.progressed()
  }

  #send(type: 'FENCED' | 'STOP' | 'REVOKED' | 'LOST'): void {
    if (this.#life.getSnapshot().status === 'active') this.#life.send({ type })
  }

  // Ends.

  #lost(): void {
    if (!this.#released) this.#send('LOST')
  }

  /** Nothing more is handed over or brought into memory. */
  #halt(): void {
    this.halted = true
    this.records.stop()
    this.#attention?.end()
    this.#gate.open()
  }

  /** Nothing of it is in memory any more. */
  #end(error: XMachinesError): void {
    this.records.end()
    this.pauses.end()
    this.epoch?.end(error)
    this.lanes.halt()
    this.#sending.end()
  }

  async #wake(run: string): Promise<void> {
    const head = await this.settings.store.head(run)
    if (head === undefined || this.halted) return
    await this.lanes.ofRun(head).wake()
    this.progressed()
  }

  #limitParked(last: string): void {
    const excess = this.parkedRuns.excess(last)
    if (excess !== undefined) this.stop(excess)
  }
}

function on(signal: AbortSignal, work: () => void): void {
  if (signal.aborted) work()
  else signal.addEventListener('abort', work, { once: true })
}
