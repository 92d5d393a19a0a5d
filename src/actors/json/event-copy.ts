import type { RecordedEvent } from '../contracts/json.ts'
import { XMachinesError } from '../errors.ts'
import { walkJson, walkParsed } from './json-walk.ts'
import { describeNotJson } from './not-json.ts'
import type { JsonLimits, WalkOptions } from './walk-options.ts'

/** How large an event, and a batch, may be. */
export interface EventLimits extends JsonLimits {
  /** Bytes of one event as JSON text in UTF-8. @default 1 MiB */
  readonly maxBytes: number
  /** Objects and arrays inside one another; the event itself counts. @default 64 */
  readonly maxDepth: number
  /** Events of one batch. @default 10_000 */
  readonly maxBatch: number
}

/** Limits as a caller gives them: those that are left out are the defaults. */
export type GivenLimits = { readonly [Name in keyof EventLimits]?: EventLimits[Name] | undefined }

/** The limits that hold unless others are given. */
export const defaultEventLimits: EventLimits = Object.freeze({ maxBytes: 1_048_576, maxDepth: 64, maxBatch: 10_000 })

/** A caller's limits, complete. @throws TypeError for one that would refuse everything, or nothing */
export function limitsOf(given: GivenLimits | undefined): EventLimits {
  if (given === undefined) return defaultEventLimits
  const { maxBytes, maxDepth, maxBatch } = defaultEventLimits
  // A limit that is `undefined` is not given: it must not take the place of the default.
  const limits = {
    maxBytes: given.maxBytes ?? maxBytes,
    maxDepth: given.maxDepth ?? maxDepth,
    maxBatch: given.maxBatch ?? maxBatch,
  }
  for (const [name, limit] of Object.entries(limits))
    if (typeof limit !== 'number' || !(limit >= 1))
      throw new TypeError(
        `Expected \`limits.${name}\` to be a number from 1, got \`${String(limit)}\` (${typeof limit}).`,
      )
  return limits
}

/** The event as a history records it: a deep-frozen copy. Whatever JSON text would change or lose is refused with its path. */
export function copyEvent(value: unknown, limits: EventLimits): RecordedEvent {
  return copyAt(walkJson, value, walkOptions(limits), '$')
}

/** One event, or an array of them as a batch: see {@link copyEvent}. */
export function copyEvents(value: unknown, limits: EventLimits): readonly RecordedEvent[] {
  return eventsOf(walkJson, value, limits)
}

/** As {@link copyEvents}, but of what `JSON.parse` has just made and nobody else has: frozen where it lies. */
export function freezeParsedEvents(value: unknown, limits: EventLimits): readonly RecordedEvent[] {
  return eventsOf(walkParsed, value, limits)
}

function eventsOf(walk: typeof walkJson, value: unknown, limits: EventLimits): readonly RecordedEvent[] {
  const options = walkOptions(limits)
  if (!isArray(value)) return Object.freeze([copyAt(walk, value, options, '$')])
  if (value.length > limits.maxBatch) {
    const text = `The batch has ${value.length} events where ${limits.maxBatch} are allowed. Send several batches, or, in code, raise \`limits\`.`
    throw new XMachinesError('EVENT_TOO_LARGE', text, { details: { path: '$', maxBatch: limits.maxBatch } })
  }
  const batch: RecordedEvent[] = []
  for (let index = 0; index < value.length; index++) batch.push(copyAt(walk, value[index], options, `$[${index}]`))
  return Object.freeze(batch)
}

function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value)
  } catch {
    return false // a revoked proxy; the walk says so
  }
}

let known: WalkOptions | undefined

/** The limits are nearly always those of before. */
function walkOptions(limits: EventLimits): WalkOptions {
  if (known?.limits === limits) return known
  known = {
    name: 'The event',
    code: 'EVENT_INVALID',
    tooLarge: 'EVENT_TOO_LARGE',
    limits,
    areAdjustable: true,
    undefinedIsAbsent: false,
  }
  return known
}

function copyAt(walk: typeof walkJson, value: unknown, options: WalkOptions, path: string): RecordedEvent {
  if (typeof value !== 'object' || value === null) throw notAnObject(value, path)
  return checkEvent(walk(value, options, path), path)
}

/**
 * Whether JSON is an event that may come from outside of a run's own machine.
 * @throws `EVENT_INVALID`, `EVENT_RESERVED`
 */
export function checkEvent(copy: unknown, path: string): RecordedEvent {
  if (typeof copy !== 'object' || copy === null || Array.isArray(copy)) throw notAnObject(copy, path)
  const { type } = copy as Partial<RecordedEvent>
  if (typeof type !== 'string' || type === '') {
    const found = type === undefined ? 'missing' : type === '' ? 'empty' : 'not a string'
    const text = `The event's type is ${found}, at ${path}.type. Send \`{ type: "…" }\` with the name of what happened.`
    throw new XMachinesError('EVENT_INVALID', text, { details: { path: `${path}.type` } })
  }
  if (type === '*') {
    const text = `The event's type is '*' at ${path}.type, which stands for any event in a machine. Send the type of what happened.`
    throw new XMachinesError('EVENT_INVALID', text, { details: { path: `${path}.type` } })
  }
  if (isReserved(type)) {
    const text = `The event type ${JSON.stringify(type.slice(0, 100))} at ${path}.type is reserved for the runtime. Rename it.`
    throw new XMachinesError('EVENT_RESERVED', text, { details: { path: `${path}.type` } })
  }
  return copy as RecordedEvent
}

/** Whether only the runtime writes events of a type. */
export function isReserved(type: string): boolean {
  return type.startsWith('xstate.') || type.startsWith('xmachines.')
}

function notAnObject(value: unknown, path: string): XMachinesError {
  const found =
    value === null
      ? '`null`'
      : Array.isArray(value)
        ? 'an array'
        : typeof value === 'string'
          ? `the string ${JSON.stringify(value.slice(0, 60))}`
          : typeof value === 'boolean' || Number.isFinite(value)
            ? String(value)
            : describeNotJson(value).found
  const text = `The event is ${found} at ${path}. Send an object: \`{ type: "…" }\`.`
  return new XMachinesError('EVENT_INVALID', text, { details: { path } })
}
