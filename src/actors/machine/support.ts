import type { AnyStateMachine } from 'xstate'
import { XMachinesError } from '../errors.ts'
import { isLogic, isMachine } from './xstate.ts'

/**
 * Refuses, when a machine is defined, what a durable run could only drop or fail to restore later.
 * What shows at run time only (`spawn(logic)` inside a function) is refused in the step; see `Draft.adopt`.
 */
export function refuseUnsupported(machine: AnyStateMachine, seen: Set<AnyStateMachine> = new Set()): void {
  // A machine may be its own child.
  if (seen.has(machine)) return
  seen.add(machine)
  for (const [name, action] of Object.entries(machine.implementations.actions)) {
    const path = `actions['${name}']`
    if (name.startsWith('xstate.'))
      throw unsupported(machine, path, 'An action name may not start with "xstate.". Rename it.')
    refuseSpawn(machine, action, path)
  }
  for (const [name, logic] of Object.entries(machine.implementations.actors))
    refuseLogic(machine, `actors['${name}']`, logic, seen)
  walk(machine, machine.config as unknown as NodeConfig, machine.id, seen)
}

/** Logic that starts something must be one of XState's kinds: nothing else says how its outcomes come back. */
function refuseLogic(machine: AnyStateMachine, path: string, logic: unknown, seen: Set<AnyStateMachine>): void {
  if (isMachine(logic)) return refuseUnsupported(logic, seen)
  if (!isLogic(logic))
    throw unsupported(
      machine,
      path,
      'It is no actor logic. Use a machine, fromPromise, fromCallback, fromObservable or fromTransition.',
    )
  if ('start' in logic && typeof (logic as { config?: unknown }).config !== 'function') {
    throw unsupported(
      machine,
      path,
      'A custom logic with `start` cannot be recorded. Wrap it with fromPromise, fromCallback or fromObservable.',
    )
  }
}

/** A state node's config, as far as it is looked at here. */
interface NodeConfig {
  readonly entry?: unknown
  readonly exit?: unknown
  readonly invoke?: unknown
  readonly on?: Readonly<Record<string, unknown>>
  readonly after?: Readonly<Record<string, unknown>>
  readonly always?: unknown
  readonly onDone?: unknown
  readonly initial?: unknown
  readonly states?: Readonly<Record<string, NodeConfig>>
}

function walk(machine: AnyStateMachine, node: NodeConfig, path: string, seen: Set<AnyStateMachine>): void {
  actions(machine, node.entry, `${path}.entry`)
  actions(machine, node.exit, `${path}.exit`)
  transitions(machine, node.always, `${path}.always`)
  transitions(machine, node.onDone, `${path}.onDone`)
  transitions(machine, node.initial, `${path}.initial`)
  for (const [event, value] of Object.entries(node.on ?? {})) transitions(machine, value, `${path}.on.${event}`)
  for (const [delay, value] of Object.entries(node.after ?? {})) transitions(machine, value, `${path}.after.${delay}`)
  list(node.invoke).forEach((value, index) => {
    const invoke = value as { src?: unknown; onDone?: unknown; onError?: unknown; onSnapshot?: unknown }
    const at = `${path}.invoke[${index}]`
    if (typeof invoke.src === 'string') refuseUnknown(machine, `${at}.src`, invoke.src)
    else refuseLogic(machine, `${at}.src`, invoke.src, seen)
    transitions(machine, invoke.onDone, `${at}.onDone`)
    transitions(machine, invoke.onError, `${at}.onError`)
    transitions(machine, invoke.onSnapshot, `${at}.onSnapshot`)
  })
  for (const [key, child] of Object.entries(node.states ?? {})) walk(machine, child, `${path}.${key}`, seen)
}

function transitions(machine: AnyStateMachine, value: unknown, path: string): void {
  list(value).forEach(item => {
    if (typeof item === 'object' && item !== null && 'actions' in item)
      actions(machine, item.actions, `${path}.actions`)
  })
}

function actions(machine: AnyStateMachine, value: unknown, path: string): void {
  for (const [index, action] of list(value).entries()) refuseSpawn(machine, action, `${path}[${index}]`)
}

function refuseSpawn(machine: AnyStateMachine, action: unknown, path: string): void {
  if (typeof action !== 'function' || !('type' in action) || action.type !== 'xstate.spawnChild') return
  const { src } = action as { src?: unknown }
  if (typeof src === 'string') return refuseUnknown(machine, path, src)
  throw unsupported(
    machine,
    path,
    'spawnChild was given a logic object, which cannot be restored. Register it in setup({ actors }) and spawn it by name.',
  )
}

/** XState would go on without the child, and fail at the first event for it. */
function refuseUnknown(machine: AnyStateMachine, path: string, src: string): void {
  if (src.startsWith('xstate.invoke.') || Object.hasOwn(machine.implementations.actors, src)) return
  throw unsupported(machine, path, `There is no actor '${src}'. Register it in setup({ actors: { ${src}: … } }).`)
}

function list(value: unknown): readonly unknown[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}

function unsupported(machine: AnyStateMachine, path: string, what: string): XMachinesError {
  return new XMachinesError(
    'MACHINE_UNSUPPORTED',
    `The machine '${machine.id}' cannot be run durably, at ${path}: ${what}`,
    { details: { machine: machine.id, path } },
  )
}
