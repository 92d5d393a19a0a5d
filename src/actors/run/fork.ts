import type { AnyStateMachine } from 'xstate'
import { batchesOf } from '../batch-stream.ts'
import type { Store } from '../contracts/store.ts'
import type { Unit } from '../contracts/unit.ts'
import { platform } from '../environment.ts'
import { givenStore } from '../given.ts'
import { runId } from '../identity/commits.ts'
import { runCreation } from '../identity/run-key.ts'
import { defaultEventLimits } from '../json/event-copy.ts'
import { programOf } from '../machine/programs.ts'
import { checkEvents } from './border.ts'
import { handleOf, RunHandle } from './handle.ts'
import { type Place, recover, seedOf } from './history.ts'
import { Lineage } from './lineage.ts'
import { knownHead, midwife } from './loading.ts'
import { residencyOf } from './residency.ts'
import { Resident } from './resident.ts'
import type { ForkRunOptions, StoredRun } from './run-options.ts'
import { outside } from './sent-command.ts'
import type { AnyMachine, MachineOf, Run, SentTo } from './types.ts'
import { programsOf } from './versions.ts'

/**
 * Forks a run: a new one whose history begins with units 0…`at` of the other, shared, not copied. Its effects are held
 * unless `effects: 'run'`.
 *
 * @throws rejects with `RUN_UNKNOWN`, `RUN_EXISTS`, `MACHINE_MISMATCH`, why the run could not be created, and why `replace` is refused (there is no fork then); `TypeError` when `at` is beyond the run
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
  const store = givenStore(origin)
  // `createRun` returns at once: its creation may still be on the way.
  if (source instanceof RunHandle) await source.ready
  const { id } = origin
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
  const replace = await checkEvents(program.definition, defaultEventLimits, options.replace ?? [])
  const [parent, replaced] = await unitsAt(store, id, at, replace.length === 0 ? at : Math.min(at + 1, head.seq))
  const { namespace, time } = head
  const creation = runCreation({
    machine: program.record.oid,
    namespace,
    key: options.key,
    time,
    fork: { run: id, at, parent: parent!.id },
  })
  const run = runId(store.objectFormat, creation)
  const stamp = replaced?.at ?? parent!.at
  if (replace.length > 0) checkReplacement(place, run, { seq: at + 1, at: stamp, events: replace })
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
    first: { creation, outputs: [], effects: [], exclusive: true },
  })
  residencyOf(store).admit(resident)
  const fork = handleOf<AnyStateMachine>(resident, at + 1)
  // With its creation, in one append.
  const begins = replace.length > 0 ? (fork as unknown as RunHandle).replaceWith(replace, stamp) : undefined
  await Promise.all([fork.ready, begins])
  return fork
}

/** A replacement that is refused makes no fork. @throws as it is refused */
function checkReplacement(
  { program, system, state }: Place,
  run: string,
  unit: Pick<Unit, 'seq' | 'at' | 'events'>,
): void {
  const decision = program.decide(system, state, { ...unit, origin: outside, seed: () => seedOf(run, unit.seq) })
  if (decision.kind === 'refused') throw decision.error
}

async function unitsAt(store: Store, run: string, from: number, to: number): Promise<readonly Unit[]> {
  const units: Unit[] = []
  for await (const batch of batchesOf(store.read(run, { from, to }))) units.push(...batch)
  return units
}
