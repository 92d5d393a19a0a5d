import type { EventObject } from 'xstate'
import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { checkEvent } from '../json/event-copy.ts'
import { copyJson } from '../json/json-copy.ts'
import { kindOfLogic } from '../machine/logic-kind.ts'
import { recordTold, type Told } from '../machine/outcome.ts'
import { toPlainError } from '../machine/plain-error.ts'
import type { Invocation } from '../machine/state.ts'

/** The largest value that an invocation may end with, bytes of JSON. */
const maxOutcomeBytes = 1_048_576

/** What logic of that kind tells when it fails. */
export function failureOf({ actor }: Invocation, error: unknown): Told {
  const type = kindOfLogic(actor.behaviour) === 'promise' ? 'xstate.promise.reject' : 'xstate.observable.error'
  return { to: 'self', event: { type, data: error } as EventObject }
}

/** Whether logic tells that it failed. */
export function isFailure({ to, event }: Told): boolean {
  return to === 'self' && (event.type === 'xstate.promise.reject' || event.type === 'xstate.observable.error')
}

const ends = new Set([
  'xstate.promise.resolve',
  'xstate.promise.reject',
  'xstate.observable.error',
  'xstate.observable.complete',
])

/** Whether logic tells its end. What else it sends to itself is none. */
export function isEnd({ to, event }: Told): boolean {
  return to === 'self' && ends.has(event.type)
}

/**
 * What logic told, as it is recorded. It must be JSON, and an event as from outside where it is for the parent: logic passes on
 * what comes from elsewhere. What is not becomes the error that says so.
 */
export function toRecord(told: Told, invocation: Invocation): RecordedEvent {
  const name = `What the invocation '${invocation.path.join('/')}' told`
  try {
    const record = copyJson(
      recordTold(told),
      { code: 'OUTCOME_NOT_JSON', name, tooLarge: 'OUTCOME_TOO_LARGE' },
      { undefinedIsAbsent: true, maxBytes: maxOutcomeBytes },
    ) as RecordedEvent
    if (told.to === 'parent') checkSent(record.event, invocation)
    return record
  } catch (thrown) {
    // What is not ours is of a proxy that was told.
    const error = XMachinesError.is(thrown)
      ? thrown
      : new XMachinesError('OUTCOME_NOT_JSON', `${name} cannot be read: ${messageOf(thrown)}`, { cause: thrown })
    const { type } = recordTold(failureOf(invocation, undefined))
    return Object.freeze({ type, error: toPlainError(error) as JsonValue })
  }
}

function checkSent(event: unknown, { path }: Invocation): void {
  try {
    checkEvent(event, '$.event')
  } catch (thrown) {
    if (!XMachinesError.is(thrown)) throw thrown
    const text = `What the invocation '${path.join('/')}' sent its parent is refused. ${thrown.message}`
    throw new XMachinesError(thrown.code, text, { details: thrown.details })
  }
}
