import { defineMachine, invocation, tell, type UndeliveredEvent } from 'xmachines'
import { assign, enqueueActions, fromPromise, raise, sendParent, setup } from 'xstate'

/** What a program asks of its machine: each adds one to a counter, each in another way. */
export type Instruction =
  | { readonly type: 'INC' | 'TIMER' | 'PROMISE' | 'ONCE' | 'FRAGILE' | 'THROW' | 'CHILD' | 'SLEEP' }
  | { readonly type: 'CALL'; readonly to: string }

/** The kinds of instructions, so that a program can be made of numbers. */
export const instructions = ['INC', 'TIMER', 'PROMISE', 'ONCE', 'FRAGILE', 'THROW', 'CHILD', 'SLEEP', 'CALL'] as const

/** What has been counted, or has come to another end. */
export interface Counters {
  inc: number
  timer: number
  promise: number
  once: number
  fragile: number
  thrown: number
  child: number
  asleep: number
  slept: number
  called: number
  undelivered: number
  /** Invocations that came to an end that nobody knows, by name. */
  lost: { once: number; fragile: number }
}

/** An attempt of an effect, as the world outside sees it. */
export interface Effect {
  readonly name: 'promise' | 'once' | 'fragile' | 'thrown' | 'child'
  readonly key: string
  readonly attempt: number
}

const none: Counters = {
  inc: 0,
  timer: 0,
  promise: 0,
  once: 0,
  fragile: 0,
  thrown: 0,
  child: 0,
  asleep: 0,
  slept: 0,
  called: 0,
  undelivered: 0,
  lost: { once: 0, fragile: 0 },
}

/** How often an attempt of `thrown` is made. */
export const throwingAttempts = 3

/** @param perform does an effect in the world outside, and resolves when it is done */
export function programMachine(perform: (effect: Effect) => Promise<void>) {
  const logic = (name: Effect['name']) =>
    fromPromise(() => {
      const { key, attempt } = invocation()
      return perform({ name, key, attempt }).then(() => name)
    })
  const child = setup({ actors: { inner: logic('child') } }).createMachine({
    id: 'child',
    initial: 'working',
    states: {
      working: { invoke: { src: 'inner', onDone: 'waiting', onError: 'waiting' } },
      waiting: { after: { 30: { target: 'done', actions: sendParent({ type: 'CHILD.COUNTED' }) } } },
      done: { type: 'final' },
    },
  })
  const machine = setup({
    types: {} as {
      context: Counters & { spawned: number }
      events: Instruction | { type: 'TICK' | 'CALLED' | 'CHILD.COUNTED' } | UndeliveredEvent | Ended
    },
    actors: {
      promise: logic('promise'),
      once: logic('once'),
      fragile: logic('fragile'),
      thrown: logic('thrown'),
      child,
    },
    actions: {
      count: assign(({ context }, name: NumberIn<Counters>) => ({ [name]: context[name] + 1 })),
      start: enqueueActions(({ context, enqueue }, name: Name) => {
        enqueue.spawnChild(name, { id: `${name}-${context.spawned}` })
        enqueue.assign({ spawned: context.spawned + 1 })
      }),
    },
    delays: { soon: 50, nap: 1_000 },
  }).createMachine({
    id: 'program',
    context: { ...none, spawned: 0 },
    on: {
      INC: { actions: { type: 'count', params: 'inc' } },
      TIMER: { actions: raise({ type: 'TICK' }, { delay: 'soon' }) },
      TICK: { actions: { type: 'count', params: 'timer' } },
      PROMISE: { actions: { type: 'start', params: 'promise' } },
      ONCE: { actions: { type: 'start', params: 'once' } },
      FRAGILE: { actions: { type: 'start', params: 'fragile' } },
      THROW: { actions: { type: 'start', params: 'thrown' } },
      CHILD: { actions: { type: 'start', params: 'child' } },
      'CHILD.COUNTED': { actions: { type: 'count', params: 'child' } },
      CALL: { actions: tell(({ event }) => ({ machine: 'program', key: event.to }), { type: 'CALLED' }) },
      CALLED: { actions: { type: 'count', params: 'called' } },
      'xmachines.undelivered': { actions: { type: 'count', params: 'undelivered' } },
      'xstate.done.actor.*': {
        // The child counts by what it sends.
        guard: ({ event }) => nameIn(event) !== 'child',
        actions: { type: 'count', params: ({ event }) => nameIn(event) as 'promise' },
      },
      'xstate.error.actor.*': {
        actions: assign({
          thrown: ({ context, event }) => context.thrown + (nameIn(event) === 'thrown' ? 1 : 0),
          lost: ({ context, event }) =>
            nameIn(event) === 'thrown'
              ? context.lost
              : { ...context.lost, [nameIn(event)]: context.lost[nameIn(event) as 'once'] + 1 },
        }),
      },
    },
    initial: 'awake',
    states: {
      awake: { on: { SLEEP: { target: 'asleep', actions: { type: 'count', params: 'asleep' } } } },
      asleep: { after: { nap: { target: 'awake', actions: { type: 'count', params: 'slept' } } } },
    },
  })
  return defineMachine(machine, {
    invocations: {
      once: 'at-most-once',
      fragile: 'error',
      thrown: { attempts: throwingAttempts, backoff: { initial: 20 } },
    },
  })
}

type Name = 'promise' | 'once' | 'fragile' | 'thrown' | 'child'
type Ended = { type: `xstate.done.actor.${Name}-${number}` } | { type: `xstate.error.actor.${Name}-${number}` }
type NumberIn<T> = { [Key in keyof T]: T[Key] extends number ? Key : never }[keyof T]

/** `xstate.done.actor.<name>-<number>` */
function nameIn({ type }: { readonly type: string }): Name {
  return type.split('.')[3]!.split('-')[0] as Name
}
