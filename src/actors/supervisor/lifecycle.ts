import { type ActorRefFrom, assign, createActor, fromPromise, setup } from 'xstate'
import type { Environment } from '../environment.ts'
import { asError, type XMachinesError } from '../errors.ts'
import type { Backoff } from './backoff.ts'

/** The work that the life of a lease consists of. */
export interface LeaseWork {
  /** Claims the partition in the store; rejects with whether it is worth another try. */
  claim(): Promise<void>
  /** The partition is this supervisor's: records flow. */
  begin(): void
  /** The epoch is over: nothing flows until the next claim. */
  suspend(): void
  /** Whether the partition may be claimed again; rejects where that cannot be known now. */
  mayClaim(): Promise<boolean>
  /** It stands until a person acts. */
  stand(): void
  /** Settles what is in hand, commits, lets the runs go. */
  drain(): Promise<void>
  /** Gives back what is left, to the store and to the broker. */
  release(): Promise<void>
  /** It was taken away. */
  lose(): void
}

/** What can happen to a lease: the store refuses its epoch, a person is needed, the group wants it back, it is gone. */
type LeaseEvent = { type: 'FENCED' | 'STOP' | 'REVOKED' | 'LOST' }

/** The life of a lease, from its delivery until it is given back or taken away. */
export const leaseMachine = setup({
  types: {
    context: {} as {
      readonly work: LeaseWork
      readonly backoff: Backoff
      readonly drain: number
      readonly attempt: number
    },
    input: {} as { readonly work: LeaseWork; readonly backoff: Backoff; readonly drain: number },
    events: {} as LeaseEvent,
  },
  actors: {
    claim: fromPromise<void, LeaseWork>(({ input }) => input.claim()),
    mayClaim: fromPromise<boolean, LeaseWork>(({ input }) => input.mayClaim()),
    drain: fromPromise<void, LeaseWork>(({ input }) => input.drain()),
    release: fromPromise<void, LeaseWork>(({ input }) => input.release()),
  },
  delays: {
    backoff: ({ context }) => context.backoff(context.attempt),
    drain: ({ context }) => context.drain,
  },
  guards: {
    isFinal: (_, { error }: { readonly error: unknown }) => !asError(error, 'STORE_UNAVAILABLE').retryable,
  },
  actions: {
    fail: assign({ attempt: ({ context }) => context.attempt + 1 }),
    recover: assign({ attempt: 0 }),
    begin: ({ context }) => context.work.begin(),
    stand: ({ context }) => context.work.stand(),
    suspend: ({ context }) => context.work.suspend(),
    lose: ({ context }) => context.work.lose(),
  },
}).createMachine({
  id: 'lease',
  context: ({ input }) => ({ ...input, attempt: 0 }),
  initial: 'unclaimed',
  on: { LOST: '.lost' },
  states: {
    unclaimed: {
      initial: 'claiming',
      on: { REVOKED: 'releasing', STOP: 'stopped' },
      states: {
        claiming: {
          invoke: {
            src: 'claim',
            input: ({ context }) => context.work,
            onDone: { target: '#lease.running', actions: 'recover' },
            onError: [
              { guard: { type: 'isFinal', params: ({ event }) => event }, target: '#lease.stopped' },
              { target: 'waiting', actions: 'fail' },
            ],
          },
        },
        waiting: { after: { backoff: 'claiming' } },
        /** Somebody else has claimed it. */
        fenced: {
          invoke: {
            src: 'mayClaim',
            input: ({ context }) => context.work,
            onDone: [
              { guard: ({ event }) => event.output, target: 'waiting', actions: 'fail' },
              { target: '#lease.stopped' },
            ],
            onError: { target: 'wondering', actions: 'fail' },
          },
        },
        /** Whether it may be claimed could not be told. */
        wondering: { after: { backoff: 'fenced' } },
      },
    },
    running: {
      entry: 'begin',
      on: {
        FENCED: { target: 'unclaimed.fenced', actions: 'suspend' },
        STOP: 'stopped',
        REVOKED: 'draining',
      },
    },
    stopped: {
      entry: 'stand',
      on: { REVOKED: 'draining' },
    },
    draining: {
      after: { drain: 'releasing' },
      invoke: {
        src: 'drain',
        input: ({ context }) => context.work,
        onDone: 'releasing',
        onError: 'releasing',
      },
    },
    releasing: {
      invoke: {
        src: 'release',
        input: ({ context }) => context.work,
        onDone: 'released',
        onError: 'released',
      },
    },
    released: { type: 'final' },
    lost: { type: 'final', entry: 'lose' },
  },
})

/** The work that the life of a supervisor consists of. */
export interface SupervisorWork {
  /** Takes over leases, until there are no more to come. */
  follow(): Promise<void>
  /** Leaves the group, and waits until every lease is given back. */
  leave(): Promise<void>
  fail(error: XMachinesError): void
  end(): void
}

/** The life of a supervisor. */
export const supervisorMachine = setup({
  types: {
    context: {} as { readonly work: SupervisorWork },
    input: {} as { readonly work: SupervisorWork },
    events: {} as { type: 'LEASED' } | { type: 'CLOSE' },
  },
  actors: {
    follow: fromPromise<void, SupervisorWork>(({ input }) => input.follow()),
    leave: fromPromise<void, SupervisorWork>(({ input }) => input.leave()),
  },
  actions: {
    fail: ({ context }, { error }: { readonly error: unknown }) =>
      context.work.fail(asError(error, 'BROKER_UNAVAILABLE')),
    end: ({ context }) => context.work.end(),
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input }) => input,
  initial: 'open',
  states: {
    open: {
      initial: 'starting',
      on: { CLOSE: 'draining' },
      invoke: {
        src: 'follow',
        input: ({ context }) => context.work,
        // The consumer was closed by somebody else: its leases are revoked.
        onDone: 'draining',
        onError: { target: 'failed', actions: { type: 'fail', params: ({ event }) => event } },
      },
      states: {
        starting: { on: { LEASED: 'running' } },
        running: {},
      },
    },
    /** No more leases come; those that are there go on. */
    failed: { on: { CLOSE: 'draining' } },
    draining: {
      invoke: {
        src: 'leave',
        input: ({ context }) => context.work,
        onDone: 'closed',
        onError: 'closed',
      },
    },
    closed: { type: 'final', entry: 'end' },
  },
})

/** Starts a life; its timers are the environment's. */
export function startLife<TMachine extends typeof leaseMachine | typeof supervisorMachine>(
  machine: TMachine,
  input: object,
  environment: Environment,
): ActorRefFrom<TMachine> {
  const clock = {
    setTimeout: (work: () => void, ms: number) => environment.setTimeout(work, ms),
    clearTimeout: (handle: ReturnType<Environment['setTimeout']>) => environment.clearTimeout(handle),
  }
  return createActor(machine, { input, clock } as never) as unknown as ActorRefFrom<TMachine>
}
