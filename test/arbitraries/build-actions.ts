import {
  and,
  assign,
  cancel,
  emit,
  enqueueActions,
  log,
  not,
  or,
  raise,
  sendTo,
  spawnChild,
  stateIn,
  stopChild,
} from 'xstate'
import type { ActionDescription, GuardDescription, Recorder } from './machine-description.ts'

/** What the context of every generated machine holds. */
export interface Context {
  readonly n: number
  /** How many children were spawned, and delayed events sent, where they are counted. */
  readonly kids: number
  readonly delayed: number
  readonly seen: readonly string[]
  // biome-ignore lint/suspicious/noExplicitAny: whatever was spawned
  readonly refs: Readonly<Record<string, any>>
}

/**
 * Events by rank. A handler sends only events of a higher rank than its own, and what handles the highest goes nowhere, so
 * that no generated machine can loop for ever.
 */
export const ranks = [
  ['A', 'B', 'C', 'D.x', 'D.y'],
  ['P1', 'P2'],
  ['R1', 'R2'],
  ['L1', 'L2'],
] as const
/** The rank that sends nothing at once. */
export const leaf = 3

/** Where an action stands. */
export interface Place {
  /** Unique in its machine. */
  readonly label: string
  readonly rank: number
  /** The ids of the children that the node invokes. */
  readonly invoked: readonly string[]
  /** Whether children may be made here: never, up to {@link mostKids} of an actor, or without counting. */
  readonly spawns: 'never' | 'counted' | 'freely'
}

/** How many children an actor spawns, and delayed events it sends, where it could go on for ever. */
const mostKids = 2
const mostDelayed = 4

/** What the machine has for actions to choose from. */
export interface Parts {
  readonly record: Recorder
  readonly sources: readonly string[]
  readonly nodes: readonly string[]
}

/** The `i`-th, as if the list went on for ever. */
export function pick<T>(list: readonly T[], i: number): T {
  return list[i % list.length]!
}

type Any = never
const noted = 12
const note = (seen: readonly string[], type: string): readonly string[] => [...seen, type].slice(-noted)
const input = ({ context }: { context: Context }) => ({ seed: context.n })

/** An XState action for a description. */
export function buildAction(action: ActionDescription, place: Place, parts: Parts): Any {
  return build(action, place, parts) as Any
}

function build(action: ActionDescription, place: Place, parts: Parts): unknown {
  const { a, b, c } = action
  const { rank, label } = place
  switch (action.does) {
    case 'trace':
      return trace(a, label, parts.record)
    case 'log':
      return log(({ context }: { context: Context }) => context.n, a % 2 === 0 ? undefined : label)
    case 'count':
      return pick(
        [
          assign({ n: ({ context }: { context: Context }) => context.n + 1 }),
          assign(({ context }: { context: Context }) => ({ n: context.n + 2 })),
          'bump',
          { type: 'bumpBy', params: { by: 1 + (b % 2) } },
        ],
        a,
      )
    case 'note':
      return a % 2 === 0
        ? 'note'
        : assign({
            seen: ({ context, event }: { context: Context; event: { type: string } }) =>
              note(context.seen, `!${event.type}`),
          })
    case 'raise':
      return rank < leaf ? raise(event(rank, a, b)) : 'note'
    case 'later': {
      const delay = pick(rank < leaf ? [0, 10, 20, 'short', 'calc', 'unknown'] : [10, 20, 'short', 'calc'], c)
      const action = raise(event(rank % leaf, a, b), { delay, id: pick([undefined, 't0', 't1'], b) } as Any)
      return rank < leaf ? action : counted('delayed', mostDelayed, action)
    }
    case 'cancel':
      return cancel(`t${a % 2}`)
    case 'emit':
      return emit(({ context }: { context: Context }) => ({ type: `E${a % 2}`, n: context.n }) as Any)
    case 'send': {
      const delay = pick([undefined, undefined, 10, 20], c)
      if (rank >= leaf && delay === undefined) return 'note'
      const options = { delay, id: pick([undefined, 't0'], a) } as Any
      const action = sendTo(receiver(a, b, place) as Any, event(rank % leaf, b, c), options)
      return rank < leaf ? action : counted('delayed', mostDelayed, action)
    }
    case 'spawn':
      return place.spawns === 'never' ? 'bump' : spawn(action, parts)
    case 'spawnChild':
      return place.spawns === 'never' ? 'bump' : spawnByName(action, place, parts)
    case 'stop':
      return stopChild(
        pick(
          [`c${b % 3}`, ({ context }: { context: Context }) => context.refs[`r${b % 2}`], () => `c${b % 2}`],
          a,
        ) as Any,
      )
    case 'enqueue':
      return enqueueActions(({ enqueue, check }) => {
        if (c % 3 === 0 && !check('isEven' as Any)) return
        for (const [i, inner] of action.inner.entries())
          enqueue(buildAction(inner, { ...place, label: `${label}>${i}` }, parts))
      })
    case 'throw':
      return thrower(a, b, label)
  }
}

function event(rank: number, a: number, b: number): Any {
  const type = pick(ranks.slice(rank + 1).flat(), a)
  return (b % 2 === 0 ? { type, by: b } : ({ context }: { context: Context }) => ({ type, by: context.n })) as Any
}

function trace(a: number, label: string, record: Recorder): unknown {
  if (a % 3 === 0) return { type: 'mark', params: { label } }
  if (a % 3 === 1)
    return { type: 'mark', params: ({ context }: { context: Context }) => ({ label: `${label}/${context.n}` }) }
  return ({ context, event: seen }: { context: Context; event: { type: string } }) =>
    record(`${label} ${seen.type} ${context.n}`)
}

function receiver(a: number, b: number, { invoked }: Place): unknown {
  switch (a % 7) {
    case 0:
    case 1:
      return invoked.length > 0 ? pick(invoked, b) : ({ context }: { context: Context }) => context.refs[`r${b % 2}`]
    case 2:
      return ({ context }: { context: Context }) => context.refs[`r${b % 2}`]
    case 3:
      return ({ system }: { system: { get(id: string): unknown } }) => system.get(`s${b % 6}`)
    case 4:
      return ({ self }: { self: { _parent?: unknown } }) => self._parent
    case 5:
      return ({ self }: { self: unknown }) => self
    default:
      // May not exist: a throw in the middle of a macrostep.
      return `c${b % 2}`
  }
}

function spawn({ a, b, c }: ActionDescription, parts: Parts): unknown {
  const src = pick(parts.sources, a)
  return assign((({ context, spawn }: { context: Context; spawn: (src: string, options: object) => unknown }) => {
    if (context.kids >= mostKids) return {}
    const options = {
      id: pick(['c0', 'c1', `d${context.n}`, undefined], c),
      systemId: systemId(a, b, c),
      syncSnapshot: b % 3 === 1,
      input: { seed: context.n },
    }
    return { kids: context.kids + 1, refs: { ...context.refs, [`r${b % 2}`]: spawn(src, options) } }
  }) as Any)
}

function spawnByName({ a, b, c }: ActionDescription, place: Place, parts: Parts): unknown {
  const action = spawnChild(
    pick(parts.sources, a) as Any,
    {
      id: pick(['c0', 'c1', ({ context }: { context: Context }) => `d${context.n}`, undefined], c),
      systemId: systemId(a, b, c),
      syncSnapshot: b % 2 === 1,
      input,
    } as Any,
  )
  return place.spawns === 'freely' ? action : counted('kids', mostKids, action)
}

/** The action, a few times only in an actor's life. */
function counted(what: 'kids' | 'delayed', most: number, action: unknown): unknown {
  return enqueueActions((({ context, enqueue }: { context: Context; enqueue: (action: unknown) => void }) => {
    if (context[what] >= most) return
    enqueue(assign({ [what]: context[what] + 1 } as Any))
    enqueue(action)
  }) as Any)
}

function systemId(a: number, b: number, c: number): string | undefined {
  return c === 9 && b % 2 === 0 ? `s${(a + b) % 6}` : undefined
}

function thrower(a: number, b: number, label: string): unknown {
  const fail = ({ context }: { context: Context }): Any => {
    if (context.n % 3 === b % 3) throw new Error(`thrown by ${label}`)
    return { type: 'E0' } as Any
  }
  return pick([assign(fail as Any), emit(fail), enqueueActions(fail as Any)] as unknown[], a)
}

/** The registered implementations that every generated machine has beside its children. */
export function registered(record: Recorder): object {
  return {
    actions: {
      bump: assign({ n: ({ context }: { context: Context }) => context.n + 1 }),
      bumpBy: assign({
        n: ({ context }: { context: Context }, params: { by: number }) => context.n + params.by,
      } as Any),
      note: assign({
        seen: ({ context, event }: { context: Context; event: { type: string } }) => note(context.seen, event.type),
      }),
      mark: ({ event }: { event: { type: string } }, params: { label: string }) =>
        record(`${params.label} ${event.type}`),
    },
    guards: {
      isEven: ({ context }: { context: Context }) => context.n % 2 === 0,
      isBelow: ({ context }: { context: Context }, params: { limit: number }) => context.n < params.limit,
    },
    delays: { short: 15, calc: ({ context }: { context: Context }) => 10 + (context.n % 3) * 10 },
  }
}

/** An XState guard for a description. */
export function buildGuard(guard: GuardDescription, parts: Parts): Any {
  const below = ({ context }: { context: Context }) => context.n < 1 + guard.pick
  switch (guard.is) {
    case 'below':
      return below as Any
    case 'even':
      return 'isEven' as Any
    case 'registered':
      return { type: 'isBelow', params: { limit: guard.pick } } as Any
    case 'not':
      return not('isEven' as Any) as Any
    case 'both':
      return and(['isEven' as Any, below as Any]) as Any
    case 'either':
      return or(['isEven' as Any, below as Any]) as Any
    case 'in':
      return stateIn(pick(parts.nodes, guard.pick) as Any) as Any
    case 'throws':
      return (({ context }: { context: Context }) => {
        if (context.n % 4 === guard.pick % 4) throw new Error('thrown by a guard')
        return true
      }) as Any
  }
}
