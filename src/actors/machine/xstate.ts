import type { AnyActorLogic, AnyStateMachine, EventObject } from 'xstate'

export { matchesState, type StateValue } from 'xstate'

/**
 * What the package leans on inside XState 5, and nothing more. These shapes are the same in every version of the peer
 * range; the differential suite (test/actors/machine) proves it for each.
 */

/** A snapshot of any logic, as XState keeps it while it runs. */
export interface LiveSnapshot {
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  readonly output?: unknown
  readonly error?: unknown
  readonly context?: unknown
  readonly input?: unknown
}

/** A state node, as far as selection needs it. */
export interface LiveNode {
  readonly order: number
  readonly id: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  readonly states: Readonly<Record<string, LiveNode>>
  /** Of all but the root. */
  readonly parent?: LiveNode | undefined
  readonly always?: readonly unknown[]
  readonly transitions: ReadonlyMap<string, readonly LiveTransition[]>
  /** Among them what XState makes of `after`: delayed raises. */
  readonly entry: readonly { readonly type: string; readonly id?: string }[]
  readonly invoke: readonly LiveInvoke[]
  readonly machine: { readonly id: string }
}

/** What a state node invokes. */
export interface LiveInvoke {
  readonly id: string
  /** The name of the logic, or one that XState made for what stands in place. */
  readonly src: string
  readonly systemId?: string
  readonly input?: unknown
  readonly onSnapshot?: unknown
}

/** An `after` transition, as XState arms it when its state is entered. */
export interface After {
  readonly event: { readonly type: string }
  readonly id: string
  readonly delay: number | string
}

/** A transition of a state node. */
export interface LiveTransition {
  readonly target?: readonly unknown[]
  readonly reenter?: boolean
  readonly guard?: unknown
  readonly actions: readonly unknown[]
}

/** A machine's snapshot. */
export interface LiveMachineSnapshot extends LiveSnapshot {
  readonly value: unknown
  readonly context: Record<string, unknown>
  readonly children: Record<string, LiveRef | undefined>
  readonly historyValue: Record<string, readonly { readonly id: string }[]>
  readonly machine: AnyStateMachine
  readonly _nodes: readonly LiveNode[]
  readonly tags: unknown
  readonly matches: unknown
  readonly hasTag: unknown
  readonly can: unknown
  readonly getMeta: unknown
  readonly toJSON: unknown
}

/**
 * The snapshot with another context, in the same nodes. Written out in XState's own order of properties, so that V8 has one
 * shape for all snapshots: a spread costs more than XState's making one anew.
 */
export function snapshotWith(
  snapshot: LiveMachineSnapshot,
  context: LiveMachineSnapshot['context'],
): LiveMachineSnapshot {
  return {
    status: snapshot.status,
    output: snapshot.output,
    error: snapshot.error,
    machine: snapshot.machine,
    context,
    _nodes: snapshot._nodes,
    value: snapshot.value,
    tags: snapshot.tags,
    children: snapshot.children,
    historyValue: snapshot.historyValue,
    matches: snapshot.matches,
    hasTag: snapshot.hasTag,
    can: snapshot.can,
    getMeta: snapshot.getMeta,
    toJSON: snapshot.toJSON,
  }
}

/** An actor reference, as XState's built-in actions use it. */
export interface LiveRef {
  readonly id: string
  readonly sessionId: string
  readonly src: unknown
  readonly systemId: string | undefined
  readonly _parent: LiveRef | undefined
  readonly _syncSnapshot: boolean | undefined
  readonly _processingStatus: ProcessingStatus
  readonly options: { readonly input?: unknown }
  logic: LiveLogic
  start(): unknown
  getSnapshot(): LiveSnapshot
  _send(event: EventObject): void
}

/** What XState hands to logic while it steps. */
export interface LiveScope {
  readonly self: LiveRef
  readonly id: string
  readonly sessionId: string
  readonly logger: (...args: unknown[]) => void
  readonly system: unknown
  defer(work: () => void): void
  stopChild(child: LiveRef): void
  emit(event: EventObject): void
  /** Replaced by XState during a microstep and put back afterwards: never cache it. */
  actionExecutor: (action: ExecutableAction) => void
}

/** An action whose arguments are resolved. */
export interface ExecutableAction {
  readonly type: string
  readonly info: unknown
  readonly params: unknown
  readonly exec: ((info: unknown, params: unknown) => void) | undefined
}

/** XState's `assign`: resolved by XState itself, it gives a new snapshot, with value and tags derived from its nodes. */
export interface LiveAssign {
  readonly assignment: LiveAssigner | Readonly<Record<string, unknown>>
  resolve(
    scope: LiveScope,
    snapshot: LiveMachineSnapshot,
    args: unknown,
    params: undefined,
    action: LiveAssign,
    extra: unknown,
  ): readonly [LiveMachineSnapshot, unknown, unknown]
}

/** A function of `assign`, for the whole context or a property. */
export type LiveAssigner = (args: unknown, params: undefined) => unknown

/** XState's `spawnChild`: gives the snapshot with the child in it, not started. */
export interface LiveSpawn {
  resolve(
    scope: LiveScope,
    snapshot: LiveMachineSnapshot,
    args: unknown,
    params: undefined,
    action: LiveSpawn,
    extra: undefined,
  ): readonly [LiveMachineSnapshot, unknown, unknown]
}

/** Actor logic, as far as it is stepped. */
export interface LiveLogic {
  transition(snapshot: LiveSnapshot, event: EventObject, scope: LiveScope): LiveSnapshot
  getInitialSnapshot(scope: LiveScope, input: unknown): LiveSnapshot
  restoreSnapshot?(snapshot: unknown, scope: LiveScope): LiveSnapshot
  getPersistedSnapshot(snapshot: LiveSnapshot): unknown
  start?(snapshot: LiveSnapshot, scope: LiveScope): void
}

/** XState's own numbers: built-in actions compare with them. */
export const ProcessingStatus = { NotStarted: 0, Running: 1, Stopped: 2 } as const
export type ProcessingStatus = (typeof ProcessingStatus)[keyof typeof ProcessingStatus]

/** Actions that XState executes itself; everything else is the author's and runs after the append. */
const builtIns: ReadonlySet<string> = new Set([
  'xstate.cancel',
  'xstate.emit',
  'xstate.raise',
  'xstate.sendTo',
  'xstate.spawnChild',
  'xstate.stopChild',
])

/** Whether an action moves actors, mail or timers, and so belongs inside the step. `log` does not: it is an effect. */
export function isBuiltIn(action: ExecutableAction): boolean {
  return builtIns.has(action.type)
}

/** Whether `value` is an XState 5 machine. */
export function isMachine(value: unknown): value is AnyStateMachine {
  return typeof value === 'object' && value !== null && '__xstatenode' in value && 'getInitialSnapshot' in value
}

/** Whether `value` is actor logic of any kind. */
export function isLogic(value: unknown): value is AnyActorLogic {
  return typeof value === 'object' && value !== null && 'transition' in value && 'getInitialSnapshot' in value
}

/** Whether logic is stepped as part of its run: machines and logic that starts nothing. Everything else runs outside. */
export function isInside(logic: LiveLogic | AnyActorLogic): boolean {
  return isMachine(logic) || logic.start === undefined
}

/** All state nodes of a machine, by id. */
export function nodesOf(machine: AnyStateMachine): ReadonlyMap<string, LiveNode> {
  return (machine as unknown as { readonly idMap: ReadonlyMap<string, LiveNode> }).idMap
}

/** The `after` transitions of a state. */
export function afterOf(node: LiveNode): readonly After[] {
  return node.entry.filter(
    action => action.type === 'xstate.raise' && action.id?.startsWith('xstate.after.') === true,
  ) as unknown as readonly After[]
}

/** The logic behind a child's `src`: a registered name, or the generated name of an inline `invoke`. */
export function resolveSource(machine: AnyStateMachine, src: string): AnyActorLogic | undefined {
  const inline = /^xstate\.invoke\.(\d+)\.(.*)$/.exec(src)
  const { actors } = machine.implementations
  if (inline === null) return Object.hasOwn(actors, src) ? (actors[src] as AnyActorLogic) : undefined
  const invoke: unknown = machine.getStateNodeById(inline[2]!).config.invoke
  const definition = (Array.isArray(invoke) ? invoke[Number(inline[1])] : invoke) as { src?: unknown } | undefined
  return isLogic(definition?.src) ? definition.src : undefined
}
