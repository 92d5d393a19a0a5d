import { type AnyActorLogic, type AnyStateMachine, and, assign, createMachine, fromTransition } from 'xstate'
import {
  buildAction,
  buildGuard,
  type Context,
  leaf,
  type Parts,
  type Place,
  pick,
  ranks,
  registered,
} from './build-actions.ts'
import type {
  ActionDescription,
  InvokeDescription,
  MachineDescription,
  NodeDescription,
  Recorder,
  TransitionDescription,
} from './machine-description.ts'
import { type OutsideLogic, selfContained } from './outside-logic.ts'

const descriptors: readonly (readonly [descriptor: string, rank: number])[] = [
  ...ranks.flatMap((types, rank) => types.filter(type => type !== 'D.y').map(type => [type, rank] as const)),
  ['D.*', 0],
  ['*', leaf],
]
/** How often in an actor's life a transition is taken that could otherwise go round for ever. */
const bound = 3

/** Builds the machine that a description stands for. `record` hears its custom actions; `outside` is what it invokes with effects. */
export function buildMachine(
  description: MachineDescription,
  record: Recorder = () => {},
  outside: OutsideLogic = selfContained,
  id = 'm',
): AnyStateMachine {
  const actors: Record<string, AnyActorLogic> = description.effects ? { ...outside } : {}
  for (const [i, child] of description.children.entries())
    actors[`kid${i}`] = buildMachine(child, record, outside, `${id}k${i}`)
  actors.sum = fromTransition(
    (state: { count: number; last: string }, event) => ({ count: state.count + 1, last: event.type }),
    { count: 0, last: '' },
  )
  if (description.context === 'throws') {
    actors.touchy = fromTransition((count: number) => {
      if (count >= 2) throw new Error('touched too often')
      return count + 1
    }, 0)
  }
  const nodes: string[] = []
  collect(description.root, `#${id}`, nodes)
  const parts: Parts = { record, sources: Object.keys(actors), nodes: nodes.length > 0 ? nodes : [`#${id}`] }
  const root = new NodeBuilder(parts, actors, nodes)
  const config = { id, context: context(description), ...root.node(description.root, `#${id}`) }
  return createMachine(config as never, { ...registered(record), actors } as never) as unknown as AnyStateMachine
}

function context(description: MachineDescription): unknown {
  const empty: Context = { n: 0, kids: 0, delayed: 0, seen: [], refs: {} }
  if (description.context === 'object') return empty
  return ({ input }: { input?: { seed?: number } }): Context => {
    const seed = input?.seed ?? 0
    if (description.context === 'throws' && seed % 5 === 4) throw new Error('thrown by context')
    return { ...empty, n: seed % 2 }
  }
}

function collect(node: NodeDescription, path: string, into: string[]): void {
  if (!hasStates(node)) return
  for (const [i, child] of node.states.entries()) {
    into.push(`${path}.s${i}`)
    collect(child, `${path}.s${i}`, into)
  }
}

/** Whether the states of a description become states of the machine. */
function hasStates(node: NodeDescription): boolean {
  return node.type !== 'final' && !isHistory(node) && node.states.some(child => !isHistory(child))
}

/** What can be the initial state: a final one only where there is no other. */
function initialStates(node: NodeDescription): readonly string[] {
  const states = [...node.states.entries()].filter(([, child]) => !isHistory(child))
  const going = states.filter(([, child]) => child.type !== 'final')
  return (going.length > 0 ? going : states).map(([i]) => `s${i}`)
}

function isHistory(node: NodeDescription): boolean {
  return node.type === 'shallow' || node.type === 'deep'
}

class NodeBuilder {
  readonly #parts: Parts
  readonly #actors: Readonly<Record<string, AnyActorLogic>>
  /** Everything that can be a target. */
  readonly #targets: readonly string[]

  constructor(parts: Parts, actors: Readonly<Record<string, AnyActorLogic>>, targets: readonly string[]) {
    this.#parts = parts
    this.#actors = actors
    this.#targets = targets
  }

  node(node: NodeDescription, path: string): Record<string, unknown> {
    if (isHistory(node)) return { type: 'history', history: node.type }
    const output = this.#output(node, path)
    const entry = this.#actions(node.entry, { label: `${path}:entry`, rank: 2, invoked: [], spawns: 'counted' })
    const exit = this.#actions(node.exit, { label: `${path}:exit`, rank: 2, invoked: invokedBy(node), spawns: 'never' })
    const tags = node.tagged ? [`tag of ${path}`] : []
    if (node.type === 'final') return { type: 'final', entry, exit, tags, ...output }
    const on: Record<string, unknown[]> = {}
    for (const transition of node.on) {
      const [descriptor, rank] = pick(descriptors, transition.event)
      ;(on[descriptor] ??= []).push(this.#transition(transition, node, `${path}:${descriptor}`, rank))
    }
    const after: Record<string, unknown[]> = {}
    for (const transition of node.after) {
      const delay = pick(['10', '20', 'short', 'calc'], transition.event)
      ;(after[delay] ??= []).push(this.#transition(transition, node, `${path}:after`, 0))
    }
    return {
      entry,
      exit,
      tags,
      on,
      after,
      ...(node.always.length === 0
        ? {}
        : { always: node.always.map(transition => this.#bounded(transition, node, `${path}:always`)) }),
      invoke: node.invoke.map((invoke, i) => this.#invoke(invoke, node, `${path}:invoke${i}`)),
      ...this.#states(node, path),
      ...output,
    }
  }

  #states(node: NodeDescription, path: string): object {
    if (!hasStates(node)) return {}
    const initial = initialStates(node)
    const states = Object.fromEntries(node.states.map((child, i) => [`s${i}`, this.node(child, `${path}.s${i}`)]))
    const onDone = node.done.map(transition => this.#transition(transition, node, `${path}:done`, leaf))
    if (node.type === 'parallel') return { type: 'parallel', states, onDone }
    const target = pick(initial, node.initial)
    const actions = this.#actions(node.entry.slice(0, 1), {
      label: `${path}:initial`,
      rank: 2,
      invoked: [],
      spawns: 'counted',
    })
    return { initial: node.initial % 2 === 0 ? target : { target, actions }, states, onDone }
  }

  #invoke(invoke: InvokeDescription, node: NodeDescription, label: string): object {
    const name = pick(this.#parts.sources, invoke.src)
    const hears = (list: readonly TransitionDescription[], what: string): unknown =>
      list.length === 0 ? undefined : list.map(item => this.#transition(item, node, `${label}:${what}`, leaf))
    return {
      src: invoke.inline ? this.#actors[name] : name,
      ...(invoke.id === 0 ? {} : { id: idOf(invoke) }),
      ...(invoke.systemId ? { systemId: `s${invoke.src % 6}` } : {}),
      input: ({ context }: { context: Context }) => ({ seed: context.n }),
      onDone: hears(invoke.done, 'done'),
      onError: hears(invoke.error, 'error'),
      onSnapshot: hears(invoke.snapshot, 'snapshot'),
    }
  }

  #transition(transition: TransitionDescription, node: NodeDescription, label: string, rank: number): object {
    if (rank >= leaf && transition.target !== null) return this.#bounded(transition, node, label)
    const target = this.#target(transition)
    return {
      ...(target === undefined ? {} : { target }),
      ...(transition.reenter ? { reenter: true } : {}),
      ...(transition.guard === null ? {} : { guard: buildGuard(transition.guard, this.#parts) }),
      actions: this.#actions(transition.actions, {
        label,
        rank,
        invoked: invokedBy(node),
        spawns: rank < leaf ? 'counted' : 'never',
      }),
    }
  }

  /** One that is taken a few times only in an actor's life. What it sends goes nowhere: new actors come with new lives. */
  #bounded(transition: TransitionDescription, node: NodeDescription, label: string): object {
    const few = ({ context }: { context: Context }): boolean => context.n < bound
    const guard = transition.guard === null ? few : and([few as never, buildGuard(transition.guard, this.#parts)])
    const place: Place = { label, rank: 2, invoked: invokedBy(node), spawns: 'freely' }
    const target = this.#target(transition)
    return {
      ...(target === undefined ? {} : { target }),
      guard,
      actions: [
        assign({ n: ({ context }: { context: Context }) => context.n + 1 }),
        ...this.#actions(transition.actions, place),
      ],
    }
  }

  #target({ target }: TransitionDescription): string | undefined {
    return target === null || this.#targets.length === 0 ? undefined : pick(this.#targets, target)
  }

  #actions(actions: readonly ActionDescription[], place: Place): unknown[] {
    return actions.map((action, i) => buildAction(action, { ...place, label: `${place.label}[${i}]` }, this.#parts))
  }

  #output(node: NodeDescription, path: string): object {
    switch (node.output) {
      case 0:
        return {}
      case 1:
        return { output: { of: path } }
      default:
        return {
          output: ({ context }: { context: Context }) => {
            if (node.output === 3 && context.n % 3 === 0) throw new Error(`thrown by output of ${path}`)
            return { of: path, n: context.n }
          },
        }
    }
  }
}

function idOf(invoke: InvokeDescription): string {
  return `c${invoke.id % 2}`
}

/** The ids that a node's own handlers can send to without a doubt. */
function invokedBy(node: NodeDescription): readonly string[] {
  return node.invoke.filter(invoke => invoke.id !== 0).map(idOf)
}
