import type { ActionArgs, EventObject, MachineContext, ParameterizedObject } from 'xstate'
import type { JsonObject, RecordedEvent } from '../contracts/json.ts'
import type { SentMail } from '../contracts/unit.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyEvent, defaultEventLimits } from '../json/event-copy.ts'
import { isWellFormed, toWellFormed } from '../json/well-formed.ts'
import { type SendResolver, sendAction, shown, type TellAction } from './send-action.ts'

/** Names a run of the same store: by its namespace, or by its machine, whose id is its namespace unless another was given. */
export type MailAddress =
  | { readonly namespace: string; readonly key: string }
  | { readonly machine: string | { readonly id: string }; readonly key: string }

/**
 * What a run gets for a mail of its own that could not be taken: its receiver is not there (`RUN_UNKNOWN`), has ended
 * (`RUN_FINISHED`), or refused it. A run that has no transition for it ignores it.
 */
export interface UndeliveredEvent {
  readonly type: 'xmachines.undelivered'
  readonly to: { readonly namespace: string; readonly key: string }
  readonly event: RecordedEvent
  readonly reason: { readonly code: string; readonly message: string }
}

/**
 * An action that sends an event to another run of the same store, created or not in this process: once, in order, also across
 * crashes. The mail is recorded with the step that sends it and delivered once that is durable.
 *
 * @example
 * entry: tell({ machine: 'account', key: 'a-2' }, ({ context }) => ({ type: 'DEPOSIT', amount: context.amount }))
 *
 * @throws within the step: `TELL_INVALID`; where it is executed by something else than a run: `TELL_OUTSIDE_RUN`
 */
export function tell<
  TContext extends MachineContext,
  TExpressionEvent extends EventObject,
  TParams extends ParameterizedObject['params'] | undefined,
  TEvent extends EventObject,
  TMail extends { readonly type: string },
>(
  to: MailAddress | ((args: ActionArgs<TContext, TExpressionEvent, TEvent>, params: TParams) => MailAddress),
  event: TMail | ((args: ActionArgs<TContext, TExpressionEvent, TEvent>, params: TParams) => TMail),
): TellAction<TContext, TExpressionEvent, TParams, TEvent> {
  const resolve = (args: ActionArgs<TContext, TExpressionEvent, TEvent>, params: TParams): SentMail => ({
    to: placeOf(typeof to === 'function' ? to(args, params) : to),
    event: copied(typeof event === 'function' ? event(args, params) : event),
  })
  return sendAction('tell', resolve as SendResolver)
}

function placeOf(to: unknown): SentMail['to'] {
  const { namespace, machine, key } = (to ?? {}) as {
    readonly namespace?: unknown
    readonly machine?: unknown
    readonly key?: unknown
  }
  const named = namespace ?? (typeof machine === 'string' ? machine : (machine as { id?: unknown } | undefined)?.id)
  if (isName(named) && isName(key)) return Object.freeze({ namespace: named, key })
  const got = `namespace or machine ${shown(named)} and key ${shown(key)}`
  throw new XMachinesError(
    'TELL_INVALID',
    `A mail was sent to ${got}. Give \`tell\` the receiver as { machine, key } or { namespace, key }.`,
  )
}

/** An answer names the receiver, in a unit: half of a character has no place there. */
function isName(name: unknown): name is string {
  return typeof name === 'string' && name !== '' && isWellFormed(name)
}

function copied(event: unknown): RecordedEvent {
  try {
    return copyEvent(event, defaultEventLimits)
  } catch (thrown) {
    throw new XMachinesError('TELL_INVALID', `A mail cannot be sent. ${messageOf(thrown)}`, {
      cause: thrown,
      ...(XMachinesError.is(thrown) && { details: thrown.details }),
    })
  }
}

/** The answer to a mail that could not be taken, as it is recorded. */
export function undelivered({ to, event }: SentMail, { code, message }: XMachinesError): JsonObject {
  return Object.freeze({
    type: 'xmachines.undelivered',
    to,
    event,
    reason: Object.freeze({ code, message: toWellFormed(message) }),
  })
}
