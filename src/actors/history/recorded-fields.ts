import type { Unit } from '../contracts/unit.ts'
import { isReserved } from '../json/event-copy.ts'
import {
  type Check,
  type Fields,
  isCount,
  isFlag,
  isObject,
  isText,
  isTime,
  listOf,
  mapOf,
  objectOf,
  optional,
  orNull,
  unfit,
} from '../json/fields.ts'

/** What a history and what is kept beside it are made of, where somebody else may have written them. */

const isEvent: Check = value => isObject(value) && isText((value as { readonly type?: unknown }).type)
const isActorPath = listOf(isText)
const mailPlace: Fields = { run: isText, seq: isCount, index: isCount }

const origins: Readonly<Record<string, Fields>> = {
  outside: {},
  effect: { actor: isActorPath, entered: isCount },
  timer: { actor: isActorPath, armed: isCount, index: isCount },
  mail: mailPlace,
  undelivered: mailPlace,
  child: { run: isText },
  stop: { reason: isText },
  migration: { from: isText },
}

const isOrigin: Check = value => {
  if (!isObject(value)) return false
  const { kind } = value as { readonly kind?: unknown }
  return typeof kind === 'string' && Object.hasOwn(origins, kind) && objectOf(origins[kind]!)(value)
}

/** What the id of a unit is made of. */
const unitContentFields: Fields = {
  seq: isCount,
  at: isTime,
  events: listOf(isEvent),
  origin: isOrigin,
  machine: optional(isText),
  created: optional(isTime),
}

/** What of a unit's content this package cannot have written. */
export function unfitContent(unit: object): string | undefined {
  const wrong = unfit(unit, unitContentFields)
  if (wrong !== undefined) return wrong
  const { origin, events } = unit as Pick<Unit, 'origin' | 'events'>
  // The border takes none from outside: whoever wrote it would have it pass for what only the runtime says.
  const isForged = (origin.kind === 'outside' || origin.kind === 'mail') && events.some(({ type }) => isReserved(type))
  return isForged ? 'reserved event' : undefined
}

/** What the id of a run is made of. Whatever its input and its snapshot are is JSON. */
export const creationFields: Fields = {
  machine: isText,
  namespace: isText,
  key: optional(isText),
  nonce: optional(isText),
  fork: optional(objectOf({ run: isText, at: isCount, parent: isText })),
}

/** A version of a machine. */
export const machineFields: Fields = { oid: isText, id: isText, version: isText, definition: isObject }

const isRunName = objectOf({ namespace: isText, key: isText })

/** Told apart by the name that only one of them has. */
const isSent: Check = value =>
  [{ to: isRunName, event: isEvent }, { spawn: isRunName }, { stop: isText }, { parent: isText, event: isEvent }].some(
    fields => objectOf(fields)(value),
  )

/** What is kept of a unit beside its identity, but for positions, which every format writes in its own way. */
export const unitBesideFields: Fields = {
  outputs: listOf(isEvent),
  mail: listOf(isSent),
  requestId: isText,
  trace: objectOf({ traceparent: isText, tracestate: optional(isText) }),
  attempts: isCount,
  state: isText,
  epoch: isCount,
}

const isMark = objectOf({ seq: isCount, index: isCount })
const statuses: readonly unknown[] = ['active', 'done', 'error', 'stopped']

/** What is kept beside a run, but for positions. */
export const runBesideFields: Fields = {
  status: value => statuses.includes(value),
  value: () => true,
  due: orNull(isTime),
  lease: objectOf({ namespace: isText, partition: isCount }),
  outbox: listOf(isCount),
  published: orNull(isMark),
  inbox: listOf(isObject),
  waiting: isCount,
  mailing: listOf(isCount),
  mailed: orNull(isMark),
  returns: listOf(isObject),
  attempts: mapOf(isCount),
  parked: orNull(objectOf({ at: isTime, code: isText, message: isText })),
  held: isFlag,
  process: orNull(isText),
  owners: mapOf(isText),
  parent: orNull(
    objectOf({
      name: isRunName,
      run: isText,
      seq: isCount,
      index: isCount,
      restarts: isCount,
      policy: value => value === 'stop' || value === 'escalate' || isObject(value),
      linked: isFlag,
    }),
  ),
  linked: isFlag,
}
