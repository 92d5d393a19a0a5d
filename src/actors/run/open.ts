import type { AnyStateMachine, InputFrom, Snapshot } from 'xstate'
import { batchesOf } from '../batch-stream.ts'
import type { JsonValue } from '../contracts/json.ts'
import type { AbortOptions, LeaseKey, ParentLink, RunHead, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { Creation, ObjectFormat, TimeMode, Unit } from '../contracts/unit.ts'
import { type Environment, platform } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { runId } from '../identity/commits.ts'
import { runCreation } from '../identity/run-key.ts'
import { defaultEventLimits, type EventLimits } from '../json/event-copy.ts'
import { copyJson } from '../json/json-copy.ts'
import type { Inspect } from '../machine/inspection.ts'
import type { Program } from '../machine/program.ts'
import { programOf } from '../machine/programs.ts'
import type { Strictness } from '../machine/strict/strictness.ts'
import { RunHandle } from './handle.ts'
import { recover, seedOf } from './history.ts'
import { journalOf } from './journal.ts'
import { Lineage } from './lineage.ts'
import { migrate } from './migrate.ts'
import { inUse } from './mismatch.ts'
import type { RunOutbox } from './outbox.ts'
import { closeTimeout, residencyOf } from './residency.ts'
import { type Leased, Resident } from './resident.ts'
import { leaseHeld, leaseLost, misplaced, runExists } from './run-errors.ts'
import type { Midwife } from './spawner.ts'
import type { AnyMachine, MachineOf, Machines, Run, SentTo } from './types.ts'

/** What is fixed when a run is created. */
export interface CreationOptions<TMachine extends AnyMachine> {
  /** What keyed runs are named in. @default the machine's id */
  readonly namespace?: string | undefined
  /** The machine's input: JSON. */
  readonly input?: InputFrom<MachineOf<TMachine>> | undefined
  /** How the run reads time; fixed for ever. @default 'arrival' */
  readonly time?: TimeMode | undefined
  /** Under `time: 'source'`: the time of the creation, ms. @default 0 */
  readonly at?: number | undefined
  /** How large events may be. @default 1 MiB each, 64 levels, 10,000 in a batch */
  readonly limits?: Partial<EventLimits> | undefined
  /**
   * Whether units are decided strictly: twice, and compared, with what a replay would not find the same trapped. `{ sample }`
   * is the share of units, from 0 to 1, for production. Handles share a run: the first to bring it into memory decides.
   * @default outside production, where `NODE_ENV` is not 'production'
   */
  readonly strict?: Strictness | undefined
  /**
   * Shows the run to an inspector, as `createActor(machine, { inspect })` does: its actors as they are found, then each unit
   * once it is durable, until this handle is closed. One that throws is shown nothing more. @default nobody inspects
   */
  readonly inspect?: Inspect | undefined
  /**
   * Measures the run: see `createTelemetry` of `xmachines/otel`. Handles share a run: the first to bring it into memory decides.
   * @default nobody measures
   */
  readonly telemetry?: Telemetry | undefined
}

/** Options of {@link createRun}. */
export interface CreateRunOptions<TMachine extends AnyMachine = AnyMachine> extends CreationOptions<TMachine> {
  /** Where the history is kept. @default in memory, gone with the run */
  readonly store?: Store | undefined
  /** Makes the run's id the same on every node. A key that the store has pinned to another run ends the run: use `openRun`. */
  readonly key?: string | undefined
  /**
   * Adopts what XState's `actor.getPersistedSnapshot()` gave: the run starts in that state. What XState does not persist
   * begins anew at the run's creation: `after` timers get their whole delay, pending invocations are started. Part of the run's id.
   */
  readonly snapshot?: Snapshot<unknown> | undefined
}

/** Options of {@link openRun}. */
export interface OpenRunOptions<TMachine extends AnyMachine = AnyMachine>
  extends CreationOptions<TMachine>,
    AbortOptions {
  readonly store: Store
  /** Which run: by key, created if there is none … */
  readonly key?: string | undefined
  /** … or by id. */
  readonly id?: string | undefined
  /** `false`: a key that names no run is refused with `RUN_UNKNOWN`. @default true */
  readonly create?: boolean | undefined
  /** `'run'` lifts the hold of a fork or an import for good: its effects start. @default as it is kept */
  readonly effects?: 'run' | undefined
}

/** Options of {@link forkRun}. */
export interface ForkRunOptions {
  /** The fork shares units 0…`at`. */
  readonly at: number
  /** Names the fork in its namespace. @default none: it is found by its id */
  readonly key?: string | undefined
  /** Applied as unit `at` + 1, with the time of the unit that it replaces. */
  readonly replace?: { readonly type: string } | readonly { readonly type: string }[] | undefined
  /** Whether effects that are pending or come start. @default 'hold': they are shown, not started */
  readonly effects?: 'hold' | 'run' | undefined
  /** Whether units are decided strictly, as for {@link openRun}. @default as in the handle that is forked; without one, outside production */
  readonly strict?: Strictness | undefined
}

/** A run in a store, with its machine: what is forked where there is no handle. */
export interface StoredRun<TMachine extends AnyMachine> {
  readonly store: Store
  readonly id: string
  readonly machine: Machines<TMachine>
}

/**
 * Creates a run, at once: its id is known and its ports take events before the store has answered; `ready` tells when the
 * creation is durable.
 *
 * @throws `MACHINE_UNSUPPORTED`, `POLICY_INVALID`, `INPUT_INVALID`, `SNAPSHOT_INVALID`; `STEP_FAILED` when the machine's first step throws, `STEP_IMPURE` and the like when it breaks the rules of a step. Later, on
 *   every port: `RUN_EXISTS` when the key is pinned to another run, and whatever the store fails with
 */
export function createRunIn<TMachine extends AnyMachine>(
  store: Store,
  machine: Machines<TMachine>,
  options: CreateRunOptions<TMachine> = {},
  environment: Environment = platform,
): Run<MachineOf<TMachine>, SentTo<TMachine>> {
  const program = programsOf(machine, store.objectFormat, options.strict)[0]
  const resident = newResident({
    store,
    program,
    environment,
    ...creationOf(program, options, environment),
    driver: undefined,
    telemetry: options.telemetry,
  })
  if (!residencyOf(store).admit(resident)) resident.beGuest()
  return handle(resident, 0, options)
}

/**
 * Opens the run of a key (created if there is none) or of an id: from its newest snapshot and the units after it. A run of an
 * older machine that is not given goes over to the first that is, if that declares a migration: a unit of its history.
 * Resolves when the run is at its head. Its `out` begins after that head.
 *
 * @throws rejects with `RUN_UNKNOWN`, `MACHINE_MISMATCH`, `MIGRATION_FAILED`, `TIME_MODE_MISMATCH`, `RUN_DAMAGED`, `REPLAY_DIVERGED` when the machine no
 *   longer gives what the history says (nothing is appended), and as `createRun`
 */
export function openRun<TMachine extends AnyMachine>(
  machine: Machines<TMachine>,
  options: OpenRunOptions<TMachine>,
): Promise<Run<MachineOf<TMachine>, SentTo<TMachine>>> {
  return openRunIn(platform, machine, options)
}

/** As {@link openRun}, in a given environment. */
export async function openRunIn<TMachine extends AnyMachine>(
  environment: Environment,
  machine: Machines<TMachine>,
  options: OpenRunOptions<TMachine>,
): Promise<Run<MachineOf<TMachine>, SentTo<TMachine>>> {
  return (await openHeld(environment, machine, options)).run
}

/** As {@link openRun}, in a given environment, with the resident that the handle holds. */
export async function openHeld<TMachine extends AnyMachine>(
  environment: Environment,
  machine: Machines<TMachine>,
  options: OpenRunOptions<TMachine>,
): Promise<{ readonly run: Run<MachineOf<TMachine>, SentTo<TMachine>>; readonly resident: Resident }> {
  const { store } = options
  const programs = programsOf(machine, store.objectFormat, options.strict)
  if ((options.key === undefined) === (options.id === undefined))
    throw new TypeError('Expected either `key` or `id`: the run to open.')
  const { resident, created } = await hold(store, programs, options, environment, undefined)
  if (options.effects !== undefined) await resident.release()
  return { run: handle(resident, created ? 0 : resident.seq + 1, options), resident }
}

/**
 * Forks a run: a new one whose history begins with units 0…`at` of the other, shared, not copied. Its effects are held
 * unless `effects: 'run'`.
 *
 * @throws rejects with `RUN_UNKNOWN`, `RUN_EXISTS`, `MACHINE_MISMATCH`; `TypeError` when `at` is beyond the run
 */
export function forkRun<TMachine extends AnyStateMachine, TSent>(
  source: Run<TMachine, TSent>,
  options: ForkRunOptions,
): Promise<Run<TMachine, TSent>>
export function forkRun<TMachine extends AnyMachine>(
  source: StoredRun<TMachine>,
  options: ForkRunOptions,
): Promise<Run<MachineOf<TMachine>, SentTo<TMachine>>>
export async function forkRun(
  source: Run<never, never> | StoredRun<AnyMachine>,
  options: ForkRunOptions,
): Promise<Run> {
  const origin = source instanceof RunHandle ? source.origin : (source as StoredRun<AnyMachine>)
  const { store, id } = origin
  const head = await knownHead(store, id)
  const { at, strict } = options
  const programs = !('program' in origin)
    ? programsOf(origin.machine, store.objectFormat, strict)
    : strict === undefined
      ? ([origin.program] as const)
      : ([programOf(origin.program.definition, store.objectFormat, strict)] as const)
  if (!Number.isInteger(at) || at < 0 || at > head.seq)
    throw new TypeError(`Expected \`at\` to be a seq of run ${id}, 0…${head.seq}, got \`${String(at)}\`.`)
  // Where a run was migrated, its fork is of the machine that it had then.
  const place = await recover(store, head, new Lineage(programs), { to: at })
  const { program } = place
  const [parent, replaced] = await unitsAt(
    store,
    id,
    at,
    options.replace === undefined ? at : Math.min(at + 1, head.seq),
  )
  const { namespace, time } = head
  const creation = runCreation({
    machine: program.record.oid,
    namespace,
    key: options.key,
    time,
    fork: { run: id, at, parent: parent!.id },
  })
  const run = runId(store.objectFormat, creation)
  const sources = {} // positions belong to the run that took them
  const resident = new Resident({
    run,
    program,
    store,
    environment: platform,
    time: head.time,
    name: { namespace, key: options.key },
    system: place.system,
    state: place.state,
    seq: at,
    at: parent!.at,
    revision: undefined,
    sources,
    held: options.effects !== 'run',
    parent: null,
    midwife,
    lease: undefined,
    first: { creation, outputs: [], effects: [] },
  })
  residencyOf(store).admit(resident)
  const fork = handle<AnyStateMachine>(resident, at + 1, {})
  await fork.ready
  if (options.replace !== undefined)
    await (fork as unknown as RunHandle).replaceWith(options.replace, replaced?.at ?? parent!.at)
  return fork
}

/** Whoever drives runs under a lease. */
export interface Driver {
  readonly lease: Leased
  /** What is to be sent out for a run that comes into memory; `head`: as it is kept, `undefined` of a new one. */
  outbox(run: string, key: string | undefined, head: RunHead | undefined): RunOutbox
}

/**
 * Brings a run into memory and holds it: as openRun, and as a supervisor does under its lease.
 *
 * @throws rejects as `openRun`; with a driver also with `RUN_PARKED`, `LEASE_LOST` and `LEASE_MISPLACED`
 */
export async function hold(
  store: Store,
  programs: readonly [Program, ...Program[]],
  options: CreationOptions<never> &
    AbortOptions & {
      readonly key?: string | undefined
      readonly id?: string | undefined
      readonly create?: boolean | undefined
    },
  environment: Environment,
  driver: Driver | undefined,
): Promise<{ readonly resident: Resident; readonly created: boolean }> {
  const { signal, telemetry } = options
  const namespace = options.namespace ?? programs[0].record.id
  for (;;) {
    const id = options.id ?? (await store.find(namespace, options.key!, { signal }))
    if (id !== undefined) {
      const resident = await residencyOf(store).hold(id, async () =>
        loadResident(store, programs, id, environment, driver, options),
      )
      if (driver !== undefined && !isUnder(resident, driver.lease)) {
        await replace(resident, driver.lease)
        continue
      }
      await checkMachine(resident, programs)
      await checkTime(resident, options.time)
      return { resident, created: false }
    }
    if (options.create === false) throw unknownRun(store, `${namespace}/${options.key}`)
    const program = programs[0]
    const creation = creationOf(program, options, environment)
    const run = runId(store.objectFormat, creation.creation)
    try {
      const resident = await residencyOf(store).hold(run, async () => {
        const made = newResident({ store, program, environment, ...creation, driver, telemetry, exclusive: true })
        await made.whenCreated()
        return made
      })
      return { resident, created: true }
    } catch (thrown) {
      // Somebody else created the key meanwhile: theirs is the run.
      if (!XMachinesError.is(thrown, 'RUN_EXISTS')) throw thrown
    }
  }
}

async function loadResident(
  store: Store,
  programs: readonly [Program, ...Program[]],
  id: string,
  environment: Environment,
  driver: Driver | undefined,
  { signal, telemetry }: AbortOptions & Pick<CreationOptions<never>, 'telemetry'>,
): Promise<Resident> {
  const lineage = new Lineage(programs)
  let head = await knownHead(store, id, signal)
  for (;;) {
    if (driver !== undefined) checkDriven(head, driver.lease)
    const { machine } = head
    if (programs.some(({ record }) => record.oid === machine)) break
    await migrate(store, head, lineage, environment, driver?.lease, signal)
    head = await knownHead(store, id, signal)
  }
  const place = await recover(store, head, lineage, { signal })
  const { program } = place
  const { run, time, seq, at, revision, beside } = head
  const resident = new Resident({
    run,
    program,
    store,
    environment,
    time,
    name: head,
    system: place.system,
    state: place.state,
    seq,
    at,
    revision,
    sources: beside.sources,
    held: beside.held,
    parent: beside.parent,
    midwife,
    kept: beside,
    lease: driver?.lease,
    outbox: driver?.outbox(run, head.key, head),
    telemetry,
    first: undefined,
  })
  await resident.resume()
  return resident
}

function newResident(start: {
  readonly store: Store
  readonly program: Program
  readonly environment: Environment
  readonly creation: Creation
  readonly at: number
  readonly driver: Driver | undefined
  readonly telemetry: Telemetry | undefined
  readonly exclusive?: boolean
  readonly parent?: ParentLink
}): Resident {
  const { store, program, environment, creation, at, driver, telemetry, exclusive, parent = null } = start
  const run = runId(store.objectFormat, creation)
  const system = program.createSystem(creation.input)
  const { state, outputs, effects } = program.initial(system, at, () => seedOf(run, 0), creation.snapshot)
  return new Resident({
    run,
    program,
    store,
    environment,
    time: creation.time,
    name: creation,
    system,
    state,
    seq: 0,
    at,
    revision: undefined,
    sources: {},
    held: false,
    parent,
    midwife,
    lease: driver?.lease,
    outbox: driver?.outbox(run, creation.key, undefined),
    telemetry,
    first: { creation, outputs, effects, exclusive },
  })
}

const midwife: Midwife = {
  async deliver(store, environment, { program, namespace, key, input, time, at, parent }) {
    for (;;) {
      const id = await store.find(namespace, key)
      if (id !== undefined) {
        const head = await knownHead(store, id)
        if (!isSameChild(head.beside.parent, parent)) throw runExists(`${namespace}/${key}`, id)
        if (head.status !== 'active') return undefined
        // It is there. Whether it can be opened here, too, is no matter of its spawn.
        return midwife.open(store, environment, program, id).catch(() => undefined)
      }
      const options = { namespace, key, input, time, ...(time === 'source' && { at }) }
      const start = creationOf(program, options as CreationOptions<never> & { readonly key: string }, environment)
      const run = runId(store.objectFormat, start.creation)
      try {
        const child = await residencyOf(store).hold(run, async () => {
          const made = newResident({
            store,
            program,
            environment,
            ...start,
            driver: undefined,
            telemetry: journalOf(store).telemetry,
            exclusive: true,
            parent,
          })
          await made.whenCreated()
          return made
        })
        if (isSameChild(child.parent, parent)) return child
        // Somebody in this process was making the same run, for a reason of its own.
        await residencyOf(store).release(child, closeTimeout)
      } catch (thrown) {
        // Somebody else was first: this child, in another process, or another run.
        if (!XMachinesError.is(thrown, 'RUN_EXISTS')) throw thrown
      }
    }
  },
  async open(store, environment, program, id) {
    return (await hold(store, [program], { id, telemetry: journalOf(store).telemetry }, environment, undefined))
      .resident
  },
}

function isSameChild(link: ParentLink | null, parent: ParentLink): boolean {
  if (link === null) return false
  const { run, seq, index, restarts } = parent
  return link.run === run && link.seq === seq && link.index === index && link.restarts === restarts
}

/** Everything a new run's id is made of, and its time. */
function creationOf(
  program: Program,
  options: CreationOptions<never> & Pick<CreateRunOptions, 'key' | 'snapshot'>,
  environment: Environment,
): { readonly creation: Creation; readonly at: number } {
  const { key, input, time = 'arrival' } = options
  if (time !== 'arrival' && time !== 'source')
    throw new TypeError(`Expected \`time\` to be 'arrival' or 'source', got \`${String(time)}\`.`)
  if (options.at !== undefined && (time !== 'source' || !Number.isFinite(options.at)))
    throw new TypeError(
      `Expected \`at\` to be milliseconds since 1970 and \`time\` to be 'source', got \`${String(options.at)}\` and '${time}'.`,
    )
  const copied: JsonValue | undefined =
    input === undefined
      ? undefined
      : copyJson(input, { code: 'INPUT_INVALID', name: 'The input of the run' }, { undefinedIsAbsent: true })
  const { oid: machine, id } = program.record
  const snapshot =
    options.snapshot === undefined
      ? undefined
      : copyJson(options.snapshot, { code: 'SNAPSHOT_INVALID', name: 'The snapshot' }, { undefinedIsAbsent: true })
  const creation = runCreation({ machine, namespace: options.namespace ?? id, key, input: copied, snapshot, time })
  return { creation, at: time === 'arrival' ? environment.now() : (options.at ?? 0) }
}

/** The programs of a machine or a list of them, the one for new runs first. */
export function programsOf(
  machine: Machines,
  format: ObjectFormat,
  strict: Strictness | undefined,
): readonly [Program, ...Program[]] {
  const machines = (Array.isArray(machine) ? machine : [machine]) as readonly AnyMachine[]
  if (machines.length === 0) throw new TypeError('Expected at least one machine, got an empty list.')
  return machines.map(one => programOf(one as never, format, strict)) as unknown as readonly [Program, ...Program[]]
}

async function knownHead(store: Store, id: string, signal?: AbortSignal): Promise<RunHead> {
  const head = await store.head(id, { signal })
  if (head === undefined) throw unknownRun(store, id)
  return head
}

async function unitsAt(store: Store, run: string, from: number, to: number): Promise<readonly Unit[]> {
  const units: Unit[] = []
  for await (const batch of batchesOf(store.read(run, { from, to }))) units.push(...batch)
  return units
}

/** What a driver must not bring into memory. */
function checkDriven({ run, lease: pinned, beside: { parked } }: RunHead, lease: Leased): void {
  if (pinned !== undefined && !samePartition(pinned, lease)) throw misplaced(run, lease, pinned)
  if (parked !== null)
    throw new XMachinesError('RUN_PARKED', `Run ${run} stands parked (${parked.code}): ${parked.message}`, {
      details: { run, ...parked },
    })
}

function samePartition(a: LeaseKey, b: LeaseKey): boolean {
  return a.partition === b.partition && a.namespace === b.namespace
}

function isUnder({ lease }: Resident, { namespace, partition, epoch }: Leased): boolean {
  return lease !== undefined && lease.epoch === epoch && samePartition(lease, { namespace, partition })
}

/** A run that is in memory under another epoch, or under none, ends there: this epoch's owner takes it over. */
async function replace(resident: Resident, lease: Leased): Promise<void> {
  const { run, store, lease: other } = resident
  if (other !== undefined && !samePartition(other, lease)) {
    await residencyOf(store).release(resident, closeTimeout)
    throw misplaced(run, lease, other)
  }
  const outcome = { epoch: Math.max(lease.epoch, other?.epoch ?? 0), owner: resident.environment.process }
  if (other !== undefined && other.epoch > lease.epoch) {
    await residencyOf(store).release(resident, closeTimeout)
    throw leaseLost(run, lease, outcome)
  }
  resident.end(other === undefined ? leaseHeld(run, outcome) : leaseLost(run, other, outcome))
  await residencyOf(store).forget(resident)
}

/** A run in memory goes on with its machine: it is migrated when it is opened, not under the hands of others. */
async function checkMachine(resident: Resident, programs: readonly [Program, ...Program[]]): Promise<void> {
  const { run, program, store } = resident
  if (programs.some(({ record }) => record.oid === program.record.oid)) return
  await residencyOf(store).release(resident, closeTimeout)
  throw inUse(run, program.record, new Lineage(programs))
}

async function checkTime(resident: Resident, time: TimeMode | undefined): Promise<void> {
  if (time === undefined || time === resident.time) return
  await residencyOf(resident.store).release(resident, closeTimeout)
  throw new XMachinesError(
    'TIME_MODE_MISMATCH',
    `Run ${resident.run} was created with time: '${resident.time}', which is fixed. Open it without \`time\`, or with that one.`,
    { details: { run: resident.run, time: resident.time } },
  )
}

function unknownRun(store: Store, name: string): XMachinesError {
  return new XMachinesError(
    'RUN_UNKNOWN',
    `The store ${store.location} has no run ${name}. Check the key, the namespace and the store.`,
    { details: { run: name } },
  )
}

function handle<TMachine extends AnyMachine>(
  resident: Resident,
  from: number,
  { limits, inspect }: Pick<CreationOptions<never>, 'limits' | 'inspect'>,
): Run<MachineOf<TMachine>, SentTo<TMachine>> {
  const made = new RunHandle(
    resident,
    from,
    limits === undefined ? defaultEventLimits : { ...defaultEventLimits, ...limits },
  )
  if (inspect !== undefined) made.inspect(inspect)
  return made as unknown as Run<MachineOf<TMachine>, SentTo<TMachine>>
}
