import type { EventObject } from 'xstate'
import type { JsonValue } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import type { StepInput } from './decision.ts'
import type { Flaw } from './state-json.ts'
import type { LiveMachineSnapshot } from './xstate.ts'

/** What can be wrong with a step, in the words of whoever has to mend it. */

export function stepFailed(thrown: unknown): XMachinesError {
  return new XMachinesError('STEP_FAILED', `The machine threw while it handled the unit: ${messageOf(thrown)}`, {
    cause: thrown,
  })
}

export function finished(status: string, event: EventObject): XMachinesError {
  return new XMachinesError(
    'RUN_FINISHED',
    `The run has ended (${status}) and takes no event '${event.type}'. Start a new run, or fork this one before its end.`,
    { details: { status, type: event.type } },
  )
}

export function unhandled(snapshot: LiveMachineSnapshot, event: EventObject): XMachinesError {
  return new XMachinesError(
    'EVENT_UNHANDLED',
    `No transition takes '${event.type}' in state ${JSON.stringify(snapshot.value)}.`,
    {
      details: { type: event.type, value: snapshot.value as JsonValue },
    },
  )
}

/** An author's `errors` answered something else, a promise say: nobody knows whether the run is to end. */
export function noAnswer(got: unknown): XMachinesError {
  const shown = got instanceof Promise ? 'a promise' : `\`${messageOf(got)}\` (${typeof got})`
  return new XMachinesError(
    'POLICY_INVALID',
    `Expected \`errors\` to answer 'reject' or 'fatal', got ${shown}. The unit is neither refused nor does it end the run.`,
    { details: { option: 'errors' } },
  )
}

export function stateNotJson({ path, found }: Flaw): XMachinesError {
  return new XMachinesError(
    'STATE_NOT_JSON',
    `The step left ${found} at ${path}. A run's state is JSON and actor references, so that it can be restored.`,
    { details: { path } },
  )
}

/** Units that name such an actor would have no id. */
export function unfitName(id: string): XMachinesError {
  return new XMachinesError(
    'STATE_NOT_JSON',
    `The id of the actor ${JSON.stringify(id)} holds a lone surrogate. Ids stand in the history: cut text between characters.`,
  )
}

export function outputNotJson({ path, found }: Flaw): XMachinesError {
  return new XMachinesError(
    'OUTPUT_NOT_JSON',
    `The machine's output holds ${found} at ${path}. Return JSON values only.`,
    { details: { path } },
  )
}

export function damaged(input: StepInput, why: string): XMachinesError {
  return new XMachinesError('RUN_DAMAGED', `Unit ${input.seq} (${input.origin.kind}) cannot be decided: ${why}.`, {
    details: { seq: input.seq },
  })
}
