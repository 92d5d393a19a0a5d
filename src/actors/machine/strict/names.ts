import type { AnyStateMachine } from 'xstate'
import { type SendResolver, withSends } from '../send-action.ts'
import { isInside, isLogic, isMachine, type LiveLogic, nodesOf } from '../xstate.ts'
import { InPlaceChanges } from './in-place.ts'
import { doing } from './watch.ts'

type AnyFunction = (...args: unknown[]) => unknown
type Fields = Record<string, unknown>

/** A state node, as far as functions hang on it. */
interface Node {
  readonly id: string
  readonly type: string
  readonly entry: unknown[]
  readonly exit: unknown[]
  readonly transitions: ReadonlyMap<string, readonly Transition[]>
  readonly always?: readonly Transition[]
  readonly invoke: readonly Fields[]
  readonly initial: { actions: unknown[] }
  config: { readonly invoke?: unknown }
  output: unknown
}
interface Transition {
  actions: unknown[]
  guard?: unknown
}

/**
 * Has every part of a machine run under its name: registered actions, guards, delays and logic, and what stands inline, by
 * its place. Child machines are replaced by copies that are named too.
 *
 * @param machine a copy that nobody else has
 * @param chosen whether a custom action is watched: it runs after its step, and may change the context in place
 */
export function nameParts(
  machine: AnyStateMachine,
  chosen: () => boolean,
  named: Map<AnyStateMachine, AnyStateMachine> = new Map(),
): void {
  new Namer(machine, chosen, named).all()
}

class Namer {
  readonly #machine: AnyStateMachine
  readonly #chosen: () => boolean
  /** The copies by what they are copies of: a machine may be its own child. */
  readonly #named: Map<AnyStateMachine, AnyStateMachine>

  constructor(machine: AnyStateMachine, chosen: () => boolean, named: Map<AnyStateMachine, AnyStateMachine>) {
    this.#machine = machine
    this.#chosen = chosen
    this.#named = named
  }

  all(): void {
    const machine = this.#machine as unknown as { id: string; config: Fields }
    const { actions, guards, delays, actors } = this.#machine.implementations as unknown as Record<string, Fields>
    replace(actions!, (action, name) => this.#action(action, `The action '${name}'`))
    replace(guards!, (guard, name) => this.#guard(guard, `The guard '${name}'`))
    replace(delays!, (delay, name) => named(delay, `The delay '${name}'`))
    replace(actors!, (logic, name) => this.#logic(logic, name))
    machine.config = { ...machine.config, context: named(machine.config.context, `The context of '${machine.id}'`) }
    for (const node of nodesOf(this.#machine).values()) this.#node(node as unknown as Node)
  }

  #node(node: Node): void {
    const { id } = node
    this.#actions(node.entry, `the entry of '${id}'`)
    this.#actions(node.exit, `the exit of '${id}'`)
    for (const [event, transitions] of node.transitions)
      for (const transition of transitions) this.#transition(transition, `on '${event}' in '${id}'`)
    for (const transition of node.always ?? []) this.#transition(transition, `in \`always\` of '${id}'`)
    if (node.type === 'compound') {
      node.initial.actions = [...node.initial.actions]
      this.#actions(node.initial.actions, `in \`initial\` of '${id}'`)
    }
    for (const invoke of node.invoke) invoke.input = named(invoke.input, `The input of '${String(invoke.id)}'`)
    node.output = named(node.output, `The output of '${id}'`)
    const { invoke } = node.config
    if (invoke === undefined) return
    const list = (Array.isArray(invoke) ? invoke : [invoke]) as readonly Fields[]
    node.config = {
      ...node.config,
      invoke: list.map(one => ({ ...one, src: this.#logic(one.src, String(one.id ?? id)) })),
    }
  }

  #transition(transition: Transition, place: string): void {
    // The array may be the author's own.
    transition.actions = [...transition.actions]
    this.#actions(transition.actions, place)
    if (transition.guard !== undefined) transition.guard = this.#guard(transition.guard, `The guard ${place}`)
  }

  #actions(actions: unknown[], place: string): void {
    actions.forEach((action, index) => {
      const kind =
        typeof action === 'function' && 'type' in action ? String(action.type).replace('xstate.', '') : 'action'
      actions[index] = this.#action(action, `The ${kind} ${place.startsWith('the ') ? `in ${place}` : place}`)
    })
  }

  /** XState's own actions are resolved in the step; the author's run after it. */
  #action(action: unknown, name: string): unknown {
    if (typeof action === 'object' && action !== null) return withNamedParams(action as Fields, name)
    if (typeof action !== 'function') return action
    const part = action as AnyFunction & { readonly resolve?: AnyFunction }
    const sends = withSends(part, resolve => named(resolve, name) as SendResolver)
    if (sends !== undefined) return sends
    if (part.resolve === undefined) return this.#custom(part, name)
    return Object.assign((...args: unknown[]) => part(...args), part, { resolve: this.#resolve(part.resolve, name) })
  }

  /** What `enqueueActions` enqueues is resolved after it. */
  #resolve(resolve: AnyFunction, name: string): AnyFunction {
    return (...args) => {
      const [snapshot, params, actions] = doing(name, () => resolve(...args) as unknown[])
      if (!Array.isArray(actions)) return [snapshot, params, actions]
      return [snapshot, params, actions.map(action => this.#action(action, name))]
    }
  }

  #custom(action: AnyFunction, name: string): AnyFunction {
    const watchedAction = (info: unknown, params: unknown): unknown => {
      if (!this.#chosen()) return action(info, params)
      const changes = new InPlaceChanges()
      changes.hold((info as { readonly context?: unknown }).context, 'context')
      const result = action(info, params)
      const changed = changes.first()
      if (changed === undefined) return result
      changes.undo()
      throw changed(name)
    }
    // XState names an inline action by its function.
    return Object.defineProperty(watchedAction, 'name', { value: action.name })
  }

  #guard(guard: unknown, name: string): unknown {
    if (typeof guard === 'object' && guard !== null) return withNamedParams(guard as Fields, name)
    if (typeof guard !== 'function') return guard
    if (!('check' in guard)) return named(guard, name)
    const { guards } = guard as { readonly guards?: readonly unknown[] }
    return Object.assign(() => {}, guard, guards && { guards: guards.map(inner => this.#guard(inner, name)) })
  }

  #logic(logic: unknown, name: string): unknown {
    if (!isLogic(logic) || !isInside(logic)) return logic
    if (isMachine(logic)) return this.#child(logic)
    const { transition, getInitialSnapshot } = logic as unknown as LiveLogic
    return Object.assign(Object.create(logic) as object, {
      transition: named(transition, `The logic of '${name}'`),
      getInitialSnapshot: named(getInitialSnapshot, `The initial state of '${name}'`),
    })
  }

  #child(machine: AnyStateMachine): AnyStateMachine {
    let copy = this.#named.get(machine)
    if (copy === undefined) {
      copy = machine.provide({})
      this.#named.set(machine, copy)
      nameParts(copy, this.#chosen, this.#named)
    }
    return copy
  }
}

function replace(table: Fields, by: (value: unknown, name: string) => unknown): void {
  for (const [name, value] of Object.entries(table)) table[name] = by(value, name)
}

function withNamedParams(reference: Fields, name: string): Fields {
  if (typeof reference.params !== 'function') return reference
  return { ...reference, params: named(reference.params, `The params of ${String(reference.type)}: ${name}`) }
}

/** A function under a name, or whatever else stands there. */
function named(part: unknown, name: string): unknown {
  if (typeof part !== 'function') return part
  return function (this: unknown, ...args: unknown[]): unknown {
    return doing(name, () => Reflect.apply(part, this, args) as unknown)
  }
}
