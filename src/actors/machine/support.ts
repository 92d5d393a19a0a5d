import type { AnyStateMachine } from 'xstate'
import { XMachinesError } from '../errors.ts'
import { isLogic, isMachine } from './xstate.ts'

/**
 * Refuses, when a machine is defined, what a durable run could only drop or fail to restore later.
 * What shows at run time only (`spawn(logic)` inside a function) is refused in the step; see `Draft.adopt`.
 */
export function refuseUnsupported(machine: AnyStateMachine): void {
  for (const name of Object.keys(machine.implementations.actions)) {
    if (name.startsWith('xstate.'))
      throw unsupported(machine, `actions['${name}']`, 'An action name may not start with "xstate.". Rename it.')
  }
  for (const [name, logic] of Object.entries(machine.implementations.actors))
    refuseLogic(machine, `actors['${name}']`, logic)
  walk(machine, machine.config as unknown as NodeConfig, machine.id)
}

/** Logic that starts something must be one of XState's kinds: nothing else says how its outcomes come back. */
function refuseLogic(machine: AnyStateMachine, path: string, logic: unknown): void {
  if (isMachine(logic)) return refuseUnsupported(logic)
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

function walk(machine: AnyStateMachine, node: NodeConfig, path: string): void {
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
    if (typeof invoke.src !== 'string') refuseLogic(machine, `${at}.src`, invoke.src)
    else if (!invoke.src.startsWith('xstate.invoke.') && !(invoke.src in machine.implementations.actors)) {
      throw unsupported(
        machine,
        `${at}.src`,
        `There is no actor '${invoke.src}'. Register it in setup({ actors: { ${invoke.src}: … } }).`,
      )
    }
    transitions(machine, invoke.onDone, `${at}.onDone`)
    transitions(machine, invoke.onError, `${at}.onError`)
    transitions(machine, invoke.onSnapshot, `${at}.onSnapshot`)
  })
  for (const [key, child] of Object.entries(node.states ?? {})) walk(machine, child, `${path}.${key}`)
}

function transitions(machine: AnyStateMachine, value: unknown, path: string): void {
  list(value).forEach(item => {
    if (typeof item === 'object' && item !== null && 'actions' in item)
      actions(machine, item.actions, `${path}.actions`)
  })
}

function actions(machine: AnyStateMachine, value: unknown, path: string): void {
  list(value).forEach((action, index) => {
    if (typeof action !== 'function' || !('type' in action) || action.type !== 'xstate.spawnChild') return
    if (typeof (action as { src?: unknown }).src !== 'string') {
      throw unsupported(
        machine,
        `${path}[${index}]`,
        'spawnChild was given a logic object, which cannot be restored. Register it in setup({ actors }) and spawn it by name.',
      )
    }
  })
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
