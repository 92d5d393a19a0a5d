import { batchesOf } from '../batch-stream.ts'
import type { AppendItem, Beside, ParentLink, Refusal, RunStatus, Store } from '../contracts/store.ts'
import type { SourcePosition } from '../contracts/unit.ts'
import { XMachinesError } from '../errors.ts'
import { encodeState, stateFormat } from '../machine/codec.ts'
import type { Received } from '../machine/effect.ts'
import type { Program } from '../machine/program.ts'
import type { ActorTable, RunState } from '../machine/state.ts'
import type { ActorSystem } from '../machine/system.ts'
import type { Aftermath } from './aftermath.ts'
import { type AdoptedUnit, isKept, type Pending, takesPosition } from './command.ts'
import { HistoryFold } from './history.ts'
import { Lineage } from './lineage.ts'
import type { Mailroom } from './mailroom.ts'
import type { BesideDraft, RunOutbox } from './outbox.ts'
import type { Leased, ResidentStart } from './resident-start.ts'

/** Units between two snapshots of a run that stays in memory. */
const snapshotEvery = 10_000

/** Where a run stands in its store: what of it is durable, how the next append says so, and what others appended. */
export class Durable {
  readonly run: string
  readonly store: Store
  readonly system: ActorSystem
  readonly #program: Program
  readonly #lease: Leased | undefined
  readonly #outbox: RunOutbox | undefined
  #seq: number
  #at: number
  /** `undefined`: the creation is not durable. */
  #revision: number | undefined
  #status: RunStatus = 'active'
  /** `undefined`: the store is told with the next item. */
  #value: unknown
  #table: ActorTable
  #held: boolean
  /** Said with the creation. */
  readonly #parent: ParentLink | null
  /** The hold was lifted, which is still to be appended. */
  #released = false
  /** The item on its way says so. */
  #releasing = false
  #snapshotSeq = 0

  constructor(start: ResidentStart) {
    this.run = start.run
    this.store = start.store
    this.system = start.system
    this.#program = start.program
    this.#lease = start.lease
    this.#outbox = start.outbox
    this.#seq = start.seq
    this.#at = start.at
    this.#revision = start.revision
    this.#table = start.state.table
    this.#held = start.held
    this.#parent = start.parent
    if (start.first === undefined) this.#status = start.state.snapshot.status
    this.system.visible = start.state
  }

  /** Units so far. */
  get seq(): number {
    return this.#seq
  }
  /** Time of the last unit, ms. */
  get at(): number {
    return this.#at
  }
  get state(): RunState {
    return this.system.visible!
  }
  /** Whether the creation is durable. */
  get created(): boolean {
    return this.#revision !== undefined
  }
  /** The run's revision as this process knows it; `undefined`: it is not created. */
  get revision(): number | undefined {
    return this.#revision
  }
  /** Whether effects are shown instead of started. */
  get held(): boolean {
    return this.#held
  }

  /** Lifts the hold of a fork or an import, with the next item. */
  release(): void {
    this.#held = false
    this.#released = true
  }

  /** What is to be appended for these, or nothing. */
  item(slice: readonly Pending[], aftermath: Aftermath, mailroom: Mailroom): AppendItem | undefined {
    const [only] = slice
    const units =
      slice.length === 1 && only!.unit !== undefined ? [only!.unit] : slice.flatMap(({ unit }) => unit ?? [])
    let refused: Refusal[] | undefined
    let sources: SourcePosition[] | undefined
    for (const pending of slice) {
      if (pending.unit !== undefined) continue
      if (isKept(pending.refusal)) (refused ??= []).push(pending.refusal)
      else if (takesPosition(pending)) (sources ??= []).push(pending.command.source!)
    }
    const outbox = this.#outbox
    const { wanting } = aftermath
    const beside: BesideDraft = {}
    const mail = mailroom.enter(slice, this.#held, beside)
    const speaks = this.#released || outbox?.dirty === true || wanting || beside.taken !== undefined || mailroom.dirty
    if (!speaks && units.length === 0 && refused === undefined && sources === undefined) return undefined
    const state = slice.length > 0 ? slice[slice.length - 1]!.state : this.state
    const { status, value } = state.snapshot
    if (refused !== undefined) beside.refused = refused
    if (sources !== undefined) beside.sources = sources
    const item: { -readonly [K in keyof AppendItem]: AppendItem[K] } = {
      run: this.run,
      expected: this.#revision === undefined ? null : { seq: this.#seq, revision: this.#revision },
      units,
      lease: this.#lease,
    }
    if (value !== this.#value) item.value = value as NonNullable<AppendItem['value']>
    if (this.#revision === undefined) item.machine = this.#program.record
    if (status !== this.#status) item.status = status
    if (this.#released) beside.held = this.#held
    this.#releasing = this.#released
    if (this.#held && this.#revision === undefined) beside.held = true
    if (this.#parent !== null && this.#revision === undefined) beside.parent = this.#parent
    // The results of a held run are shown, not sent.
    const calls = outbox?.enter(this.#held ? [] : units, refused?.length ?? 0, beside) === true
    if (
      calls ||
      mail !== 'nothing' ||
      wanting ||
      state.table !== this.#table ||
      this.#revision === undefined ||
      beside.held === false
    ) {
      aftermath.declare(state, item, beside)
      if (outbox?.due !== undefined) item.due = Math.min(outbox.due, item.due ?? Number.POSITIVE_INFINITY)
      // Mail is due at once, whichever way it goes.
      if (mail === 'due') item.due = 0
    }
    if (says(beside)) item.beside = beside
    return item
  }

  /** The hold was lifted, and the store does not know yet. */
  get released(): boolean {
    return this.#released
  }

  /** The last item is durable. */
  written(revision: number): void {
    if (this.#releasing) this.#released = false
    this.exists(revision)
  }

  /** The run is in the store, with this revision. */
  exists(revision: number): void {
    this.#revision = revision
  }

  /** These are durable, or need not be. Gives what is new in the history. */
  adopt(settled: readonly Pending[]): readonly AdoptedUnit[] {
    const adopted: readonly AdoptedUnit[] = settled.every(hasUnit) ? settled : settled.filter(hasUnit)
    const last = adopted[adopted.length - 1]
    if (last === undefined) return adopted
    this.#seq = last.unit.seq
    this.#at = last.unit.at
    this.#show(last.state)
    return adopted
  }

  /**
   * Somebody else appended first: goes to where the run stands now.
   * @param creation ours, which found the run there: the same one, made by somebody else
   */
  async takeOver(creation: Pending | undefined): Promise<{
    readonly adopted: readonly AdoptedUnit[]
    /** What their steps sent to callbacks: whoever took them did the rest. */
    readonly received: readonly Received[]
    readonly kept: Beside
  }> {
    const { run, store, system } = this
    const head = await store.head(run)
    if (head === undefined)
      throw new XMachinesError('RUN_UNKNOWN', `The store ${store.location} has lost run ${run}.`, { details: { run } })
    if (head.machine !== this.#program.record.oid)
      throw new XMachinesError(
        'MACHINE_MISMATCH',
        `Run ${run} went over to machine ${head.machine}. Open it again with that machine.`,
        { details: { run } },
      )
    const program = this.#program
    const from = { program, system, state: this.state, seq: this.#seq, at: this.#at }
    const fold = new HistoryFold(new Lineage([program]), { from, compares: true })
    const adopted: AdoptedUnit[] = []
    const received: Received[] = []
    if (creation?.unit !== undefined) adopted.push({ unit: creation.unit, state: creation.state })
    if (head.seq > this.#seq) {
      for await (const batch of batchesOf(store.read(run, { from: this.#seq, to: head.seq }))) {
        for (const unit of batch) {
          if (unit.seq <= this.#seq) {
            fold.follow(unit)
            continue
          }
          for (const effect of fold.apply(unit)?.effects ?? []) if (effect.kind === 'receive') received.push(effect)
          adopted.push({ unit, state: fold.place!.state })
        }
      }
    }
    const place = fold.place!
    this.exists(head.revision)
    this.#seq = place.seq
    this.#at = head.at
    this.#show(place.state)
    return { adopted, received, kept: head.beside }
  }

  #show(state: RunState): void {
    this.system.visible = state
    this.#status = state.snapshot.status
    this.#value = state.snapshot.value
    this.#table = state.table
  }

  // Snapshots: a cache that spares replays. Losing one costs a replay, so a failure is nobody's concern.

  /** Keeps one if there was none for long. */
  snapshotNowAndThen(): void {
    if (this.#seq - this.#snapshotSeq >= snapshotEvery) void this.saveSnapshot()
  }

  /** Keeps one, unless nothing is new since the last. */
  async saveSnapshot(): Promise<void> {
    if (this.#seq <= this.#snapshotSeq) return
    this.#snapshotSeq = this.#seq
    const { system, state } = this
    const machine = this.#program.record.oid
    await this.store
      .saveSnapshot(this.run, { seq: this.#seq, machine, format: stateFormat, state: encodeState(system, state) })
      .catch(() => {})
  }
}

function hasUnit(pending: Pending): pending is Pending & AdoptedUnit {
  return pending.unit !== undefined
}

/** Whether a change says anything. */
function says(beside: BesideDraft): boolean {
  for (const _ in beside) return true
  return false
}
