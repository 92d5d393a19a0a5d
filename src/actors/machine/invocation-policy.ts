import type { AnyStateMachine, StateMachine } from 'xstate'
import { XMachinesError } from '../errors.ts'
import { isInside, isLogic, isMachine, nodesOf } from './xstate.ts'

/**
 * What becomes of an invocation that was started and has no outcome yet when its run is opened again: the process crashed,
 * or it was closed before the end.
 * - `'retry'`: started once more, under the same key;
 * - `'error'`: it ends with the error `INVOCATION_INTERRUPTED`, which `onError` takes;
 * - `'at-most-once'`: as `'error'`, and no attempt is ever followed by another.
 */
export type CrashPolicy = 'retry' | 'error' | 'at-most-once'

/** How long to wait before the next attempt: `initial`, multiplied by `factor` each time, at most `max`. */
export interface RetryBackoff {
  /** After the first attempt, ms. @default 1_000 */
  readonly initial?: number | undefined
  /** @default 2 */
  readonly factor?: number | undefined
  /** @default 60_000, or `initial` where that is more */
  readonly max?: number | undefined
}

/** How the invocations of one name are carried out. */
export interface InvocationOptions {
  /** After a crash. @default 'retry' */
  readonly crash?: CrashPolicy | undefined
  /** How many attempts there may be, those that a crash ended among them. @default 1 if it fails, any number after crashes */
  readonly attempts?: number | undefined
  /** Between an attempt that failed and the next one. After a crash, the next one comes at once. */
  readonly backoff?: RetryBackoff | undefined
  /** How long an attempt may take, ms: one that takes longer is aborted and fails with `INVOCATION_TIMED_OUT`. @default no limit */
  readonly timeout?: number | undefined
  /** How many may run in a process at a time, under this declaration; the others wait. @default no limit */
  readonly concurrency?: number | undefined
}

/** What `defineMachine` takes for an invocation: what to do after a crash, or that and more. */
export type InvocationPolicy = CrashPolicy | InvocationOptions

/** The names of what a machine or a machine inside of it can invoke. */
export type InvocationNames<TMachine> =
  TMachine extends StateMachine<
    infer _C,
    infer _E,
    infer _Ch,
    infer TActor,
    infer _A,
    infer _G,
    infer _D,
    infer _V,
    infer _T,
    infer _I,
    infer _O,
    infer _Em,
    infer _M,
    infer _S,
    infer _TM
  >
    ? NamesOf<TActor>
    : string

type NamesOf<TActor> = 0 extends 1 & TActor
  ? string
  : TActor extends { readonly src: infer TName extends string; readonly logic: infer TLogic }
    ? TLogic extends AnyStateMachine
      ? InvocationNames<TLogic>
      : TName
    : never

/** Policies by the name under which the logic is registered: `setup({ actors })`. Those of child machines among them. */
export type InvocationPolicies<TMachine> = { readonly [Name in InvocationNames<TMachine>]?: InvocationPolicy }

/** A policy, checked and complete. */
export interface InvocationRules {
  readonly crash: CrashPolicy
  /** Of attempts that failed, and of those that a crash ended. */
  readonly attempts: { readonly failed: number; readonly crashed: number }
  readonly backoff: { readonly initial: number; readonly factor: number; readonly max: number }
  readonly timeout: number | undefined
  readonly concurrency: number | undefined
}

const crashes = "'retry', 'error' or 'at-most-once'"
const known: ReadonlySet<string> = new Set(['crash', 'attempts', 'backoff', 'timeout', 'concurrency'])
const knownOfBackoff: ReadonlySet<string> = new Set(['initial', 'factor', 'max'])
/** The longest time that a platform's timer takes, ms: 24 days. */
const longest = 2_147_483_647

/** What holds for an invocation that nothing is declared for. */
export const defaultRules: InvocationRules = rulesOf('', {})

/**
 * Checks what is declared for invocations.
 *
 * @throws `POLICY_INVALID` for a name that the machine does not invoke, or a value that is not one
 */
export function invocationRules(machine: AnyStateMachine, policies: unknown): ReadonlyMap<string, InvocationRules> {
  const rules = new Map<string, InvocationRules>()
  if (policies === undefined) return rules
  if (!isRecord(policies)) throw invalid('invocations', 'a map from actor names to policies', policies)
  const names = invocationNames(machine)
  for (const [name, policy] of Object.entries(policies)) {
    if (policy === undefined) continue
    if (!names.has(name)) throw unknownName(machine, name, names)
    const options = typeof policy === 'string' ? { crash: policy } : policy
    if (!isRecord(options)) throw invalid(`invocations.${name}`, `${crashes} or an object of options`, policy)
    rules.set(name, rulesOf(`invocations.${name}`, options))
  }
  return rules
}

function rulesOf(path: string, options: Record<string, unknown>): InvocationRules {
  refuseUnknown(path, options, known)
  const { crash = 'retry', attempts, backoff = {}, timeout, concurrency } = options as InvocationOptions
  if (crash !== 'retry' && crash !== 'error' && crash !== 'at-most-once') throw invalid(`${path}.crash`, crashes, crash)
  checkCount(`${path}.attempts`, attempts)
  if (crash === 'at-most-once' && attempts !== undefined && attempts !== 1)
    throw invalid(`${path}.attempts`, "1 or left out, where `crash` is 'at-most-once'", attempts)
  checkTime(`${path}.timeout`, timeout)
  checkCount(`${path}.concurrency`, concurrency)
  refuseUnknown(`${path}.backoff`, backoff, knownOfBackoff)
  const { initial = 1000, factor = 2, max = Math.max(60_000, initial) } = backoff
  checkTime(`${path}.backoff.initial`, initial)
  checkTime(`${path}.backoff.max`, max)
  if (typeof factor !== 'number' || !(factor >= 1) || factor === Number.POSITIVE_INFINITY)
    throw invalid(`${path}.backoff.factor`, 'a number from 1', factor)
  return Object.freeze({
    crash,
    attempts: { failed: attempts ?? 1, crashed: attempts ?? Number.POSITIVE_INFINITY },
    backoff: { initial, factor, max },
    timeout,
    concurrency,
  })
}

function refuseUnknown(path: string, options: unknown, names: ReadonlySet<string>): void {
  const wrong = isRecord(options) ? Object.keys(options).find(name => !names.has(name)) : ''
  if (wrong !== undefined)
    throw invalid(path, `an object of ${[...names].join(', ')}`, isRecord(options) ? `{ ${wrong} }` : options)
}

function checkCount(path: string, value: unknown): void {
  if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= 1))
    throw invalid(path, 'a whole number from 1', value)
}

function checkTime(path: string, value: unknown): void {
  if (value !== undefined && !(typeof value === 'number' && value > 0 && value <= longest))
    throw invalid(path, `milliseconds, more than 0 and at most ${longest}`, value)
}

/** Names of logic that runs outside the steps, in the machine and the machines inside of it. */
function invocationNames(
  machine: AnyStateMachine,
  seen = new Set<AnyStateMachine>(),
  names = new Set<string>(),
): ReadonlySet<string> {
  if (seen.has(machine)) return names
  seen.add(machine)
  for (const [name, logic] of Object.entries(machine.implementations.actors as Record<string, unknown>)) {
    if (isMachine(logic)) invocationNames(logic, seen, names)
    else if (isLogic(logic) && !isInside(logic)) names.add(name)
  }
  for (const node of nodesOf(machine).values()) {
    const { invoke } = (node as unknown as { readonly config: { readonly invoke?: unknown } }).config
    for (const { src } of [invoke ?? []].flat() as { readonly src?: unknown }[])
      if (isMachine(src)) invocationNames(src, seen, names)
  }
  return names
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unknownName(machine: AnyStateMachine, name: string, names: ReadonlySet<string>): XMachinesError {
  const there = names.size === 0 ? 'There is none' : `There are: ${[...names].join(', ')}`
  return new XMachinesError(
    'POLICY_INVALID',
    `\`invocations\` of the machine '${machine.id}' names '${name}', which is no promise, callback or observable in its setup({ actors }). ${there}.`,
    { details: { option: `invocations.${name}` } },
  )
}

function invalid(option: string, expected: string, got: unknown): XMachinesError {
  const shown = typeof got === 'object' && got !== null ? 'an object' : `\`${String(got)}\` (${typeof got})`
  return new XMachinesError('POLICY_INVALID', `Expected \`${option}\` to be ${expected}, got ${shown}.`, {
    details: { option },
  })
}
