import type { ActionArgs, EventObject, InputFrom, MachineContext, ParameterizedObject } from 'xstate'
import type { JsonValue } from '../contracts/json.ts'
import type { ChildPolicy } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyJson } from '../json/json-copy.ts'
import { isWellFormed } from '../json/well-formed.ts'
import { type AnyMachine, type MachineOf, toDefinition } from './definition.ts'
import { type SendResolver, type Spawning, sendAction, shown, type TellAction } from './send-action.ts'

/** A value, or a function of what an action is given. */
type Given<TArgs, TParams, TValue> = TValue | ((args: TArgs, params: TParams) => TValue)

/** Options of {@link spawnRun}: what the child is called, and what becomes of it. */
export type SpawnOptions<TMachine extends AnyMachine, TArgs = never, TParams = never> = {
  /** The child's key in its namespace. One that names a run already, if that is not this spawn's child, is told as `RUN_EXISTS`. */
  readonly key: Given<TArgs, TParams, string>
  /** Where the key is unique. @default the id of the child's machine */
  readonly namespace?: string | undefined
  /** What becomes of a child that fails. `'restart'`: three times at most, after 100, 200 and 400 ms, then as `'stop'`. @default 'stop': the parent is told */
  readonly policy?: ChildPolicy | 'restart' | undefined
  /** Whether the child is stopped when the parent ends, however that ends, as XState's own children are. @default true */
  readonly linked?: boolean | undefined
} & (undefined extends InputFrom<MachineOf<TMachine>>
  ? {
      /** The machine's input: JSON. */
      readonly input?: Given<TArgs, TParams, InputFrom<MachineOf<TMachine>>> | undefined
    }
  : {
      /** The machine's input: JSON. */
      readonly input: Given<TArgs, TParams, InputFrom<MachineOf<TMachine>>>
    })

/**
 * What a parent gets when a child run of its own is done.
 * @typeParam TOutput the output of the child's machine
 */
export interface ChildDoneEvent<TOutput = unknown> {
  readonly type: 'xmachines.done.run'
  /** The run that ended: after a restart not the one that was spawned first. */
  readonly run: string
  /** What the parent called it. */
  readonly namespace: string
  readonly key: string
  /** Absent where the machine has none. */
  readonly output: TOutput
}

/**
 * What a parent gets when a child run of its own ended otherwise: it failed, was stopped (`RUN_STOPPED`), or could not be
 * created (`RUN_EXISTS`, or why its first step threw).
 */
export interface ChildErrorEvent {
  readonly type: 'xmachines.error.run'
  /** The run that ended; absent where none was created. */
  readonly run?: string
  readonly namespace: string
  readonly key: string
  /** `code` is that of the error that ended the child if it had one, else `STEP_FAILED`. */
  readonly error: { readonly name: string; readonly message: string; readonly code: string }
  /** The child was spawned with the policy `'escalate'`: this event ends the parent. */
  readonly escalates?: true
}

/** How often `policy: 'restart'` restarts. */
const restartsByDefault = 3

/**
 * An action that starts a child run: a run with a history of its own, in the same store. It is recorded with the step that
 * spawns it, and created once that is durable: once, also across crashes; a replay creates none. Its end comes back as
 * {@link ChildDoneEvent} or {@link ChildErrorEvent}.
 *
 * @example
 * entry: spawnRun(transfer, { key: ({ event }) => event.id, input: ({ event }) => ({ amount: event.amount }) })
 *
 * @throws at once: `MACHINE_INVALID`, `MACHINE_UNSUPPORTED`, `SPAWN_INVALID`; within the step: `SPAWN_INVALID`; where it is
 *   executed by something else than a run: `SPAWN_OUTSIDE_RUN`
 */
export function spawnRun<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TParams extends ParameterizedObject['params'] | undefined,
  TEvent extends EventObject,
  TMachine extends AnyMachine,
>(
  machine: TMachine,
  options: SpawnOptions<TMachine, ActionArgs<TContext, TExpressionEvent, TEvent>, TParams>,
): TellAction<TContext, TExpressionEvent, TParams, TEvent> {
  const { id } = toDefinition(machine).machine
  const { key, input, namespace = id, policy = 'stop', linked = true } = options as LooseOptions
  checkName('namespace', namespace)
  if (typeof linked !== 'boolean') throw invalid(`\`linked\` ${shown(linked)}`, 'true or false')
  const terms = { policy: policyOf(policy), linked }
  const resolve: SendResolver = (args, params): Spawning => {
    const given = typeof input === 'function' ? (input as Resolve)(args, params) : input
    const spawn = { namespace, key: checkName('key', typeof key === 'function' ? (key as Resolve)(args, params) : key) }
    const copied = given === undefined ? undefined : inputOf(given)
    return { spawn: Object.freeze(spawn), machine, ...(copied !== undefined && { input: copied }), ...terms }
  }
  return sendAction('spawnRun', resolve)
}

type Resolve = (args: unknown, params: unknown) => unknown

/** Options as a caller without types may give them. */
interface LooseOptions {
  readonly key?: unknown
  readonly input?: unknown
  readonly namespace?: string
  readonly policy?: unknown
  readonly linked?: boolean
}

function policyOf(policy: unknown): ChildPolicy {
  if (policy === 'restart') return Object.freeze({ restart: restartsByDefault })
  if (policy === 'stop' || policy === 'escalate') return policy
  const restart = typeof policy === 'object' && policy !== null && 'restart' in policy ? policy.restart : undefined
  if (Number.isSafeInteger(restart) && (restart as number) >= 0) return Object.freeze({ restart: restart as number })
  throw invalid(`the policy ${shown(policy)}`, "'stop', 'escalate', 'restart' or { restart: a whole number }")
}

function checkName(what: string, name: unknown): string {
  if (typeof name === 'string' && name !== '' && isWellFormed(name)) return name
  throw invalid(`the ${what} ${shown(name)}`, 'a string that is not empty')
}

function inputOf(given: unknown): JsonValue {
  try {
    return copyJson(given, { code: 'SPAWN_INVALID', name: 'The input of the child run' }, { undefinedIsAbsent: true })
  } catch (thrown) {
    if (XMachinesError.is(thrown)) throw thrown
    throw new XMachinesError('SPAWN_INVALID', `The input of the child run cannot be read: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

function invalid(got: string, expected: string): XMachinesError {
  return new XMachinesError('SPAWN_INVALID', `A child run was to be spawned with ${got}. Expected ${expected}.`)
}
