/**
 * A machine as data. Where something is chosen from what exists (a target, a child, an event), there is a small number that
 * is taken modulo what there is when the machine is built: every shrunk description is still a machine.
 */
export interface MachineDescription {
  readonly root: NodeDescription
  /** Registered child machines, and so on downwards. */
  readonly children: readonly MachineDescription[]
  /** What the context starts as; `throws`: it fails for some inputs. */
  readonly context: 'object' | 'function' | 'throws'
  /** Logic that runs outside of the steps is registered, too. */
  readonly effects: boolean
}

/** A state node. */
export interface NodeDescription {
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'shallow' | 'deep'
  readonly states: readonly NodeDescription[]
  readonly initial: number
  readonly entry: readonly ActionDescription[]
  readonly exit: readonly ActionDescription[]
  readonly on: readonly TransitionDescription[]
  readonly always: readonly TransitionDescription[]
  readonly after: readonly TransitionDescription[]
  readonly invoke: readonly InvokeDescription[]
  readonly done: readonly TransitionDescription[]
  readonly tagged: boolean
  /** 0: none, 1: a value, 2: an expression, 3: one that throws at times. */
  readonly output: number
}

/** A transition. `event` picks what it is for: an event descriptor, a delay. */
export interface TransitionDescription {
  readonly event: number
  /** Which node it goes to; null: none. */
  readonly target: number | null
  readonly reenter: boolean
  readonly guard: GuardDescription | null
  readonly actions: readonly ActionDescription[]
}

/** A guard. */
export interface GuardDescription {
  readonly is: 'below' | 'even' | 'registered' | 'not' | 'both' | 'either' | 'in' | 'throws'
  readonly pick: number
}

/** What an action does; `a`, `b` and `c` say which of what there is. */
export interface ActionDescription {
  readonly does:
    | 'trace'
    | 'log'
    | 'count'
    | 'note'
    | 'raise'
    | 'later'
    | 'cancel'
    | 'emit'
    | 'send'
    | 'spawn'
    | 'spawnChild'
    | 'stop'
    | 'enqueue'
    | 'throw'
  readonly a: number
  readonly b: number
  readonly c: number
  /** What `enqueue` enqueues. */
  readonly inner: readonly ActionDescription[]
}

/** An invocation. */
export interface InvokeDescription {
  readonly src: number
  readonly inline: boolean
  /** 0: the default id; otherwise one that others can send to. */
  readonly id: number
  readonly systemId: boolean
  readonly done: readonly TransitionDescription[]
  readonly error: readonly TransitionDescription[]
  readonly snapshot: readonly TransitionDescription[]
}

/** What happens to a run: each is one unit, `pass` as many as timers fall due. */
export type ScriptStep =
  | { readonly does: 'send'; readonly event: OutsideEvent }
  | { readonly does: 'batch'; readonly events: readonly OutsideEvent[] }
  | { readonly does: 'pass'; readonly ms: number }

/** An event from outside. */
export interface OutsideEvent {
  readonly type: string
  readonly by: number
}

/** What a machine tells while it runs: the name of a custom action with what it saw. */
export type Recorder = (line: string) => void
