/**
 * The receipt phase of a building permit, as a Dutch municipality worked through it: plain XState, nothing else.
 *
 * Once the receipt is confirmed, two things go on side by side: a letter that says so is checked, determined and sent,
 * and somebody decides whether the procedure has to stop, with the advice of others where it is needed.
 */
import { assign, emit, setup } from 'xstate'

type LetterStep = 'T02' | 'T03' | 'T04' | 'T05'
type AdviceStep = 'T07-1' | 'T07-2' | 'T07-3' | 'T07-4' | 'T07-5' | 'T08' | 'T09-1' | 'T09-2' | 'T09-3' | 'T09-4'
type StopStep = 'T06' | 'T10' | 'T11' | 'T12' | 'T13' | 'T14' | 'T15' | 'T16' | 'T17' | 'T18' | 'T19' | 'T20'
type Step = LetterStep | AdviceStep | StopStep

/** An activity that somebody has completed. */
type Activity = Record<'activity' | 'task' | 'resource' | 'group', string>

/** Where the application came from, and until when it must be answered. */
type Application = Record<'channel' | 'department' | 'responsible' | 'deadline', string>

/** What happens to a case. */
export type PermitEvent =
  | ({ type: 'CONFIRM_RECEIPT' } & Activity & Application)
  | { [S in Step]: { type: S } & Activity }[Step]

type Milestone =
  | 'RECEIPT_CONFIRMED'
  | 'LETTER_CHECKED'
  | 'LETTER_SENT'
  | 'STOP_ASSESSED'
  | 'STOP_DECIDED'
  | 'UNLICENSED_SENT'
  | 'HOLD_SENT'

/** What a case tells others. */
export type PermitOutput =
  | { type: Milestone; resource: string }
  | { type: 'DEVIATION'; step: string; after: string | null }

/** What a case remembers. */
export interface PermitContext {
  application: Application | null
  steps: number
  lastStep: string | null
  /** Steps of advice that were taken before the stop was decided. */
  advice: string[]
  /** Steps that came when nothing led to them. */
  deviations: string[]
}

export const permit = setup({
  types: {
    context: {} as PermitContext,
    events: {} as PermitEvent,
    emitted: {} as PermitOutput,
    tags: {} as 'rework' | 'answered' | 'stopped',
  },
  guards: {
    isAdvice: ({ event }) => /^T0[789]/.test(event.type),
  },
  actions: {
    record: assign({ steps: ({ context }) => context.steps + 1, lastStep: ({ event }) => event.type }),
    noteAdvice: assign({ advice: ({ context, event }) => [...context.advice, event.type] }),
    noteDeviation: assign({ deviations: ({ context, event }) => [...context.deviations, event.type] }),
    announce: emit(({ event }, milestone: Milestone) => ({ type: milestone, resource: event.resource })),
    announceDeviation: emit(({ context, event }) => {
      return { type: 'DEVIATION' as const, step: event.type, after: context.lastStep }
    }),
  },
}).createMachine({
  id: 'permit',
  context: { application: null, steps: 0, lastStep: null, advice: [], deviations: [] },
  initial: 'submitted',
  // Real work is not tidy. A step that no state waits for is noted and told, and the case goes on where it was.
  on: { '*': { actions: ['noteDeviation', 'announceDeviation', 'record'] } },
  states: {
    submitted: {
      on: {
        CONFIRM_RECEIPT: {
          target: 'confirmed',
          actions: [
            assign(({ event: { channel, department, responsible, deadline } }) => {
              return { application: { channel, department, responsible, deadline } }
            }),
            { type: 'announce', params: 'RECEIPT_CONFIRMED' },
            'record',
          ],
        },
      },
    },
    confirmed: {
      type: 'parallel',
      states: {
        letter: {
          initial: 'drafted',
          states: {
            drafted: { on: { T02: { target: 'checked', actions: 'record' } } },
            checked: {
              entry: { type: 'announce', params: 'LETTER_CHECKED' },
              on: {
                T03: { target: 'adjusting', actions: 'record' },
                T04: { target: 'determined', actions: 'record' },
              },
            },
            adjusting: { tags: 'rework', on: { T02: { target: 'checked', actions: 'record' } } },
            determined: {
              on: {
                T03: { target: 'adjusting', actions: 'record' },
                T05: { target: 'sent', actions: 'record' },
              },
            },
            sent: { tags: 'answered', entry: { type: 'announce', params: 'LETTER_SENT' } },
          },
        },
        stop: {
          initial: 'open',
          states: {
            open: { on: { T06: { target: 'assessed', actions: 'record' } } },
            assessed: {
              entry: { type: 'announce', params: 'STOP_ASSESSED' },
              on: {
                T10: { target: 'decided', actions: 'record' },
                '*': { guard: 'isAdvice', target: 'advising', actions: ['noteAdvice', 'record'] },
              },
            },
            advising: {
              on: {
                T06: { target: 'assessed', actions: 'record' },
                '*': { guard: 'isAdvice', actions: ['noteAdvice', 'record'] },
              },
            },
            decided: {
              entry: { type: 'announce', params: 'STOP_DECIDED' },
              on: {
                T11: { target: 'unlicensed', actions: 'record' },
                T16: { target: 'onHold', actions: 'record' },
              },
            },
            // Document X, "request unlicensed": T11 created it.
            unlicensed: {
              tags: 'stopped',
              initial: 'drafted',
              states: {
                drafted: { on: { T12: { target: 'checked', actions: 'record' } } },
                checked: {
                  on: {
                    T13: { target: 'adjusting', actions: 'record' },
                    T14: { target: 'determined', actions: 'record' },
                  },
                },
                adjusting: { tags: 'rework', on: { T12: { target: 'checked', actions: 'record' } } },
                determined: { on: { T15: { target: 'sent', actions: 'record' } } },
                sent: { entry: { type: 'announce', params: 'UNLICENSED_SENT' } },
              },
            },
            // Report Y, "to stop indication": T16 named the reasons to hold the request.
            onHold: {
              tags: 'stopped',
              initial: 'reported',
              states: {
                reported: { on: { T17: { target: 'checked', actions: 'record' } } },
                checked: {
                  on: {
                    T18: { target: 'adjusting', actions: 'record' },
                    T19: { target: 'determined', actions: 'record' },
                  },
                },
                adjusting: { tags: 'rework', on: { T17: { target: 'checked', actions: 'record' } } },
                determined: { on: { T20: { target: 'sent', actions: 'record' } } },
                sent: { entry: { type: 'announce', params: 'HOLD_SENT' } },
              },
            },
          },
        },
      },
    },
  },
})

export default permit
