import { defineMachine, type InvocationInfo, type InvocationPolicy, invocation } from 'xmachines'
import { assign, fromCallback, fromObservable, fromPromise, setup } from 'xstate'

/** One attempt, as the logic that it started sees it. */
export interface Call extends InvocationInfo {
  /** A promise resolves, an observable gives a value and completes. */
  finish(value: unknown): void
  fail(error: unknown): void
}

/**
 * A machine that charges by a promise, watches by an observable and listens by a callback, under the policy that is given for each. Every
 * attempt is in `calls`; the test ends it.
 */
export function charging(policy?: InvocationPolicy) {
  const calls: Call[] = []
  const machine = setup({
    types: {} as {
      context: { outcome: unknown }
      events: { type: 'CHARGE' } | { type: 'WATCH' } | { type: 'LISTEN' } | { type: 'LEAVE' } | { type: 'PING' }
    },
    actors: {
      charge: fromPromise<unknown>(() => {
        const info = invocation()
        return new Promise((finish, fail) => calls.push({ ...info, finish, fail }))
      }),
      watch: fromObservable(() => {
        const info = invocation()
        return {
          subscribe(observer: { next(value: unknown): void; error(error: unknown): void; complete(): void }) {
            const finish = (value: unknown): void => {
              observer.next(value)
              observer.complete()
            }
            calls.push({ ...info, finish, fail: error => observer.error(error) })
            return { unsubscribe() {} }
          },
        } as never
      }),
      listen: fromCallback(() => {
        calls.push({ ...invocation(), finish() {}, fail() {} })
      }),
    },
    actions: {
      succeed: assign({ outcome: (_, { output }: { output: unknown }) => output ?? 'done' }),
      fail: assign({
        outcome: (_, { error }: { error: unknown }) => {
          const { message, code } = error as { message: string; code?: string }
          return { failed: code ?? message, isError: error instanceof Error }
        },
      }),
    },
  }).createMachine({
    id: 'charging',
    context: { outcome: null },
    initial: 'idle',
    on: { PING: {} },
    states: {
      idle: { on: { CHARGE: 'charging', WATCH: 'watching', LISTEN: 'listening' } },
      charging: {
        on: { LEAVE: 'idle' },
        invoke: {
          src: 'charge',
          id: 'payment',
          onDone: {
            target: 'idle',
            actions: { type: 'succeed', params: ({ event }: { event: { output: unknown } }) => event },
          },
          onError: {
            target: 'idle',
            actions: { type: 'fail', params: ({ event }: { event: { error: unknown } }) => event },
          },
        },
      },
      watching: {
        on: { LEAVE: 'idle' },
        invoke: {
          src: 'watch',
          id: 'prices',
          onSnapshot: {},
          onDone: { target: 'idle', actions: { type: 'succeed', params: { output: 'completed' } } },
          onError: {
            target: 'idle',
            actions: { type: 'fail', params: ({ event }: { event: { error: unknown } }) => event },
          },
        },
      },
      listening: {
        on: { LEAVE: 'idle' },
        invoke: {
          src: 'listen',
          id: 'ear',
          onError: {
            target: 'idle',
            actions: { type: 'fail', params: ({ event }: { event: { error: unknown } }) => event },
          },
        },
      },
    },
  })
  const invocations = policy === undefined ? {} : { charge: policy, watch: policy, listen: policy }
  return { machine: defineMachine(machine, { invocations }), calls }
}
