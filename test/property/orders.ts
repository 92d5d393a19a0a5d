import { defineMachine, type Migration } from 'xmachines'
import { type AnyStateMachine, assign, fromPromise, raise, setup } from 'xstate'

/** Ends every call that has begun and not ended, in the order of their beginning. */
export interface Calls {
  finish(): void
}

type Events =
  | { type: 'ADD'; by: number }
  | { type: 'START' | 'LEAVE'; what: string }
  | { type: 'LATER' | 'RANG' | 'CALLED' | 'LEFT' }

/** Two versions of a machine, with timers, calls and a child. `gone` is in the first one only, `fresh` in the second one. */
export function orders(by: 'state' | 'event') {
  const calls: ((value: string) => void)[] = []
  const slow = fromPromise<string>(() => new Promise(finish => void calls.push(finish)))
  const kid = setup({ actors: { slow } }).createMachine({
    id: 'kid',
    initial: 'young',
    states: {
      young: { invoke: { src: 'slow', id: 'school', onDone: 'grown' }, after: { 700: 'grown' } },
      grown: { type: 'final' },
    },
  })
  const base = setup({
    types: {} as { context: { total: number; got: readonly string[] }; events: Events },
    actors: { slow, kid },
    actions: {
      note: assign({ got: ({ context, event }) => [...context.got, event.type] }),
      ring: raise({ type: 'RANG' }, { delay: 600, id: 'ring' }),
    },
    guards: { is: ({ event }, params: { what: string }) => (event as { what?: string }).what === params.what },
  })
  const worker = (what: string, src: 'slow' | 'kid', delay: number) => ({
    initial: 'idle' as const,
    states: {
      idle: { on: { START: { guard: { type: 'is' as const, params: { what } }, target: 'busy' as const } } },
      busy: {
        on: { LEAVE: { guard: { type: 'is' as const, params: { what } }, target: 'idle' as const } },
        invoke: { src, id: what, onDone: { target: 'idle' as const, actions: 'note' as const } },
        after: { [delay]: { target: 'late' as const, actions: 'note' as const } },
      },
      late: { on: { LEAVE: 'idle' as const } },
    },
  })
  const on = { RANG: { actions: 'note' }, LATER: { actions: 'ring' }, START: {}, LEAVE: {} } as const
  const kept = { kept: worker('kept', 'slow', 900), child: worker('child', 'kid', 2_000) }
  const times = (factor: number) =>
    assign<{ total: number; got: readonly string[] }, Events, undefined, Events, never>({
      total: ({ context, event }) => context.total + (event as { by: number }).by * factor,
    })
  const first = defineMachine(
    base.createMachine({
      id: 'order',
      type: 'parallel',
      context: { total: 0, got: [] },
      on: { ...on, ADD: { actions: times(1) } },
      states: { ...kept, gone: worker('gone', 'slow', 500) },
    }) as AnyStateMachine,
    { version: '1' },
  )
  const migration: Partial<Migration> =
    by === 'event'
      ? { event: event => (event.what === 'gone' ? null : event) }
      : {
          state: ({ value, context, ...rest }) => {
            const { gone: _, ...left } = value as Record<string, string>
            const total = (context as { total: number }).total * 100
            return { ...rest, context: { ...context, total }, value: { ...left, fresh: 'on' } }
          },
        }
  const second = defineMachine(
    base.createMachine({
      id: 'order',
      type: 'parallel',
      context: { total: 0, got: [] },
      on: { ...on, ADD: { actions: times(100) } },
      states: { ...kept, fresh: { initial: 'on', states: { on: { after: { 300: 'off' } }, off: {} } } },
    }) as AnyStateMachine,
    { version: '2', migrations: [{ from: first, ...migration } as Migration] },
  )
  const finish = (): void => {
    for (const end of calls.splice(0)) end('done')
  }
  return { first, second, calls: { finish } satisfies Calls }
}
