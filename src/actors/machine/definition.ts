import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AnyStateMachine, EventFromLogic } from 'xstate'
import { XMachinesError } from '../errors.ts'
import { type InvocationPolicies, type InvocationRules, invocationRules } from './invocation-policy.ts'
import { type Migration, migrationsOf } from './migration.ts'
import { refuseUnsupported } from './support.ts'
import { isMachine } from './xstate.ts'

/** A Standard Schema (zod, valibot, arktype …) of events. */
export type EventSchema = StandardSchemaV1<unknown, { readonly type: string }>

/** What may come from outside: one schema of all events, or one for each type; then no other type is taken. */
export type EventSchemas = EventSchema | Readonly<Record<string, EventSchema>>

/** What becomes of a unit from outside whose guard or action throws. */
export type ErrorPolicy = 'reject' | 'fatal'

/** What XState has no word for, declared once beside the machine. */
export interface DefinitionOptions<
  TSchemas extends EventSchemas | undefined = undefined,
  TMachine extends AnyStateMachine = AnyStateMachine,
> {
  /** Part of the machine's identity: change it when code changes under an unchanged config. @default '1' */
  readonly version?: string | undefined
  /** What may come from outside: checked at the border, once; what it returns is recorded. Replay never runs it. */
  readonly events?: TSchemas | undefined
  /** An event from outside that no transition takes. `'accept'`: recorded, and ignored as XState does. @default 'accept' */
  readonly unhandled?: 'accept' | 'reject' | undefined
  /** A guard or action that throws on an event from outside: `'reject'` refuses the unit, `'fatal'` ends the run. @default 'reject' */
  readonly errors?: ErrorPolicy | ((error: unknown) => ErrorPolicy) | undefined
  /**
   * How invocations are carried out: after a crash, and if they fail. By the name of the logic in `setup({ actors })`, whichever
   * machine of the run invokes it. Not part of the machine's identity. @default 'retry' after a crash; one attempt if it fails
   */
  readonly invocations?: InvocationPolicies<TMachine> | undefined
  /** How runs of older versions go on with this one. Not part of the machine's identity. @default none: they are refused */
  readonly migrations?: readonly Migration[] | undefined
}

/** An XState machine with what a durable run needs to know of it. Made by {@link defineMachine}. */
export interface MachineDefinition<
  TMachine extends AnyStateMachine = AnyStateMachine,
  TSent = EventFromLogic<TMachine>,
> {
  readonly machine: TMachine
  readonly version: string
  readonly events: EventSchemas | undefined
  readonly unhandled: 'accept' | 'reject'
  readonly errors: ErrorPolicy | ((error: unknown) => ErrorPolicy)
  /** By the name of the logic; what is not in it has the defaults. */
  readonly invocations: ReadonlyMap<string, InvocationRules>
  readonly migrations: readonly Migration[]
  /** Only a type: what `in` and `apply` take. */
  readonly '~sent'?: TSent
}

/** What callers may send: the schema's input where there is one, else the machine's events. */
export type SentEvent<TMachine extends AnyStateMachine, TSchemas> = TSchemas extends StandardSchemaV1
  ? StandardSchemaV1.InferInput<TSchemas>
  : TSchemas extends Readonly<Record<string, StandardSchemaV1>>
    ? StandardSchemaV1.InferInput<TSchemas[keyof TSchemas]>
    : EventFromLogic<TMachine>

/** Whatever is accepted where a machine is asked for: a plain machine, or one with its declarations. */
export type AnyMachine = AnyStateMachine | MachineDefinition<AnyStateMachine, unknown>

/** The XState machine of what {@link AnyMachine} accepts. */
export type MachineOf<T> =
  T extends MachineDefinition<infer TMachine, infer _> ? TMachine : T extends AnyStateMachine ? T : never

const known: ReadonlySet<string> = new Set(['version', 'events', 'unhandled', 'errors', 'invocations', 'migrations'])

/**
 * Declares what XState has no word for, once, beside a machine. A plain machine is accepted everywhere too.
 *
 * @throws `MACHINE_INVALID` for what is no XState 5 machine; `MACHINE_UNSUPPORTED`, naming the place in the machine, for
 *   what a durable run cannot hold; `POLICY_INVALID` for an option that is not one.
 */
export function defineMachine<
  const TMachine extends AnyStateMachine,
  const TSchemas extends EventSchemas | undefined = undefined,
>(
  machine: TMachine,
  options: DefinitionOptions<TSchemas, TMachine> = {},
): MachineDefinition<TMachine, SentEvent<TMachine, TSchemas>> {
  if (!isMachine(machine)) {
    throw new XMachinesError(
      'MACHINE_INVALID',
      `Expected an XState 5 machine, got ${typeof machine}. Pass what \`createMachine\` or \`setup().createMachine\` returned.`,
    )
  }
  for (const name of Object.keys(options)) {
    if (!known.has(name))
      throw new XMachinesError(
        'POLICY_INVALID',
        `The machine '${machine.id}' has no option \`${name}\`. There are: ${[...known].join(', ')}.`,
        { details: { option: name } },
      )
  }
  const { version = '1', events, unhandled = 'accept', errors = 'reject' } = options
  if (typeof version !== 'string' || version === '') throw invalid('version', 'a non-empty string', version)
  if (unhandled !== 'accept' && unhandled !== 'reject') throw invalid('unhandled', "'accept' or 'reject'", unhandled)
  if (errors !== 'reject' && errors !== 'fatal' && typeof errors !== 'function')
    throw invalid('errors', "'reject', 'fatal' or a function", errors)
  if (events !== undefined && !isSchemas(events))
    throw invalid('events', 'a Standard Schema or a map from event type to one', events)
  refuseUnsupported(machine)
  const invocations = invocationRules(machine, options.invocations)
  const migrations = migrationsOf(machine, options.migrations)
  return Object.freeze({ machine, version, events, unhandled, errors, invocations, migrations })
}

/** A definition as it is, or that of a plain machine. */
export function toDefinition(machine: AnyMachine): MachineDefinition {
  if (isMachine(machine)) return defineMachine(machine)
  if (typeof machine === 'object' && machine !== null && isMachine((machine as MachineDefinition).machine))
    return machine as MachineDefinition
  throw new XMachinesError(
    'MACHINE_INVALID',
    `Expected an XState 5 machine or the result of \`defineMachine\`, got ${machine === null ? 'null' : typeof machine}.`,
  )
}

function isSchemas(value: unknown): value is EventSchemas {
  if (isSchema(value)) return true
  return typeof value === 'object' && value !== null && Object.values(value).every(isSchema)
}

/** Whether `value` is a Standard Schema. */
export function isSchema(value: unknown): value is EventSchema {
  return (typeof value === 'object' || typeof value === 'function') && value !== null && '~standard' in value
}

function invalid(option: string, expected: string, got: unknown): XMachinesError {
  return new XMachinesError(
    'POLICY_INVALID',
    `Expected \`${option}\` to be ${expected}, got \`${String(got)}\` (${typeof got}).`,
    { details: { option } },
  )
}
