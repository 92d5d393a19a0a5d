import fc from 'fast-check'
import type { AnyStateMachine } from 'xstate'
import { ranks } from './build-actions.ts'
import { buildMachine } from './build-machine.ts'
import type {
  ActionDescription,
  GuardDescription,
  InvokeDescription,
  MachineDescription,
  NodeDescription,
  OutsideEvent,
  Recorder,
  ScriptStep,
  TransitionDescription,
} from './machine-description.ts'
import type { OutsideLogic } from './outside-logic.ts'

/** What generated machines may have. Everything but effects is on unless it is turned off. */
export interface MachineFeatures {
  /** Promises, callbacks and observables, invoked and spawned. The only one that is off unless it is turned on. */
  readonly effects?: boolean
  /** `after`, delayed `raise` and `sendTo`. */
  readonly timers?: boolean
  /** Child machines and `fromTransition` children, invoked and spawned. */
  readonly children?: boolean
  /** Guards, assignments, expressions, contexts and outputs that throw at times. */
  readonly throws?: boolean
  /** Guards. Without them transitions depend on the event's type alone. */
  readonly guards?: boolean
  readonly always?: boolean
  /** Final states: without them no run ends by itself. */
  readonly finals?: boolean
}

/** A generated machine: its description, and the machine. */
export interface GeneratedMachine {
  readonly description: MachineDescription
  /** A machine of its own at each call; `record` hears its custom actions, `outside` is what it invokes with effects. */
  build(record?: Recorder, outside?: OutsideLogic): AnyStateMachine
}

/** Machines, as data that shrinks, with what builds them. No generated machine loops for ever within a step. */
export function arbitraryMachine(features: MachineFeatures = {}): fc.Arbitrary<GeneratedMachine> {
  // What can throw soon does: most machines are to live longer.
  const descriptions =
    features.throws === false
      ? machine(features, mostLevels)
      : fc.oneof(
          { weight: 2, arbitrary: machine({ ...features, throws: false }, mostLevels) },
          { weight: 1, arbitrary: machine(features, mostLevels) },
        )
  return descriptions.map(description => ({
    description,
    build: (record, outside) => buildMachine(description, record, outside),
  }))
}

/** What happens to a run. Any script fits any generated machine. */
export function arbitraryScript(
  options: { readonly timers?: boolean; readonly batches?: boolean } = {},
): fc.Arbitrary<readonly ScriptStep[]> {
  const { timers = true, batches = true } = options
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ does: fc.constant('send' as const), event: outsideEvent }) },
      ...when(timers, {
        weight: 3,
        arbitrary: fc.record({ does: fc.constant('pass' as const), ms: fc.constantFrom(5, 10, 15, 25, 60) }),
      }),
      ...when(batches, {
        weight: 1,
        arbitrary: fc.record({
          does: fc.constant('batch' as const),
          events: fc.array(outsideEvent, { minLength: 1, maxLength: 4 }),
        }),
      }),
    ),
    { minLength: 3, maxLength: 16 },
  )
}

const outsideEvent: fc.Arbitrary<OutsideEvent> = fc.record({
  type: fc.constantFrom(...ranks.flat(), ...ranks[0], ...ranks[0], 'unknown'),
  by: fc.nat(3),
})

const small = fc.nat(9)
/** Machines below the root. */
const mostLevels = 2

function when<T>(on: boolean, ...items: T[]): T[] {
  return on ? items : []
}

/** None in `none` of three cases. */
function few<T>(arbitrary: fc.Arbitrary<T>, maxLength: number, none = 1): fc.Arbitrary<readonly T[]> {
  return fc.oneof(
    { weight: none, arbitrary: fc.constant([]) },
    { weight: 3 - none, arbitrary: fc.array(arbitrary, { minLength: 1, maxLength }) },
  )
}

function machine(features: MachineFeatures, levels: number): fc.Arbitrary<MachineDescription> {
  const { children = true, throws = true, effects = false } = features
  const own = {
    effects: fc.constant(effects),
    // Children are smaller: there are many of them.
    root: node(features, levels === mostLevels ? 2 : 1, true),
    context: throws
      ? fc.constantFrom('object' as const, 'object' as const, 'function' as const, 'throws' as const)
      : fc.constantFrom('object' as const, 'function' as const),
  }
  if (!children || levels === 0) return fc.record({ ...own, children: fc.constant([]) })
  return fc.record({ ...own, children: fc.array(machine(features, levels - 1), { maxLength: 2 }) })
}

function node(features: MachineFeatures, levels: number, isRoot = false): fc.Arbitrary<NodeDescription> {
  const { timers = true, children = true, finals = true, throws = true, always = true } = features
  const inner =
    levels === 0
      ? (['atomic', 'atomic', 'atomic', 'atomic'] as const)
      : (['atomic', 'compound', 'compound', 'parallel'] as const)
  const types: NodeDescription['type'][] = isRoot
    ? ['compound', 'compound', 'parallel']
    : [...inner, ...inner, 'shallow', 'deep', ...when<NodeDescription['type']>(finals, 'final')]
  const moves = transition(features)
  return fc.record({
    type: fc.constantFrom(...types),
    states: levels === 0 ? fc.constant([]) : fc.array(node(features, levels - 1), { minLength: 1, maxLength: 3 }),
    initial: small,
    entry: few(action(features), 3),
    exit: few(action(features), 2),
    on: fc.array(moves, { minLength: 1, maxLength: 6 }),
    always: always ? few(moves, 2, 2) : fc.constant([]),
    after: timers ? few(moves, 2, 2) : fc.constant([]),
    invoke: children ? few(invoke(features), 2, 2) : fc.constant([]),
    done: few(moves, 1, 2),
    tagged: fc.boolean(),
    output: fc.nat(throws ? 3 : 2),
  })
}

function transition(features: MachineFeatures): fc.Arbitrary<TransitionDescription> {
  const { guards = true } = features
  return fc.record({
    event: fc.nat(40),
    target: fc.option(fc.nat(20)),
    reenter: fc.boolean(),
    guard: guards ? fc.option(guard(features), { freq: 2 }) : fc.constant(null),
    actions: few(action(features), 3),
  })
}

function guard({ throws = true }: MachineFeatures): fc.Arbitrary<GuardDescription> {
  const kinds: GuardDescription['is'][] = ['below', 'even', 'registered', 'not', 'both', 'either', 'in']
  return fc.record({
    is: fc.constantFrom(...kinds, ...when<GuardDescription['is']>(throws, 'throws')),
    pick: fc.nat(6),
  })
}

function action(features: MachineFeatures, nested = true): fc.Arbitrary<ActionDescription> {
  const { timers = true, children = true, throws = true } = features
  const kinds: ActionDescription['does'][] = [
    ...(['trace', 'trace', 'log', 'count', 'count', 'note', 'note', 'raise', 'raise', 'emit'] as const),
    ...when<ActionDescription['does']>(timers, 'later', 'later', 'cancel'),
    ...when<ActionDescription['does']>(children, 'send', 'send', 'send', 'spawn', 'spawn', 'spawnChild', 'stop'),
    ...when<ActionDescription['does']>(throws, 'throw'),
    ...when<ActionDescription['does']>(nested, 'enqueue', 'enqueue'),
  ]
  return fc.record({
    does: fc.constantFrom(...kinds),
    // A receiver that may not exist throws: see `receiver` in build-actions.
    a: throws ? small : fc.constantFrom(0, 1, 2, 3, 4, 5, 7, 8, 9),
    b: small,
    // Delays of `send` count as timers.
    c: timers ? small : fc.constantFrom(0, 1, 4, 5, 8, 9),
    inner: nested ? fc.array(action(features, false), { maxLength: 3 }) : fc.constant([]),
  })
}

function invoke(features: MachineFeatures): fc.Arbitrary<InvokeDescription> {
  const moves = few(transition(features), 1)
  return fc.record({
    src: small,
    inline: fc.boolean(),
    id: fc.nat(2),
    systemId: fc.nat(19).map(n => n === 1),
    done: moves,
    error: moves,
    snapshot: moves,
  })
}
