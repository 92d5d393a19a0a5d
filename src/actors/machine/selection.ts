import { type AnyStateMachine, assign, type EventObject } from 'xstate'
import { currentStep } from '../step.ts'
import {
  type LiveAssign,
  type LiveMachineSnapshot,
  type LiveNode,
  type LiveScope,
  type LiveTransition,
  nodesOf,
  snapshotWith,
} from './xstate.ts'

/** How many event types a configuration remembers, and how many configurations a machine: beyond it both start anew. */
const mostTypes = 512
const mostConfigurations = 4096

/** What a set of active nodes does with an event type, where that depends on nothing else. */
interface Selected {
  readonly transitions: readonly LiveTransition[]
  /** The assignments that are all the event does; `undefined` where it does more. */
  assigns: readonly LiveAssign[] | undefined
}

/** What is known of a sequence of active nodes, by event type, and the sequences that begin with it. */
interface Configuration {
  readonly byType: Map<string, Selected | null>
  readonly longer: Map<LiveNode, Configuration>
}

/**
 * Has a machine remember which transitions an event selects: replaces its `getTransitionData` and `transition`.
 *
 * Without guards the selection depends on the set of active nodes and the event's type alone, so XState's search for it
 * is done once for each pair (the whole set: with one node of it parallel states would go wrong). Where such an event
 * only assigns, in a machine without `always`, there is nothing to exit, enter or settle: the context changes and nothing
 * else. Both are held to XState by the differential suite.
 *
 * @param machine a copy that nobody else has
 */
export function rememberSelection(machine: AnyStateMachine): void {
  const { transition } = machine
  const selection = new Selection(machine)
  Object.assign(machine, {
    getTransitionData: selection.select.bind(selection),
    transition: (snapshot: LiveMachineSnapshot, event: EventObject, scope: LiveScope) =>
      selection.assign(snapshot, event, scope) ?? transition(snapshot as never, event, scope as never),
  })
}

class Selection {
  readonly #machine: AnyStateMachine
  readonly #search: (snapshot: LiveMachineSnapshot, event: EventObject) => readonly LiveTransition[]
  readonly #settles: boolean
  #none: Configuration = { byType: new Map(), longer: new Map() }
  #configurations = 0
  /** The last one that was asked for: an assignment leaves the nodes as they are. */
  #nodes: readonly LiveNode[] | undefined
  #known: Configuration | undefined

  constructor(machine: AnyStateMachine) {
    this.#machine = machine
    this.#search = machine.getTransitionData.bind(machine) as unknown as Selection['select']
    this.#settles = [...nodesOf(machine).values()].every(node => node.always === undefined || node.always.length === 0)
  }

  /** What `machine.getTransitionData` answers. */
  select(snapshot: LiveMachineSnapshot, event: EventObject): readonly LiveTransition[] {
    return this.#selected(snapshot, event)?.transitions ?? this.#search(snapshot, event)
  }

  /** The next snapshot, if the event only assigns; `undefined` sends the caller the whole way through XState. */
  assign(snapshot: LiveMachineSnapshot, event: EventObject, scope: LiveScope): LiveMachineSnapshot | undefined {
    if (!this.#settles) return undefined
    const selected = this.#selected(snapshot, event)
    if (selected?.assigns === undefined || !snapshot.context) return undefined
    if (selected.assigns.length === 0) return snapshot
    const step = currentStep()
    const taken = step?.taken ?? 0
    let context: LiveMachineSnapshot['context'] | undefined
    try {
      context = snapshot.context
      for (const { assignment } of selected.assigns) context = assigned(assignment, context, event, scope)
    } finally {
      if (spawning.asked) {
        // Actors are XState's to spawn: this event goes the whole way, now and always.
        spawning.asked = false
        selected.assigns = undefined
        if (step !== undefined) step.taken = taken
        // biome-ignore lint/correctness/noUnsafeFinally: what the refused spawn made the assigner throw is nobody's concern
        return undefined
      }
    }
    return snapshotWith(snapshot, context)
  }

  #selected(snapshot: LiveMachineSnapshot, event: EventObject): Selected | null {
    const { byType } = this.#configuration(snapshot._nodes)
    let selected = byType.get(event.type)
    if (selected === undefined) {
      selected = this.#dependsOnTypeAlone(snapshot._nodes, event.type)
        ? this.#describe(this.#search(snapshot, event), event.type)
        : null
      if (byType.size >= mostTypes) byType.clear()
      byType.set(event.type, selected)
    }
    return selected
  }

  #configuration(nodes: readonly LiveNode[]): Configuration {
    if (nodes === this.#nodes) return this.#known!
    let known = this.#none
    for (const node of nodes) known = known.longer.get(node) ?? this.#longer(known, node)
    this.#nodes = nodes
    this.#known = known
    return known
  }

  #longer(known: Configuration, node: LiveNode): Configuration {
    const longer: Configuration = { byType: new Map(), longer: new Map() }
    known.longer.set(node, longer)
    if (++this.#configurations >= mostConfigurations) {
      this.#configurations = 0
      this.#none = { byType: new Map(), longer: new Map() }
    }
    return longer
  }

  /** No active node has a guard on any transition that could match the type. */
  #dependsOnTypeAlone(nodes: readonly LiveNode[], type: string): boolean {
    if (!isWhole(nodes)) return false
    for (const node of nodes) {
      for (const [descriptor, transitions] of node.transitions) {
        if (descriptor !== type && !descriptor.includes('*')) continue
        if (transitions.some(transition => transition.guard !== undefined)) return false
      }
    }
    return true
  }

  #describe(transitions: readonly LiveTransition[], type: string): Selected {
    const [only] = transitions
    const plain = transitions.length <= 1 && only?.target === undefined && only?.reenter !== true && !isSpecial(type)
    return { transitions, assigns: plain ? this.#assigns(only?.actions ?? []) : undefined }
  }

  #assigns(actions: readonly unknown[]): readonly LiveAssign[] | undefined {
    const resolved = actions.map(action =>
      typeof action === 'string' ? this.#machine.implementations.actions[action] : action,
    )
    return resolved.every(isAssign) ? (resolved as unknown as readonly LiveAssign[]) : undefined
  }
}

/**
 * Whether every active node has its active children, and its parent. XState can lose some (a region that was exited by an event
 * that its own exit raised, or the root that a transition of its own exits), and then searches among nodes that are not active.
 */
function isWhole(nodes: readonly LiveNode[]): boolean {
  return nodes.every(({ type, states, parent }) => {
    if (parent !== undefined && !nodes.includes(parent)) return false
    if (type !== 'compound' && type !== 'parallel') return true
    const children = Object.values(states).filter(child => child.type !== 'history')
    return type === 'parallel'
      ? children.every(child => nodes.includes(child))
      : children.some(child => nodes.includes(child))
  })
}

/** Whether an assigner asked for an actor. */
const spawning = { asked: false }

function spawn(): never {
  spawning.asked = true
  throw new Error("This assigner spawns an actor: its event is XState's alone.")
}

/** The context after XState's `assign`. */
function assigned(
  assignment: LiveAssign['assignment'],
  context: LiveMachineSnapshot['context'],
  event: EventObject,
  { self, system }: LiveScope,
): LiveMachineSnapshot['context'] {
  const args = { context, event, spawn, self, system }
  if (typeof assignment === 'function') return Object.assign({}, context, assignment(args, undefined))
  const after: LiveMachineSnapshot['context'] = Object.assign({}, context)
  for (const key of Object.keys(assignment)) {
    const assigner = assignment[key]
    after[key] = typeof assigner === 'function' ? assigner(args, undefined) : assigner
  }
  return after
}

/** Types that XState does more about, or refuses. */
function isSpecial(type: string): boolean {
  return type === '*' || type.startsWith('xstate.')
}

/** XState's own `assign`, as it comes: strict mode puts something of its own in place of `resolve`. */
function isAssign(action: unknown): boolean {
  return typeof action === 'function' && 'assignment' in action && 'resolve' in action && action.resolve === resolve
}

const { resolve } = assign({}) as unknown as LiveAssign
