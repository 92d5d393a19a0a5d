import type { Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import { type Environment, platform } from '../environment.ts'
import { XMachinesError } from '../errors.ts'
import { givenStore } from '../given.ts'
import { checkName } from '../identity/run-key.ts'
import type { Inspect } from '../machine/inspection.ts'
import type { Strictness } from '../machine/strict/strictness.ts'
import { openHeld } from '../run/open.ts'
import type { OpenRunOptions } from '../run/run-options.ts'
import type { AnyMachine, MachineOf, Machines, Run, SentTo } from '../run/types.ts'
import { programsOf } from '../run/versions.ts'
import { type HostEvent, HostKeeper } from './host.ts'
import { childWards } from './ward.ts'

export type { HostEvent } from './host.ts'

/** Options of {@link createHost}. */
export interface HostOptions<TMachine extends AnyMachine = AnyMachine> {
  /**
   * The machine, or a list: the first makes new runs, others of its id go on with the runs of their version. Machines of other
   * ids are those of child runs (`spawnRun`): the host looks after them, too, in the namespace of their id.
   */
  readonly machine: Machines<TMachine>
  readonly store: Store
  /** Whose runs the host looks after, beside the child runs. @default the machine's id */
  readonly namespace?: string | undefined
  /** How many runs stay in memory that nobody has open. @default 10_000 */
  readonly residents?: number | undefined
  /** How long a run stays in memory without an event, ms. @default 60_000 */
  readonly idle?: number | undefined
  /** Whether steps are watched: see {@link Strictness}. @default on outside production */
  readonly strict?: Strictness | undefined
  /** Shows every run that the host keeps in memory to an inspector, as `openRun` does. @default nobody inspects */
  readonly inspect?: Inspect | undefined
  /** Measures every run that the host brings into memory, as for `openRun`. @default nobody measures */
  readonly telemetry?: Telemetry | undefined
}

/** A process's part in looking after the runs of a namespace. Made by {@link createHost}. */
export interface Host<TMachine extends AnyMachine = AnyMachine> extends AsyncDisposable {
  /** As `openRun`, with the host's machine, store and namespace. The run stays in memory for a while after its last `close()`. */
  open(
    options: Omit<OpenRunOptions<TMachine>, 'store' | 'namespace'>,
  ): Promise<Run<MachineOf<TMachine>, SentTo<TMachine>>>
  /** What happened to runs that nobody has open. The newest are kept for whoever reads. */
  readonly events: ReadableStream<HostEvent>
  /** Drains the runs and lets go of them; nothing is woken any more. Idempotent. */
  close(): Promise<void>
}

/**
 * Hosts the runs of a namespace in an app that has no broker: opens them, keeps those that were used lately in memory, and
 * wakes whatever needs something while nobody has it open: timers that fall due, invocations that a dead process left behind,
 * also after a restart. Several processes may host one namespace on one store. Runs of partitions are their supervisor's.
 *
 * @example
 * await using host = createHost({ machine: order, store })
 * const run = await host.open({ key: 'o-1' })
 *
 * @throws `MACHINE_UNSUPPORTED`, `POLICY_INVALID`. Later, `open` rejects as `openRun` does, and with `HOST_CLOSED` after `close()`
 */
export function createHost<TMachine extends AnyMachine>(options: HostOptions<TMachine>): Host<TMachine> {
  return createHostIn(platform, options)
}

/** {@link createHost} in an environment of one's own. */
export function createHostIn<TMachine extends AnyMachine>(
  environment: Environment,
  options: HostOptions<TMachine>,
): Host<TMachine> {
  const store = givenStore(options)
  const { machine, strict, inspect, telemetry, residents = 10_000, idle = 60_000 } = options
  if (!Number.isInteger(residents) || residents < 1)
    throw new TypeError(`Expected \`residents\` to be a whole number from 1, got \`${String(residents)}\`.`)
  if (typeof idle !== 'number' || !(idle >= 0))
    throw new TypeError(`Expected \`idle\` to be milliseconds, got \`${String(idle)}\`.`)
  const programs = programsOf(machine, store.objectFormat, strict)
  const namespace = options.namespace ?? programs[0].record.id
  checkName('namespace', namespace)
  const wards = [{ namespace, programs }, ...childWards(programs, [namespace])]
  const keeper = new HostKeeper({ store, wards, residents, idle, inspect, telemetry }, environment)
  const close = (): Promise<void> => keeper.close()
  return {
    async open(which) {
      if (keeper.over) throw new XMachinesError('HOST_CLOSED', 'This host is closed. Create another one.')
      // What is `undefined` is not given: it must not take the place of the host's.
      const own = { strict: which.strict ?? strict, telemetry: which.telemetry ?? telemetry }
      const { run, resident } = await openHeld(environment, machine, { ...which, ...own, store, namespace })
      await keeper.lodge(resident)
      return run
    },
    events: keeper.events,
    close,
    [Symbol.asyncDispose]: close,
  }
}
