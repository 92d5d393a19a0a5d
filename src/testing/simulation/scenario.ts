import type { InputFrom } from 'xstate'
import type { Store } from '../../actors/contracts/store.ts'
import type { Strictness } from '../../actors/machine/strict/strictness.ts'
import type { AnyMachine, MachineOf, Machines, Receipt, RunSnapshot, SentTo } from '../../actors/run/types.ts'
import type { Random } from './random.ts'

/** An event, or a batch of them. */
export type Sending<TSent> = TSent | readonly TSent[]

/** What is sent, and to which run if not to the first. */
export type SimulatedEvent<TMachine extends AnyMachine = AnyMachine> =
  | Sending<SentTo<TMachine>>
  | { readonly run: string; readonly event: Sending<{ readonly type: string }> }

/**
 * What is sent: a list, or what makes it from the seed's randomness. A conditional type, so that the compiler asks the machine for
 * its events before it reads the function: else `type: 'ADD'` is any string in there.
 */
export type SimulatedScript<TMachine extends AnyMachine = AnyMachine> = [TMachine] extends [AnyMachine]
  ? readonly SimulatedEvent<TMachine>[] | ((random: Random) => readonly SimulatedEvent<TMachine>[])
  : never

/** A run of the simulation: of the scenario's machine, with its input, or of another one. */
export type SimulatedRun<TMachine extends AnyMachine = AnyMachine> =
  | {
      /** Names the run; the first run's is also where events go that name none. */
      readonly key: string
      readonly machine?: undefined
      /** What the machine starts with: JSON. @default none */
      readonly input?: InputFrom<MachineOf<TMachine>> | undefined
    }
  | {
      /** Names the run. */
      readonly key: string
      /** Another machine, or a list of its versions. */
      readonly machine: Machines
      /** What that machine starts with: JSON. @default none */
      readonly input?: unknown
    }

/** Where a run stands as an invariant looks at it. */
export interface SimulatedPlace {
  /** The run's key. */
  readonly run: string
  /** The seed. */
  readonly seed: number
}

/** What became of what was sent. */
export interface Sent<TMachine extends AnyMachine = AnyMachine> {
  /** The run's key. */
  readonly run: string
  /** As it was sent: an event, or a batch. */
  readonly events: Sending<{ readonly type: string }>
  /** The answer: of a refusal it has `ok: false`. */
  readonly receipt: Receipt<MachineOf<TMachine>>
}

/** Where everything stands at the end. */
export interface SimulationEnd<TMachine extends AnyMachine = AnyMachine> {
  /** The last state of each run, by its key. */
  readonly runs: Readonly<Record<string, RunSnapshot<MachineOf<TMachine>>>>
  /**
   * What was sent, in the order of the script. Each was taken once, or refused once, whatever happened meanwhile. Expect by
   * this, not by the script: of a failure that is being shortened, only some is sent.
   */
  readonly sent: readonly Sent<TMachine>[]
}

/** What is simulated. */
export interface Scenario<TMachine extends AnyMachine = AnyMachine> {
  /** The machine, or a list of its versions: the first makes new runs. */
  readonly machine: Machines<TMachine>
  /** @default one run */
  readonly runs?: readonly [SimulatedRun<TMachine>, ...SimulatedRun<TMachine>[]] | undefined
  /** What is sent, to each run in this order: a list, or what makes it from the seed's randomness. */
  readonly events: SimulatedScript<TMachine>
  /** Checked for every unit of every run of the scenario, not of the child runs that these spawn: fails by throwing, or by giving `false`. */
  readonly invariant?: ((snapshot: RunSnapshot<MachineOf<TMachine>>, place: SimulatedPlace) => unknown) | undefined
  /** Checked once nothing is left to be done, by child runs neither: fails by throwing, or by giving `false`. */
  readonly atEnd?: ((end: SimulationEnd<TMachine>) => unknown) | undefined
}

/** The world outside of the machines, for what stands in for it. */
export interface SimulatedWorld {
  readonly seed: number
  /** For what the world does. Not a machine's: it has `random()` of `xmachines`. */
  readonly random: Random
  /** Virtual time, ms since 1970. */
  now(): number
  /** Resolves when so much virtual time has passed, ms. It goes on when the process dies that asked for it: it is the world's. */
  sleep(ms: number): Promise<void>
}

/** How it is simulated. */
export interface SimulationOptions {
  /** How many seeds are tried. @default 100 */
  readonly seeds?: number | undefined
  /** The first of them. @default 1 */
  readonly from?: number | undefined
  /** This seed alone. */
  readonly seed?: number | undefined
  /** Sends only these of the script, by index. A failure that could be shortened says which. @default all */
  readonly keep?: readonly number[] | undefined
  /** How often at most a process dies, or is ended in order, in a seed. @default 2 */
  readonly crashes?: number | undefined
  /** How many writes at most fail in a seed: with nothing written, or with an unknown outcome. @default 2 */
  readonly faults?: number | undefined
  /** How many processes there are at a time. With several, the events of a run come to one and then another of them. @default 1 */
  readonly processes?: number | undefined
  /** A seed is over when nothing is left to be done, or so much virtual time after the last event was answered, ms. @default 3_600_000 */
  readonly duration?: number | undefined
  /** A run that needs something stands stuck if nothing happens for so long, virtual ms. @default 600_000 */
  readonly patience?: number | undefined
  /** What is behind the processes: a store that needs no time and no input of its own. @default a memory store */
  readonly store?: (() => Store) | undefined
  /** Whether steps are watched: see {@link Strictness}. @default on outside production */
  readonly strict?: Strictness | undefined
}

/** What {@link simulate} takes: a scenario, or what makes one for each seed. */
export type Simulation<TMachine extends AnyMachine = AnyMachine> = SimulationOptions &
  (Scenario<TMachine> | { readonly scenario: (world: SimulatedWorld) => Scenario<TMachine> })

/** What happened in a simulation that did not fail. */
export interface SimulationReport {
  readonly seeds: number
  /** Units that were recorded, creations not counted. */
  readonly units: number
  /** Processes that died, and processes that were ended in order. */
  readonly crashes: number
  readonly closes: number
  /** Writes that failed. */
  readonly faults: number
  /** What happened, line by line, if it was one `seed` alone: the same each time. */
  readonly trace: readonly string[]
}
