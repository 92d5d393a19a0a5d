import type { AbortOptions, ParentLink, RunHead, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { Creation, SourcePosition, TraceContext } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { runId } from '../identity/commits.ts'
import type { Program } from '../machine/program.ts'
import { checkHead, checkMachine, checkTime, isUnder, replace } from './admission.ts'
import { creationOf } from './creation.ts'
import { recover, seedOf } from './history.ts'
import { asStoreError, journalOf } from './journal.ts'
import { Lineage } from './lineage.ts'
import { migrate } from './migrate.ts'
import type { RunOutbox } from './outbox.ts'
import { closeTimeout, residencyOf } from './residency.ts'
import { Resident } from './resident.ts'
import type { Leased } from './resident-start.ts'
import { runExists, unknownRun } from './run-errors.ts'
import type { CreationOptions } from './run-options.ts'
import type { Midwife } from './spawner.ts'
import type { Versions } from './versions.ts'

/** Whoever drives runs under a lease. */
export interface Driver {
  readonly lease: Leased
  /** What is to be sent out for a run that comes into memory; `head`: as it is kept, `undefined` of a new one. */
  outbox(run: string, key: string | undefined, head: RunHead | undefined): RunOutbox
}

/**
 * Brings a run into memory and holds it: as openRun, and as a supervisor does under its lease.
 *
 * @throws rejects as `openRun`; with a driver also with `LEASE_LOST` and `LEASE_MISPLACED`
 */
export async function hold(
  store: Store,
  programs: Versions,
  options: CreationOptions<never> &
    AbortOptions & {
      readonly key?: string | undefined
      readonly id?: string | undefined
      readonly create?: boolean | undefined
      /** What the creation of a new run stands behind. */
      readonly behind?: SourcePosition | undefined
      /** A new run is held, as a fork is. */
      readonly held?: boolean | undefined
    },
  environment: Environment,
  driver: Driver | undefined,
): Promise<{ readonly resident: Resident; readonly created: boolean }> {
  const { signal, telemetry, behind, held } = options
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
        const made = newResident({
          store,
          program,
          environment,
          ...creation,
          driver,
          telemetry,
          exclusive: true,
          behind,
          held,
        })
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
  programs: Versions,
  id: string,
  environment: Environment,
  driver: Driver | undefined,
  { signal, telemetry }: AbortOptions & Pick<CreationOptions<never>, 'telemetry'>,
): Promise<Resident> {
  const lineage = new Lineage(programs)
  let head = await knownHead(store, id, signal)
  for (;;) {
    checkHead(head, driver?.lease)
    const { machine } = head
    if (programs.some(({ record }) => record.oid === machine)) break
    await migrate(store, head, lineage, environment, driver?.lease, signal)
    head = await knownHead(store, id, signal)
  }
  const place = await recover(store, head, lineage, { signal })
  const returns = journalOf(store).loads(id)
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
    returns,
    outbox: driver?.outbox(run, head.key, head),
    telemetry,
    first: undefined,
  })
  try {
    await resident.resume()
  } catch (thrown) {
    // Nobody has it: it would look for what others write for ever.
    resident.end(asStoreError(thrown))
    throw thrown
  }
  return resident
}

/** Makes a run: decides its first step, and has its creation appended. */
export function newResident(start: {
  readonly store: Store
  readonly program: Program
  readonly environment: Environment
  readonly creation: Creation
  readonly at: number
  readonly driver: Driver | undefined
  readonly telemetry: Telemetry | undefined
  readonly exclusive?: boolean
  readonly behind?: SourcePosition | undefined
  readonly held?: boolean | undefined
  readonly parent?: ParentLink
  readonly trace?: TraceContext | undefined
}): Resident {
  const { store, program, environment, creation, at, driver, telemetry, exclusive, behind } = start
  const { held = false, parent = null, trace } = start
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
    sources: behind === undefined ? {} : { [behind.id]: behind.position },
    held,
    parent,
    midwife,
    lease: driver?.lease,
    outbox: driver?.outbox(run, creation.key, undefined),
    telemetry,
    first: { creation, outputs, effects, exclusive, behind, trace },
  })
}

/** How child runs come into memory: as any run does, and held by its creation. */
export const midwife: Midwife = {
  async deliver(store, environment, { program, namespace, key, input, time, at, parent, trace }) {
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
            trace,
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

/** The head of a run that must be there. */
export async function knownHead(store: Store, id: string, signal?: AbortSignal): Promise<RunHead> {
  const head = await store.head(id, { signal })
  if (head === undefined) throw unknownRun(store, id)
  return head
}
