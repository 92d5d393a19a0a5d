import type { InputFrom } from 'xstate'
import type { BrokerConsumer, BrokerProducer, BrokerRecord, GroupTerms } from '../contracts/broker.ts'
import type { Store } from '../contracts/store.ts'
import type { Telemetry } from '../contracts/telemetry.ts'
import type { TimeMode } from '../contracts/unit.ts'
import type { Environment } from '../environment.ts'
import { givenStore } from '../given.ts'
import { checkName } from '../identity/run-key.ts'
import { type EventLimits, type GivenLimits, limitsOf } from '../json/event-copy.ts'
import type { Inspect } from '../machine/inspection.ts'
import type { Program } from '../machine/program.ts'
import type { Strictness } from '../machine/strict/strictness.ts'
import type { AnyMachine, MachineOf, Machines } from '../run/types.ts'
import { programsOf } from '../run/versions.ts'
import { type Backoff, defaultBackoff } from './backoff.ts'

/** What a record says. */
export interface Decoded {
  /** Names the run. */
  readonly key: string
  /** An event, or an array of them: a batch. Checked at the border, as every event from outside. */
  readonly events: unknown
  /** When it happened, ms; of meaning under `time: 'source'`. @default the record's timestamp; without one, the run's last time */
  readonly at?: number | undefined
}

/** What becomes of a run that cannot be loaded or decided, for a reason that is its own. */
export interface RestartPolicy {
  /** How often it is tried before it is parked. @default 3 */
  readonly attempts?: number | undefined
  /** How long to wait after the `attempt`-th failure, counted from 1, ms. @default 100, doubled each time, at most 10_000 */
  readonly backoff?: Backoff | undefined
  /** More parked runs than this stop their lease. @default 10 */
  readonly maxParked?: number | undefined
}

/**
 * Makes a run's input of a record. A conditional type, so that the compiler asks the machine for its input before it reads the
 * function: else a word in there is any string.
 */
export type RecordInput<TMachine extends AnyMachine = AnyMachine> = [TMachine] extends [AnyMachine]
  ? (record: BrokerRecord) => InputFrom<MachineOf<TMachine>>
  : never

/** Options of {@link supervise}. */
export interface SuperviseOptions<TMachine extends AnyMachine = AnyMachine> {
  /**
   * What the runs are of. Of a list, the first makes new runs, others of its id go on with the runs of their version. Machines of
   * other ids are those of child runs (`spawnRun`): the supervisor looks after them, too, in the namespace of their id.
   */
  readonly machine: Machines<TMachine>
  readonly store: Store
  /** Where the records come from. The supervisor reads it and closes it. */
  readonly consumer: BrokerConsumer
  /** Where outputs go: one record each. @default they are kept in the history only */
  readonly results?: BrokerProducer | undefined
  /** Where refused records go. @default none: a refused record stops its lease, loudly */
  readonly deadLetters?: BrokerProducer | undefined
  /** What the runs are named in. Not with several topics: each is its own. @default the topic */
  readonly namespace?: string | undefined
  /**
   * What a record says. One that it throws for is refused, as one without a usable key.
   * @default the key is the record's as UTF-8, the value is JSON: an event, or an array of them
   */
  readonly decode?: ((record: BrokerRecord) => Decoded) | undefined
  /**
   * What a record with a key and without a value means: `'stop'` ends the run of its key as `run.stop('tombstone')` does; where
   * there is none, or where it has ended, it is settled and nothing happens. `decode` is then asked for its key alone.
   * @default 'refuse': it is refused, as a record that says nothing
   */
  readonly tombstones?: 'refuse' | 'stop' | undefined
  /** The input of a new run, from its first record: JSON. @default none */
  readonly input?: RecordInput<TMachine> | undefined
  /** What is handed over in order: the records of each run, or one record of the partition after another. @default 'key' */
  readonly ordering?: 'key' | 'partition' | undefined
  /**
   * Records of a partition that may be unsettled; beyond them nothing more of it is handed over. Many in hand make few and
   * large appends. @default 4096; for each lease beyond the eighth what its number makes of 32,768, and 1024 at least
   */
  readonly window?: number | undefined
  /** Runs in memory; the least recently used go first. Those with effects in flight stay, beyond the number if need be. @default 10_000 */
  readonly residents?: number | undefined
  /** How long a run stays in memory without a record, ms. @default 300_000 */
  readonly idle?: number | undefined
  /** How long a revoked lease may take to settle what it has in hand, ms. Less than the broker grants. @default 20_000 */
  readonly drain?: number | undefined
  /** What becomes of runs that cannot be loaded or decided. @default tried three times, then parked; ten such runs at most */
  readonly restart?: RestartPolicy | undefined
  /** How the runs read time; fixed for each at its creation. @default 'arrival' */
  readonly time?: TimeMode | undefined
  /** How large events may be. @default 1 MiB each, 64 levels, 10,000 in a batch */
  readonly limits?: GivenLimits | undefined
  /** Whether units are decided strictly, as for `openRun`; `{ sample }` is a share of them. @default outside production, where `NODE_ENV` is not 'production' */
  readonly strict?: Strictness | undefined
  /** Shows every run that comes into memory to an inspector, as `openRun` does. @default nobody inspects */
  readonly inspect?: Inspect | undefined
  /** Measures the runs, and how far the leases are behind, as for `openRun`. @default nobody measures */
  readonly telemetry?: Telemetry | undefined
}

/** The options, checked and complete. */
export interface Settings {
  readonly environment: Environment
  readonly programs: readonly [Program, ...Program[]]
  readonly store: Store
  readonly consumer: BrokerConsumer
  readonly results: BrokerProducer | undefined
  readonly deadLetters: BrokerProducer | undefined
  readonly namespace: string | undefined
  /** What all supervisors of the group must have alike. */
  readonly terms: GroupTerms
  readonly decode: ((record: BrokerRecord) => Decoded) | undefined
  readonly tombstones: 'refuse' | 'stop'
  readonly input: ((record: BrokerRecord) => unknown) | undefined
  /** `undefined`: the leases have shares. */
  readonly window: number | undefined
  readonly residents: number
  readonly idle: number
  readonly drain: number
  readonly attempts: number
  readonly backoff: Backoff
  readonly maxParked: number
  readonly time: TimeMode
  readonly limits: EventLimits
  readonly inspect: Inspect | undefined
  readonly telemetry: Telemetry | undefined
  /** New runs are held, as forks are: nobody starts an effect of theirs. */
  readonly held: boolean
}

/** @throws TypeError for an option that cannot be meant; what `defineMachine` throws for the machine */
export function settingsOf(options: SuperviseOptions, environment: Environment, held: boolean): Settings {
  const store = givenStore(options)
  const { consumer, results, deadLetters, namespace, decode, restart = {}, ordering = 'key' } = options
  const {
    tombstones = 'refuse',
    time = 'arrival',
    window,
    residents = 10_000,
    idle = 300_000,
    drain = 20_000,
  } = options
  const { attempts = 3, backoff = defaultBackoff, maxParked = 10 } = restart
  if (!Array.isArray(consumer?.topics))
    throw misuse('consumer', 'what `broker.consumer({ topic, group })` gives', consumer)
  for (const [name, producer] of Object.entries({ results, deadLetters }))
    if (producer !== undefined && typeof producer?.send !== 'function')
      throw misuse(name, 'what `broker.producer({ topic })` gives', producer)
  if (ordering !== 'key' && ordering !== 'partition') throw misuse('ordering', "'key' or 'partition'", ordering)
  if (tombstones !== 'refuse' && tombstones !== 'stop') throw misuse('tombstones', "'refuse' or 'stop'", tombstones)
  if (time !== 'arrival' && time !== 'source') throw misuse('time', "'arrival' or 'source'", time)
  if (namespace !== undefined) checkName('namespace', namespace)
  if (namespace !== undefined && consumer.topics.length > 1)
    throw new TypeError(
      `Expected no \`namespace\` with several topics (${consumer.topics.join(', ')}): each topic is its own. Supervise them one by one.`,
    )
  // More would fill the mailbox of a run that stands still.
  if (window !== undefined) checkCount('window', window, 1, 32_768)
  checkCount('residents', residents, 1)
  checkCount('restart.attempts', attempts, 1)
  checkCount('restart.maxParked', maxParked, 0)
  checkTime('idle', idle)
  checkTime('drain', drain)
  for (const [name, hook] of Object.entries({ decode, input: options.input, 'restart.backoff': backoff }))
    if (hook !== undefined && typeof hook !== 'function') throw misuse(name, 'a function', hook)
  return {
    environment,
    programs: programsOf(options.machine, store.objectFormat, options.strict),
    store,
    consumer,
    results,
    deadLetters,
    namespace,
    terms: {
      ...(ordering === 'key' ? {} : { ordering }),
      ...(time === 'arrival' ? {} : { time }),
      ...(tombstones === 'refuse' ? {} : { tombstones }),
      ...(namespace === undefined || namespace === consumer.topics[0] ? {} : { namespace }),
    },
    decode,
    tombstones,
    input: options.input,
    // One record after another is a window of one.
    window: ordering === 'partition' ? 1 : window,
    residents,
    idle,
    drain,
    attempts,
    backoff,
    maxParked,
    time,
    limits: limitsOf(options.limits),
    inspect: options.inspect,
    telemetry: options.telemetry,
    held,
  }
}

function checkCount(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (!Number.isSafeInteger(value) || value < least || value > most)
    throw misuse(name, `a whole number from ${least}${most === Number.MAX_SAFE_INTEGER ? '' : ` to ${most}`}`, value)
}

function checkTime(name: string, value: number): void {
  if (typeof value !== 'number' || !(value >= 0)) throw misuse(name, 'milliseconds from 0', value)
}

function misuse(name: string, expected: string, got: unknown): TypeError {
  return new TypeError(`Expected \`${name}\` to be ${expected}, got \`${String(got)}\` (${typeof got}).`)
}
