import type { AppendItem, AppendOutcome, BesideChange, MachineRecord, Store } from '../../actors/contracts/store.ts'
import type { Creation, NewUnit, ObjectFormat, Unit } from '../../actors/contracts/unit.ts'
import { machineId, runId, unitChain } from '../../actors/identity/index.ts'
import { check, equal } from '../check.ts'

/** What may be said of a {@link TestRun}. */
export interface TestRunOptions {
  /** @default 'tests' */
  readonly namespace?: string
  readonly key?: string
  /** Of an unkeyed run. @default the next of the process */
  readonly nonce?: string
  readonly machine?: MachineRecord
  readonly input?: Creation['input']
  readonly time?: Creation['time']
  readonly fork?: { readonly of: TestRun; readonly at: number }
  /** Time of the creation, ms. @default 1000, or that of the unit that is forked at */
  readonly at?: number
}

/** The rest of an item, beside its run, units and expectation. */
export type ItemRest = Partial<Pick<AppendItem, 'lease' | 'beside' | 'status' | 'value' | 'due' | 'machine'>>

let nonces = 0

/** A machine version with a true id. */
export function testMachine(format: ObjectFormat, version = '1'): MachineRecord {
  const content = { id: 'light', version, definition: { id: 'light', initial: 'red', states: [['red', {}]] } }
  return deepFreeze({ oid: machineId(format, content), ...content })
}

/** What a run would write, without a machine: it makes true ids and well-formed items, and follows the outcomes. */
export class TestRun {
  readonly id: string
  readonly format: ObjectFormat
  readonly creation: Creation
  readonly machine: MachineRecord
  /** The creation's unit. */
  readonly beginning: NewUnit
  readonly parent: { readonly of: TestRun; readonly at: number } | undefined
  /** The own units that were appended, in order: of a fork those after the shared ones. */
  readonly appended: { readonly unit: NewUnit; readonly epoch: number | undefined }[] = []
  seq = -1
  revision = 0

  constructor(format: ObjectFormat, options: TestRunOptions = {}) {
    const { namespace = 'tests', key, fork, input, time = 'arrival', at = 1000 + (fork?.at ?? 0) } = options
    this.format = format
    this.parent = fork
    this.machine = options.machine ?? fork?.of.machine ?? testMachine(format)
    this.creation = deepFreeze({
      machine: this.machine.oid,
      namespace,
      ...(key === undefined ? { nonce: options.nonce ?? `nonce ${nonces++}` } : { key }),
      ...(input === undefined ? {} : { input }),
      ...(fork === undefined ? {} : { fork: { run: fork.of.id, at: fork.at, parent: fork.of.history()[fork.at]!.id } }),
      time,
    })
    this.id = runId(format, this.creation)
    this.beginning = deepFreeze({ ...plainUnit(fork?.at ?? 0, at), events: [], outputs: [], creation: this.creation })
  }

  /** The item that creates the run. @param more units after the creation */
  creates(rest: ItemRest = {}, more = 0): AppendItem {
    const first = this.beginning.seq + 1
    const units = [this.beginning, ...Array.from({ length: more }, (_, index) => testUnit(first + index))]
    return { run: this.id, expected: null, units, machine: this.machine, ...rest }
  }

  /** The item that goes on where the run stands. @param units how many, or which */
  goesOn(units: number | readonly NewUnit[] = 1, rest: ItemRest = {}): AppendItem {
    const made = typeof units === 'number' ? Array.from({ length: units }, (_, n) => testUnit(this.seq + 1 + n)) : units
    return { run: this.id, expected: { seq: this.seq, revision: this.revision }, units: made, ...rest }
  }

  /** Follows an outcome of one of its items: it must be `appended`. */
  follow(item: AppendItem, outcome: AppendOutcome | undefined): void {
    check(outcome?.status === 'appended', `an item of run ${this.id} is appended, not ${JSON.stringify(outcome)}`)
    this.seq = outcome.seq
    this.revision = outcome.revision
    for (const unit of item.units) {
      if (unit !== this.beginning || this.parent === undefined)
        this.appended.push({ unit, epoch: unit.epoch === undefined ? item.lease?.epoch : (unit.epoch ?? undefined) })
    }
  }

  /** Appends one item, and follows it. */
  async append(store: Store, item: AppendItem): Promise<void> {
    const [outcome] = await store.append([item])
    this.follow(item, outcome)
  }

  /** Creates the run in `store`. */
  async create(store: Store, rest: ItemRest = {}, more = 0): Promise<this> {
    await this.append(store, this.creates(rest, more))
    return this
  }

  /** Appends the next units. */
  async goOn(store: Store, units: number | readonly NewUnit[] = 1, rest: ItemRest = {}): Promise<this> {
    await this.append(store, this.goesOn(units, rest))
    return this
  }

  /** Changes what is kept beside, without a unit. */
  async change(store: Store, beside: BesideChange): Promise<this> {
    return this.goOn(store, 0, { beside })
  }

  /** The history that a store must show: of a fork, the shared units first. Ids from scratch. */
  history(): Shown[] {
    const shared = this.parent === undefined ? [] : this.parent.of.history().slice(0, this.parent.at + 1)
    const chain = unitChain(this.format, { id: this.id, machine: this.machine.oid, created: this.beginning.at })
    const own = this.appended.map(({ unit, epoch }) => {
      const id = unit === this.beginning ? this.id : chain.next(unit)
      const { epoch: _, ...content } = unit
      return { ...content, run: this.id, id, ...(epoch === undefined ? {} : { epoch }) }
    })
    return [...shared, ...own]
  }
}

/** A unit as plain data. */
export type Shown = Omit<NewUnit, 'epoch'> & { readonly run: string; readonly id: string; readonly epoch?: number }

/** A unit whose content tells its seq. */
export function testUnit(seq: number, more: Partial<NewUnit> = {}): NewUnit {
  return deepFreeze({
    ...plainUnit(seq, 1000 + seq),
    events: [{ type: 'NEXT', n: seq }],
    outputs: [{ type: 'DONE', n: seq }],
    ...more,
  })
}

function plainUnit(seq: number, at: number): Pick<NewUnit, 'seq' | 'at' | 'origin'> {
  return { seq, at, origin: { kind: 'outside' } }
}

/** Throws unless the store shows this history of the run, or the part of it that the options name. */
export async function showsHistory(
  store: Store,
  run: TestRun,
  range: { from?: number; to?: number } = {},
): Promise<void> {
  const units = await collect(store.read(run.id, range))
  const wanted = run.history().slice(range.from ?? 0, (range.to ?? Number.MAX_SAFE_INTEGER) + 1)
  equal(units.map(shown), wanted, `the history of run ${run.id}`)
}

/** A unit that was read, as plain data: its id may be a getter. */
export function shown(unit: Unit): Record<string, unknown> {
  const { run, id, seq, at, events, origin, outputs, mail, sources, requestId, trace, attempts } = unit
  const { state, creation, machine, epoch } = unit
  const content = { run, id, seq, at, events, origin, outputs, mail, sources, requestId, trace, attempts }
  return { ...content, state, creation, machine, epoch }
}

/** Everything that a stream gives. */
export async function collect<T>(stream: ReadableStream<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of stream) all.push(item)
  return all
}

/** Freezes JSON, all of it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
