import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { JsonValue, RecordedEvent } from '../contracts/json.ts'
import { messageOf, XMachinesError } from '../errors.ts'
import { copyEvent, copyEvents, type EventLimits, freezeParsedEvents } from '../json/event-copy.ts'
import { type EventSchema, isSchema, type MachineDefinition } from '../machine/definition.ts'

/**
 * The border that events from outside cross, once: copied, frozen, JSON; then the schema, whose output is what is recorded.
 * @param isParsed `JSON.parse` has just made the value, and nobody else has it: it needs no copy
 * @throws (or rejects with) `EVENT_INVALID`, `EVENT_RESERVED`, `EVENT_TOO_LARGE`, `EVENT_REJECTED_BY_SCHEMA`
 */
export function checkEvents(
  definition: MachineDefinition,
  limits: EventLimits,
  value: unknown,
  isParsed = false,
): readonly RecordedEvent[] | Promise<readonly RecordedEvent[]> {
  const events = isParsed ? freezeParsedEvents(value, limits) : copyEvents(value, limits)
  if (definition.events === undefined || events.length === 0) return events
  const checked: (RecordedEvent | Promise<RecordedEvent>)[] = []
  let waits = false
  for (const event of events) {
    const result = checkEvent(definition, limits, event)
    waits ||= result instanceof Promise
    checked.push(result)
  }
  return waits ? Promise.all(checked) : (checked as RecordedEvent[])
}

/** Why the border refused. A schema that throws by itself has refused too: nothing else can be said of the event. */
export function refusalOf(thrown: unknown): XMachinesError {
  if (XMachinesError.is(thrown)) return thrown
  return new XMachinesError('EVENT_REJECTED_BY_SCHEMA', `The machine's schema threw: ${messageOf(thrown)}`, {
    cause: thrown,
  })
}

function checkEvent(
  definition: MachineDefinition,
  limits: EventLimits,
  event: RecordedEvent,
): RecordedEvent | Promise<RecordedEvent> {
  const schema = schemaOf(definition, event.type)
  if (schema === undefined) {
    const text = `The machine '${definition.machine.id}' declares no event '${event.type}' from outside.`
    throw new XMachinesError('EVENT_REJECTED_BY_SCHEMA', text, { details: { type: event.type, issues: [] } })
  }
  const result = schema['~standard'].validate(event)
  return result instanceof Promise
    ? result.then(settled => accepted(settled, event, limits))
    : accepted(result, event, limits)
}

function schemaOf({ events }: MachineDefinition, type: string): EventSchema | undefined {
  if (isSchema(events)) return events
  return events !== undefined && Object.hasOwn(events, type) ? events[type] : undefined
}

function accepted(
  result: StandardSchemaV1.Result<{ readonly type: string }>,
  event: RecordedEvent,
  limits: EventLimits,
): RecordedEvent {
  if (result.issues === undefined) return copyEvent(result.value, limits)
  const issues = result.issues.map(issue => ({ message: issue.message, path: pathOf(issue) }))
  const first = issues[0]
  const text = `The event '${event.type}' does not fit the machine's schema${first === undefined ? '.' : `: ${first.message}${first.path === '' ? '' : ` at ${first.path}`}.`}`
  throw new XMachinesError('EVENT_REJECTED_BY_SCHEMA', text, {
    details: { type: event.type, issues: issues as unknown as JsonValue },
  })
}

function pathOf({ path = [] }: StandardSchemaV1.Issue): string {
  return path.map(part => String(typeof part === 'object' ? part.key : part)).join('.')
}
