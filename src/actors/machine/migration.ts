import type { AnyStateMachine } from 'xstate'
import type { JsonObject, JsonValue, RecordedEvent } from '../contracts/json.ts'
import type { RunStatus } from '../contracts/store.ts'
import { XMachinesError } from '../errors.ts'
import type { MachineDefinition } from './definition.ts'
import { isMachine } from './xstate.ts'

/** The state of a machine as XState's `getPersistedSnapshot()` gives it. */
export interface PersistedState {
  readonly status: RunStatus
  readonly value: JsonValue
  readonly context: JsonObject
  readonly historyValue?: JsonObject
  /** The child actors, by id. */
  readonly children: Readonly<Record<string, PersistedChild>>
  readonly output?: JsonValue
  readonly error?: JsonValue
}

/** A child actor of a {@link PersistedState}. */
export interface PersistedChild {
  readonly src: string
  /** Of a machine: a {@link PersistedState}. */
  readonly snapshot: JsonObject
  readonly systemId?: string
  readonly syncSnapshot?: boolean
}

/**
 * How runs of an older machine go on with this one. With neither `state` nor `event`, the state fits as it is. With both,
 * `state` is used, unless another step of a chain of migrations has only `event`.
 */
export interface Migration {
  /**
   * The machine that runs come from: itself or its definition; or a string: a `version` of a machine with the same id, or a
   * machine's commit (7 digits or more of it). The state of a run can be known only with its machine: pass it here, unless it
   * is in the list of machines anyway, or the migration has `event`.
   */
  readonly from: string | AnyStateMachine | MachineDefinition
  /** The version that it leads to: migrations compose. @default the version of the machine that it is declared with */
  readonly to?: string
  /** Maps the state. It may change the copy that it is given. */
  readonly state?: (persisted: PersistedState) => PersistedState
  /** Maps each recorded event; `null` drops it. Alone, the run is decided anew from its beginning with what it gives. */
  readonly event?: (
    event: RecordedEvent,
  ) => { readonly type: string } | readonly { readonly type: string }[] | null | undefined
}

const known: ReadonlySet<string> = new Set(['from', 'to', 'state', 'event'])

/**
 * Migrations as declared, checked.
 *
 * @throws `POLICY_INVALID`
 */
export function migrationsOf(machine: AnyStateMachine, declared: unknown): readonly Migration[] {
  if (declared === undefined) return []
  const at = `\`migrations\` of the machine '${machine.id}'`
  if (!Array.isArray(declared)) throw invalid(`Expected ${at} to be a list, got ${typeof declared}.`)
  const nameOf = (index: number): string => `\`migrations[${index}]\` of '${machine.id}'`
  const migrations = declared.map((migration: unknown, index) => checked(migration, nameOf(index)))
  for (const [index, migration] of migrations.entries()) {
    // The second of two would never be asked.
    const first = migrations.findIndex(({ from, to }) => from === migration.from && to === migration.to)
    if (first < index)
      throw invalid(`${nameOf(index)} leads the same way as \`migrations[${first}]\`, which would be taken. Keep one.`)
  }
  return Object.freeze(migrations)
}

function checked(migration: unknown, name: string): Migration {
  if (typeof migration !== 'object' || migration === null)
    throw invalid(`Expected ${name} to be an object such as { from: '1', state }, got \`${String(migration)}\`.`)
  const unknown = Object.keys(migration).find(key => !known.has(key))
  if (unknown !== undefined) throw invalid(`${name} has \`${unknown}\`. There are: ${[...known].join(', ')}.`)
  const { from, to, state, event } = migration as Record<string, unknown>
  if (!isMachineOrDefinition(from) && (typeof from !== 'string' || from === ''))
    throw invalid(
      `Expected \`from\` of ${name} to be a machine, a version or a machine's commit, got \`${String(from)}\`.`,
    )
  if (to !== undefined && (typeof to !== 'string' || to === ''))
    throw invalid(`Expected \`to\` of ${name} to be a version, got \`${String(to)}\`.`)
  for (const [key, value] of Object.entries({ state, event }))
    if (value !== undefined && typeof value !== 'function')
      throw invalid(`Expected \`${key}\` of ${name} to be a function, got \`${String(value)}\`.`)
  return Object.freeze({ ...(migration as Migration) })
}

function isMachineOrDefinition(value: unknown): boolean {
  return (
    isMachine(value) || (typeof value === 'object' && value !== null && isMachine((value as MachineDefinition).machine))
  )
}

function invalid(text: string): XMachinesError {
  return new XMachinesError('POLICY_INVALID', text, { details: { option: 'migrations' } })
}

/** The error of a migration that cannot be carried out: nothing of it happened. */
export function migrationFailed(why: string, cause: unknown, details: JsonObject = {}): XMachinesError {
  return new XMachinesError(
    'MIGRATION_FAILED',
    `The migration failed: ${why}. Nothing was changed: correct the migration and open the run again.`,
    { details, cause },
  )
}
