import { assign, emit, fromCallback, fromObservable, fromPromise, setup } from 'xstate'

/** A counter that can refuse, emit, end and fail. */
export const counter = setup({
  types: {} as {
    context: { count: number }
    events:
      | { type: 'ADD'; by: number }
      | { type: 'TELL' }
      | { type: 'THROW' }
      | { type: 'END' }
      | { type: 'BAD_CONTEXT' }
      | { type: 'BAD_OUTPUT' }
    emitted: { type: 'COUNT'; count: number } | { type: 'BAD'; at: Date }
    output: { total: number }
  },
}).createMachine({
  id: 'counter',
  context: { count: 0 },
  initial: 'on',
  output: ({ context }) => ({ total: context.count }),
  states: {
    on: {
      on: {
        ADD: {
          actions: [
            assign({ count: ({ context, event }) => context.count + event.by }),
            emit(({ context }) => ({ type: 'COUNT' as const, count: context.count })),
          ],
        },
        TELL: {
          actions: [
            emit(({ context }) => ({ type: 'COUNT' as const, count: context.count })),
            emit({ type: 'COUNT', count: -1 }),
          ],
        },
        THROW: {
          actions: assign(() => {
            throw new Error('thrown by the machine')
          }),
        },
        BAD_CONTEXT: { actions: assign({ count: () => new Map() as unknown as number }) },
        BAD_OUTPUT: { actions: emit({ type: 'BAD', at: new Date(0) }) },
        END: 'ended',
      },
    },
    ended: { type: 'final' },
  },
})

/** What the logic of {@link worker} does; tests take the controls. */
export interface Controls {
  readonly started: string[]
  readonly stopped: string[]
  finish(value: unknown): void
  fail(error: unknown): void
  send(event: { type: string }): void
  next(value: unknown): void
  complete(): void
}

/** A machine of all kinds of logic that runs outside, whose outcomes the test gives. */
export function worker() {
  const started: string[] = []
  const stopped: string[] = []
  const received: unknown[] = []
  const taps: Record<string, (value: unknown) => void> = {}
  const machine = setup({
    types: {} as {
      context: { result: unknown; pings: number; seen: unknown }
      events:
        | { type: 'JOB' }
        | { type: 'LISTEN' }
        | { type: 'WATCH' }
        | { type: 'LEAVE' }
        | { type: 'PING' }
        | { type: 'FORWARD' }
    },
    actors: {
      job: fromPromise<unknown>(({ signal }) => {
        started.push('job')
        signal.addEventListener('abort', () => stopped.push('job'))
        return new Promise((resolve, reject) => {
          taps.finish = resolve
          taps.fail = reject
        })
      }),
      listener: fromCallback<{ type: string }>(({ sendBack, receive }) => {
        started.push('listener')
        taps.send = event => sendBack(event as { type: string })
        receive(event => received.push(event))
        return () => stopped.push('listener')
      }),
      watcher: fromObservable(
        () =>
          ({
            subscribe(observer: { next?(value: unknown): void; complete?(): void }) {
              started.push('watcher')
              taps.next = value => observer.next?.(value)
              taps.complete = () => observer.complete?.()
              return { unsubscribe: () => stopped.push('watcher') }
            },
          }) as never,
      ),
    },
  }).createMachine({
    id: 'worker',
    context: { result: undefined, pings: 0, seen: undefined },
    initial: 'idle',
    on: { PING: { actions: assign({ pings: ({ context }) => context.pings + 1 }) } },
    states: {
      idle: { on: { JOB: 'working', LISTEN: 'listening', WATCH: 'watching' } },
      working: {
        on: { LEAVE: 'idle' },
        invoke: {
          src: 'job',
          onDone: { target: 'idle', actions: assign({ result: ({ event }) => event.output }) },
          onError: {
            target: 'idle',
            actions: assign({ result: ({ event }) => ({ failed: (event.error as Error).message }) }),
          },
        },
      },
      listening: {
        on: { LEAVE: 'idle', FORWARD: { actions: ({ self }) => self.getSnapshot() } },
        invoke: { src: 'listener', id: 'listener' },
      },
      watching: {
        on: { LEAVE: 'idle' },
        invoke: {
          src: 'watcher',
          onSnapshot: { actions: assign({ seen: ({ event }) => event.snapshot.context }) },
          onDone: 'idle',
        },
      },
    },
  })
  return {
    machine,
    started,
    stopped,
    received,
    taps: taps as Record<'finish' | 'fail' | 'send' | 'next' | 'complete', (value?: unknown) => void>,
  }
}
