import type { AppendItem, Beside, MachineRecord, RunHead, Store } from '../actors/contracts/store.ts'
import type { Creation, NewUnit, SourcePosition } from '../actors/contracts/unit.ts'
import type { AppendQueue } from '../actors/copy/append-queue.ts'
import type { XMachinesError } from '../actors/errors.ts'
import { runId, type UnitChain, unitChain } from '../actors/identity/index.ts'
import { copyJson } from '../actors/json/json-copy.ts'
import { checkBeside, checkCreation, checkUnit } from './import-line.ts'
import { differs, foreign, invalid, refused } from './import-refusals.ts'
import { type BesideLine, readPosition, type UnitLine, type WrittenPosition } from './unit-line.ts'

/** What became of a run that was imported. */
export interface ImportOutcome {
  readonly run: string
  readonly key: string | null
  readonly namespace: string
  /** Whether the store had it not. */
  readonly created: boolean
  /** Units that were appended. */
  readonly units: number
  readonly error?: XMachinesError
}

/** Units of one append item. */
const chunk = 512

/** What the import of a run leans on. */
export interface ImportTarget {
  readonly store: Store
  readonly queue: AppendQueue
  /** A machine of the export, or one that the store has. */
  machine(oid: string): Promise<MachineRecord | undefined>
  done(outcome: ImportOutcome): void
}

/**
 * One run of an import: compares ids as far as the store has the run, and appends the rest. The last units wait for the
 * line that ends the run, which tells its state: what was cut off before it can be imported again.
 */
export class RunImport {
  readonly run: string
  readonly #target: ImportTarget
  readonly #creation: Creation
  readonly #chain: UnitChain
  readonly #machine: MachineRecord
  /** The ids that the store has, from the first unit that the export has on. */
  readonly #known: AsyncIterator<string>
  #expected: AppendItem['expected']
  #head: RunHead | undefined
  #units: NewUnit[] = []
  #last: number
  #created = false
  #appended = 0
  #failed = false

  private constructor(
    target: ImportTarget,
    line: UnitLine,
    creation: Creation,
    machine: MachineRecord,
    head: RunHead | undefined,
  ) {
    const { store } = target
    this.run = line.run
    this.#target = target
    this.#creation = creation
    this.#machine = machine
    this.#head = head
    this.#last = line.seq
    this.#expected = head === undefined ? null : { seq: head.seq, revision: head.revision }
    this.#chain = unitChain(store.objectFormat, { id: line.run, machine: creation.machine, created: line.at })
    this.#known = head === undefined ? noIds() : idsOf(store, head, line.seq + 1)
    if (head === undefined) this.#units.push(unitOf(line, creation))
  }

  /** @throws IMPORT_INVALID, IMPORT_DIFFERS: nothing of the run is imported then */
  static async begin(target: ImportTarget, line: UnitLine): Promise<RunImport> {
    const { store, queue } = target
    const { creation } = line
    if (creation === undefined)
      throw invalid(line.run, line.seq, 'The export of the run does not begin with its creation')
    checkUnit(line)
    checkCreation(line, creation)
    if (runId(store.objectFormat, creation) !== line.run) throw foreign(line, store.objectFormat)
    if (creation.time !== 'arrival' && creation.time !== 'source')
      throw invalid(line.run, line.seq, 'It does not say how the run reads time')
    const machine = await target.machine(creation.machine)
    if (machine === undefined)
      throw invalid(line.run, line.seq, `Neither the export nor the store has machine ${creation.machine}`)
    if (creation.fork !== undefined || queue.has(line.run)) await queue.flush()
    const head = await store.head(line.run)
    if (head === undefined && creation.fork !== undefined) await checkParent(store, line.run, creation.fork)
    if (head?.seq === line.seq) await checkCreationTime(store, head, line)
    return new RunImport(target, line, creation, machine, head)
  }

  /** @throws as `begin`, and then takes no more */
  async unit(line: UnitLine): Promise<void> {
    if (this.#failed) return
    if (line.seq !== this.#last + 1) throw invalid(this.run, line.seq, `It follows unit ${this.#last}`)
    this.#last = line.seq
    checkUnit(line)
    const unit = unitOf(line, undefined)
    if (this.#chain.next(unit) !== line.id) throw foreign(line, this.#target.store.objectFormat)
    if (line.seq <= (this.#head?.seq ?? -1)) {
      const known = await this.#known.next()
      if (known.value !== line.id)
        throw differs(this.run, line.seq, `its unit ${line.seq} is ${known.value}, and the import has ${line.id}`)
      return
    }
    // An item brings one machine.
    const isFull = this.#units.length >= chunk || (unit.machine !== undefined && this.#units.length > 0)
    if (isFull) await this.#append({ due: null, beside: { held: true, process: null } })
    this.#units.push(unit)
  }

  /** The line that ends the run. */
  async end(line: BesideLine): Promise<void> {
    if (this.#failed) return
    this.#stopComparing()
    checkBeside(line, this.#last)
    if (this.#units.length === 0) return this.#done()
    const { status, value, sources, attempts, published, parked, parent, linked } = line.beside
    await this.#append(
      {
        due: null,
        status,
        ...(value === undefined ? {} : { value }),
        beside: {
          held: true,
          process: null,
          sources: Object.entries(sources).map(([id, position]) => positionIn(this.run, this.#last, { id, position })),
          attempts: attempts as Beside['attempts'],
          ...(published === null ? {} : { published }),
          parked,
          // An export of an earlier version has neither.
          ...(parent ? { parent } : {}),
          ...(linked === true ? { linked } : {}),
        },
      },
      () => this.#done(),
    )
  }

  /** Nothing more of the run is taken. */
  fail(error: XMachinesError): void {
    if (this.#failed) return
    this.#failed = true
    this.#stopComparing()
    this.#done(error)
  }

  #stopComparing(): void {
    this.#known.return?.().catch(() => {})
  }

  async #append(rest: Partial<AppendItem>, settled: () => void = () => {}): Promise<void> {
    const units = this.#units
    const expected = this.#expected
    const last = units[units.length - 1]!
    this.#units = []
    this.#expected = { seq: last.seq, revision: (expected?.revision ?? 0) + 1 }
    const migration = units[0]?.machine
    const machine = migration === undefined ? this.#machine : await this.#target.machine(migration)
    const item: AppendItem = {
      run: this.run,
      expected,
      units,
      ...(expected === null || migration !== undefined ? { machine: machine! } : {}),
      ...rest,
    }
    await this.#target.queue.add(item, outcome => {
      if (outcome.status !== 'appended') return this.fail(refused(this.run, outcome))
      if (expected === null) this.#created = true
      this.#appended += expected === null ? units.length - 1 : units.length
      settled()
    })
  }

  #done(error?: XMachinesError): void {
    const { key = null, namespace } = this.#creation
    this.#target.done({
      run: this.run,
      key,
      namespace,
      created: this.#created,
      units: this.#appended,
      ...(error === undefined ? {} : { error }),
    })
  }
}

async function* noIds(): AsyncGenerator<string, void, void> {}

async function* idsOf(store: Store, { run, seq }: RunHead, from: number): AsyncGenerator<string, void, void> {
  if (from <= seq) for await (const unit of store.read(run, { from, to: seq })) yield unit.id
}

/** A line's content as a unit: copied and frozen, and JSON without what must not become a key. */
function unitOf(line: UnitLine, creation: Creation | undefined): NewUnit {
  const { run, seq, at, events, origin, outputs, mail, sources, requestId, trace, attempts, state, machine } = line
  const { epoch = null } = line
  const what = { name: `Unit ${seq} of run ${run}`, code: 'IMPORT_INVALID' } as const
  const json = copyJson({ events, origin, outputs: outputs ?? [], mail, trace, creation }, what, {
    undefinedIsAbsent: true,
  }) as unknown as NewUnit
  return {
    ...json,
    seq,
    at,
    ...(sources === undefined ? {} : { sources: sources.map(source => positionIn(run, seq, source)) }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(state === undefined ? {} : { state }),
    ...(machine === undefined ? {} : { machine }),
    epoch,
  }
}

/** @throws IMPORT_INVALID */
function positionIn(run: string, seq: number, { id, position }: WrittenPosition): SourcePosition {
  const read = readPosition(position)
  if (read === undefined) throw invalid(run, seq, `Its position ${JSON.stringify(position)} of source '${id}' is none`)
  return { id, position: read }
}

/** A fork shares units of a run that must be there already, the same ones. */
async function checkParent(store: Store, run: string, fork: NonNullable<Creation['fork']>): Promise<void> {
  const parent = await store.head(fork.run)
  if (parent !== undefined && parent.seq >= fork.at) {
    for await (const unit of store.read(fork.run, { from: fork.at, to: fork.at })) if (unit.id === fork.parent) return
  }
  throw differs(
    run,
    fork.at,
    `it is a fork of run ${fork.run} at ${fork.at}, which the store has not got so. Import that run first`,
  )
}

/** The time of a creation is part of the first unit's id, and only of that: a run without units does not show it. */
async function checkCreationTime(store: Store, { run, seq, fork }: RunHead, line: UnitLine): Promise<void> {
  let at = fork?.at
  if (fork === undefined) for await (const unit of store.read(run, { from: seq, to: seq, ids: false })) at = unit.at
  if (at !== line.at) throw differs(run, seq, `it was created at ${at}, and in the import at ${line.at}`)
}
