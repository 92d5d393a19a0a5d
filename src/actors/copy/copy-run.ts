import { batchesOf } from '../batch-stream.ts'
import type {
  AppendItem,
  AppendOutcome,
  Beside,
  BesideChange,
  LeaseRow,
  MachineRecord,
  RunHead,
  Store,
} from '../contracts/store.ts'
import type { NewUnit, Unit } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { plainUnit } from '../history/plain-unit.ts'
import { canonicalJson } from '../identity/index.ts'
import type { AppendQueue } from './append-queue.ts'
import { besideDifference, inboxDifference } from './beside-difference.ts'
import { weightOf } from './weight.ts'

/** Of one append item: so many units, or fewer long ones. */
const chunk = 512
const chunkWeight = 1024 * 1024

/** Between which stores a run is copied, and how. */
export interface RunCopyPlace {
  readonly from: Store
  readonly to: Store
  readonly queue: AppendQueue
  /** Claims the partition of a run that is pinned in the source. */
  lease(): Promise<LeaseRow | undefined>
  /** Whether its effects stay shown only, because the source still runs it. */
  readonly held: boolean
  /** Whether the target is known to have a history of the source. @default no: the last unit that it has is compared */
  isCompared?(target: RunHead): boolean
  readonly signal: AbortSignal | undefined
  machine(oid: string): Promise<MachineRecord>
}

/** Copies what the target has not got of a run. */
export class RunCopy {
  readonly #place: RunCopyPlace
  readonly #source: RunHead
  readonly #target: RunHead | undefined
  #expected: AppendItem['expected']
  #sent = 0
  /** Units that are appended, the creation of a fork included. */
  units = 0
  /** Whether anything was written. */
  changed = false
  error: XMachinesError | undefined
  /** The revision of the run in the target, once all that was written is settled. */
  revision: number | undefined

  /** @param source where the run stands in the source @param target and in the target, if it is there */
  constructor(place: RunCopyPlace, source: RunHead, target: RunHead | undefined) {
    this.#place = place
    this.#source = source
    this.#target = target
    this.#expected = target === undefined ? null : { seq: target.seq, revision: target.revision }
    this.revision = target?.revision
  }

  /** Hands all that is to be written to the queue. @throws IMPORT_DIFFERS: the target has another history */
  async run(): Promise<void> {
    await this.#compare()
    if (this.#isLive) return
    let units: NewUnit[] = this.#beginning()
    let machine = this.#target === undefined ? await this.#firstMachine() : undefined
    let weight = 0
    for await (const batch of this.#missing()) {
      for (const unit of batch) {
        const oid = unit.machine ?? unit.creation?.machine
        // An item brings one machine, so each has an item that begins with it.
        if (units.length >= chunk || weight >= chunkWeight || (oid !== undefined && units.length > 0)) {
          await this.#append({ units, ...(machine && { machine }), due: null, beside: this.#passing(units) })
          units = []
          weight = 0
          machine = undefined
        }
        if (oid !== undefined) machine = await this.#place.machine(oid)
        const plain = plainUnit(unit)
        weight += weightOf(plain)
        units.push(plain)
      }
    }
    await this.#end(units, machine)
    await this.#copyInbox()
    await this.#copySnapshot()
  }

  /** The target must stand at or before the source, in the same history. */
  async #compare(): Promise<void> {
    const target = this.#target
    if (target === undefined) return
    const { run, seq } = this.#source
    if (target.seq > seq)
      throw this.#differs(seq + 1, `the target has it up to unit ${target.seq}, the source up to ${seq}`)
    // To know an id a server's store reads the run from its first unit.
    if (target.seq < firstOwn(this.#source) || this.#place.isCompared?.(target)) return
    const [there, here] = await Promise.all([
      idAt(this.#place.from, run, target.seq),
      idAt(this.#place.to, run, target.seq),
    ])
    if (there !== here)
      throw this.#differs(target.seq, `unit ${target.seq} is ${here} in the target, and ${there} in the source`)
  }

  /**
   * Whether the target, which has all units, runs it by itself: it was moved or let go there, or it is the source under another
   * name. To hold it would stop its timers and effects, with nobody to know.
   */
  get #isLive(): boolean {
    return this.#place.held && this.#target?.beside.held === false && this.#target.seq === this.#source.seq
  }

  /** The creation of a fork is no unit of its history. */
  #beginning(): NewUnit[] {
    const { fork } = this.#source
    return this.#target === undefined && fork !== undefined ? [fork] : []
  }

  async #firstMachine(): Promise<MachineRecord | undefined> {
    const creation = this.#source.fork?.creation
    return creation && this.#place.machine(creation.machine)
  }

  async *#missing(): AsyncGenerator<readonly Unit[], void, void> {
    const { run, seq } = this.#source
    const from = this.#target === undefined ? firstOwn(this.#source) : this.#target.seq + 1
    const { from: store, signal } = this.#place
    if (from <= seq) yield* batchesOf(store.read(run, { from, to: seq, ids: false, signal }))
  }

  /** Until all is there nothing of it begins. */
  #passing(units: readonly NewUnit[]): BesideChange {
    return { held: true, process: null, ...this.#entering(units) }
  }

  /** What of the units is still to be sent. */
  #entering(units: readonly NewUnit[]): BesideChange {
    const { outbox, mailing } = this.#source.beside
    const seqs = new Set(units.map(({ seq }) => seq))
    const parent = this.#expected === null ? this.#source.beside.parent : null
    return {
      outbox: outbox.filter(seq => seqs.has(seq)),
      mailing: mailing.filter(seq => seqs.has(seq)),
      ...(parent && { parent }),
    }
  }

  async #end(units: readonly NewUnit[], machine: MachineRecord | undefined): Promise<void> {
    const { status, value, beside } = this.#source
    const wanted = this.#wanted(beside)
    if (units.length + this.#sent === 0 && this.#isThere(wanted)) return
    await this.#append({
      units,
      ...(machine && { machine }),
      status,
      ...(value === undefined ? {} : { value }),
      due: this.#due,
      beside: {
        ...this.#entering(units),
        ...besideDifference(this.#target?.beside, wanted),
        taken: this.#mail.removed,
      },
    })
  }

  get #due(): number | null {
    return this.#place.held ? null : this.#source.due
  }

  #wanted(beside: Beside): Beside {
    return this.#place.held ? { ...beside, held: true, process: null, owners: {} } : beside
  }

  /** Whether the target keeps all of it already. */
  #isThere(wanted: Beside): boolean {
    const target = this.#target!
    const { status, value } = this.#source
    return sameText([target.status, target.value, target.due, target.beside], [status, value, this.#due, wanted])
  }

  async #copyInbox(): Promise<void> {
    const { run, status } = this.#source
    const { added } = this.#mail
    if (status !== 'active' || added.length === 0) return
    const { queue, to } = this.#place
    await queue.flush()
    await to.deliver(added)
    const head = await to.head(run)
    if (head === undefined || this.error !== undefined) return
    this.#expected = { seq: head.seq, revision: head.revision }
    // Mail makes a run due at once.
    await this.#append({ units: [], due: this.#due })
  }

  get #mail(): ReturnType<typeof inboxDifference> {
    return inboxDifference(this.#target?.beside.inbox ?? [], this.#source.beside.inbox)
  }

  async #copySnapshot(): Promise<void> {
    const { from, to, signal } = this.#place
    if (this.#sent === 0) return
    const snapshot = await from.loadSnapshot(this.#source.run, { signal })
    if (snapshot === undefined || snapshot.seq <= (this.#target?.seq ?? -1)) return
    await this.#place.queue.flush()
    await to.saveSnapshot(this.#source.run, snapshot)
  }

  async #append(rest: Omit<AppendItem, 'run' | 'expected'>): Promise<void> {
    const expected = this.#expected
    const { run } = this.#source
    const lease = await this.#place.lease()
    this.#sent += rest.units.length
    this.changed = true
    const seq = rest.units.at(-1)?.seq ?? expected!.seq
    this.#expected = { seq, revision: (expected?.revision ?? 0) + 1 }
    await this.#place.queue.add({ run, expected, ...rest, lease }, outcome => {
      if (outcome.status === 'appended') {
        this.units += rest.units.length
        this.revision = outcome.revision
      } else this.error ??= notTaken(run, outcome)
    })
  }

  #differs(seq: number, why: string): XMachinesError {
    const { run } = this.#source
    return new XMachinesError('IMPORT_DIFFERS', `Run ${run} is not the target's: ${why}.`, { details: { run, seq } })
  }
}

function notTaken(run: string, outcome: AppendOutcome): XMachinesError {
  const why =
    outcome.status === 'pinned'
      ? `its key is pinned to run ${outcome.run}`
      : `somebody else writes to it (${outcome.status})`
  return new XMachinesError('IMPORT_DIFFERS', `Run ${run} was not copied: ${why}.`, { details: { run, ...outcome } })
}

function firstOwn({ fork }: RunHead): number {
  return fork === undefined ? 0 : fork.seq + 1
}

/** The id of a unit of a run that is there. */
export async function idAt(store: Store, run: string, seq: number): Promise<string | undefined> {
  for await (const { id } of store.read(run, { from: seq, to: seq })) return id
  return undefined
}

function sameText(a: unknown, b: unknown): boolean {
  return written(a) === written(b)
}

function written(value: unknown): string {
  const json = JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}` : part))
  return canonicalJson(JSON.parse(json))
}
