import type { Store } from '../contracts/store.ts'
import { type Environment, platform } from '../environment.ts'
import { givenStore } from '../given.ts'
import { limitsOf } from '../json/event-copy.ts'
import { creationOf } from './creation.ts'
import { handleOf } from './handle.ts'
import { hold, newResident } from './loading.ts'
import { residencyOf } from './residency.ts'
import type { Resident } from './resident.ts'
import type { CreateRunOptions, OpenRunOptions } from './run-options.ts'
import type { AnyMachine, MachineOf, Machines, Run, SentTo } from './types.ts'
import { programsOf } from './versions.ts'

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
  const limits = limitsOf(options.limits)
  const resident = newResident({
    store,
    program,
    environment,
    ...creationOf(program, options, environment),
    driver: undefined,
    telemetry: options.telemetry,
  })
  if (!residencyOf(store).admit(resident)) resident.beGuest()
  return handleOf(resident, 0, limits, options.inspect)
}

/**
 * Opens the run of a key (created if there is none) or of an id: from its newest snapshot and the units after it. A run of an
 * older machine that is not given goes over to the first that is, if that declares a migration: a unit of its history.
 * Resolves when the run is at its head. Its `out` begins after that head.
 *
 * @throws rejects with `RUN_UNKNOWN`, `MACHINE_MISMATCH`, `MIGRATION_FAILED`, `TIME_MODE_MISMATCH`, `RUN_DAMAGED`, `RUN_PARKED`, `REPLAY_DIVERGED` when the machine no
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
  const store = givenStore(options)
  const programs = programsOf(machine, store.objectFormat, options.strict)
  if ((options.key === undefined) === (options.id === undefined))
    throw new TypeError('Expected either `key` or `id`: the run to open.')
  if (options.id !== undefined && typeof options.id !== 'string')
    throw new TypeError(`Expected \`id\` to be a string, got \`${String(options.id)}\` (${typeof options.id}).`)
  // What a fork takes, too, would lift the hold that it asks for.
  if (options.effects !== undefined && options.effects !== 'run')
    throw new TypeError(`Expected \`effects\` to be 'run' or left out, got \`${String(options.effects)}\`.`)
  const limits = limitsOf(options.limits)
  const { resident, created } = await hold(store, programs, options, environment, undefined)
  if (options.effects !== undefined) await resident.release()
  return { run: handleOf(resident, created ? 0 : resident.seq + 1, limits, options.inspect), resident }
}

export { forkRun } from './fork.ts'
