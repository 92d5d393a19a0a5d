import type { InputFrom, Snapshot } from 'xstate'
import type { AbortOptions, Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { TimeMode } from '../contracts/unit.ts'
import type { GivenLimits } from '../json/event-copy.ts'
import type { Inspect } from '../machine/inspection.ts'
import type { Strictness } from '../machine/strict/strictness.ts'
import type { AnyMachine, MachineOf, Machines } from './types.ts'

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
  readonly limits?: GivenLimits | undefined
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
  /** The run's id. */
  readonly id: string
  /** Its machine, or a list of the machine's versions. */
  readonly machine: Machines<TMachine>
}
