import type { EventObject } from 'xstate'
import type { JsonObject, JsonValue, RecordedEvent } from '../contracts/json.ts'
import { fromPlainError, isError, toPlainError } from './plain-error.ts'

/**
 * How an invocation's outcome stands in a history: in words of our own, so that a log written under one XState reads
 * under another. `settle`d logic (promises, observables) tells its own actor; `send`ing logic tells its parent.
 */
const settled: Readonly<Record<string, string>> = {
  'xstate.promise.resolve': 'xmachines.resolve',
  'xstate.promise.reject': 'xmachines.reject',
  'xstate.observable.next': 'xmachines.next',
  'xstate.observable.error': 'xmachines.error',
  'xstate.observable.complete': 'xmachines.complete',
}
const live: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(settled).map(([theirs, ours]) => [ours, theirs]),
)

/** What running logic told: an event of its own (`to: 'self'`), or one for its parent. */
export interface Told {
  readonly to: 'self' | 'parent'
  readonly event: EventObject
}

/** The event that records what running logic told. Its values are still to be checked to be JSON. */
export function recordTold(told: Told): { readonly type: string; readonly [key: string]: unknown } {
  if (told.to === 'parent') return { type: 'xmachines.send', event: told.event }
  const type = settled[told.event.type]
  const data = (told.event as { readonly data?: unknown }).data
  switch (type) {
    case undefined:
      return { type: 'xmachines.self', event: told.event }
    case 'xmachines.resolve':
    case 'xmachines.next':
      return data === undefined ? { type } : { type, value: data }
    case 'xmachines.complete':
      return { type }
    default:
      return isError(data)
        ? { type, error: toPlainError(data) }
        : data === undefined
          ? { type }
          : { type, thrown: data }
  }
}

/** What {@link recordTold} recorded, as the event that XState's logic or parent takes. */
export function readTold(recorded: RecordedEvent): Told {
  if (recorded.type === 'xmachines.send') return { to: 'parent', event: recorded.event as unknown as EventObject }
  if (recorded.type === 'xmachines.self') return { to: 'self', event: recorded.event as unknown as EventObject }
  const type = live[recorded.type]!
  if (recorded.error !== undefined)
    return { to: 'self', event: { type, data: fromPlainError(recorded.error as JsonObject) } as EventObject }
  // `null` is a value as any other.
  const data: JsonValue | undefined = 'value' in recorded ? recorded.value : recorded.thrown
  return { to: 'self', event: { type, data } as EventObject }
}
